package events

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRulesRefuseWhatTheyDoNotUnderstand(t *testing.T) {
	const good = `{"clockUncertaintyMs": 500, "purposes": [{"code": 0, "name": "a", "clause": "1", "basis": "consent", "withdrawable": "yes"}]}`
	r, err := ParseRules([]byte(good))
	require.NoError(t, err)
	_, known := r.Rule("a")
	require.True(t, known)
	rule, known := r.Rule("b")
	require.False(t, known)
	require.Zero(t, rule, "not the rule of code 0")

	for name, text := range map[string]string{
		"nothing":             ``,
		"something behind":    good + `{}`,
		"unknown key":         `{"clockUncertaintyMs": 500, "purpose": []}`,
		"no uncertainty":      `{"purposes": []}`,
		"no name":             `{"clockUncertaintyMs": 500, "purposes": [{"code": 0, "basis": "law"}]}`,
		"odd name":            `{"clockUncertaintyMs": 500, "purposes": [{"code": 0, "name": "A b", "basis": "law"}]}`,
		"no basis":            `{"clockUncertaintyMs": 500, "purposes": [{"code": 0, "name": "a"}]}`,
		"unknown basis":       `{"clockUncertaintyMs": 500, "purposes": [{"code": 0, "name": "a", "basis": "interest"}]}`,
		"code too high":       `{"clockUncertaintyMs": 500, "purposes": [{"code": 64, "name": "a", "basis": "law"}]}`,
		"cannot be withdrawn": `{"clockUncertaintyMs": 500, "purposes": [{"code": 0, "name": "a", "basis": "consent"}]}`,
		"code given twice": `{"clockUncertaintyMs": 500, "purposes": [
			{"code": 0, "name": "a", "basis": "law"}, {"code": 0, "name": "b", "basis": "law"}]}`,
		"name given twice": `{"clockUncertaintyMs": 500, "purposes": [
			{"code": 0, "name": "a", "basis": "law"}, {"code": 1, "name": "a", "basis": "law"}]}`,
	} {
		_, err := ParseRules([]byte(text))
		require.Error(t, err, name)
	}
}

func TestWordsBeyondTheKnownOnesArePrintedAsUnknown(t *testing.T) {
	require.Equal(t, "unknown", Verdict(200).String())
	require.Equal(t, "unknown", Reason(200).String())
	require.Equal(t, "unknown", Type(200).String())
	for v := Repeated; v <= Park; v++ {
		require.NotEmpty(t, v.String())
	}
	for _, typ := range Types() {
		require.Equal(t, typ, ParseType(typ.String()))
	}
}
