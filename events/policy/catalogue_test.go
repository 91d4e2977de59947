package policy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
)

func TestSeedGivesTheRulesOfPackageEvents(t *testing.T) {
	rules, err := Seed().Rules()
	require.NoError(t, err)
	require.Equal(t, events.SeedRules(), rules)
}

// The hash stands in events that were published: who changes how it is made, or
// the seed itself, has to know.
func TestHashOfTheSeedStaysWhatItWas(t *testing.T) {
	require.Equal(t, "sha256:94ef465c8f02f71e5b9f285c96540fcfa1ce8b7c3d7b4ab92c175973e0dde05c", Seed().Hash())
}

func TestDefaultsAreFilledInAndEqualToSayingThem(t *testing.T) {
	c := Seed()
	require.Equal(t, c.PublishedOn, c.EffectiveOn)
	require.Equal(t, DefaultRetention, c.Retention)
	p, ok := c.Purpose("promotion")
	require.True(t, ok)
	require.Equal(t, DefaultRetention, p.Retention)
	require.Equal(t, c.Version, p.CoveredFrom)
	_, ok = c.Purpose("nothing")
	require.False(t, ok)

	said, err := Parse([]byte(strings.NewReplacer(
		"publishedon: 2026-11-01", "publishedon: \"2026-11-01\"\neffectiveon: 2026-11-01",
		"retention: P3Y", "",
		"[operator, affiliates]", "[affiliates, operator]",
		"services: [marketing]", "services: [marketing]\n    coveredfrom: 2026-11",
	).Replace(string(seed))))
	require.NoError(t, err)
	require.Equal(t, c.Hash(), said.Hash())

	other := Seed()
	other.Texts[0].SHA256 = strings.Repeat("0", 64)
	require.NotEqual(t, c.Hash(), other.Hash(), "the hash covers the texts'")
}

func TestEveryFaultIsNamedWithItsFieldAtOnce(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown member", "residency:", "resident: x\nresidency:", "resident: is unknown"},
		{"unknown member deep down", "recipients: [contractors]", "recipients: [contractors]\n    recipents: []", "purposes[contractors].recipents: is unknown"},
		{"other case", "residency:", "Residency:", "residency: missing"},
		{"member missing", "basis: law", "", "purposes[legal].basis: missing"},
		{"no code", "- code: 9\n    name", "- name", "purposes[personalisation].code: missing"},
		{"null", "residency: KZ", "residency:", "residency: missing"},
		{"label missing", ", ru: Опросы", "", "purposes[surveys].labels.ru: missing"},
		{"label empty", "ru: Опросы", `ru: ""`, "purposes[surveys].labels.ru: missing"},
		{"unknown basis", "basis: law", "basis: interest", `purposes[legal].basis: basis "interest" is unknown`},
		{"yes without quotes", `withdrawable: "yes"`, "withdrawable: true", "purposes[promotion].withdrawable: want"},
		{"consent for good", `withdrawable: "yes"`, `withdrawable: "no"`, "must be withdrawable"},
		{"wrong type", "code: 13", "code: thirteen", "purposes[cross-border].code: want a uint8, not a string"},
		{"code too high", "code: 13", "code: 64", "code 64 is above 63"},
		{"code given twice", "code: 13", "code: 12", "given twice"},
		{"no day", "publishedon: 2026-11-01", "publishedon: 2026-11-31", `publishedon: "2026-11-31" is no day`},
		{"a moment", "publishedon: 2026-11-01", "publishedon: 2026-11-01T10:00:00Z", "publishedon: "},
		{"effective too early", "operator:\n", "effectiveon: 2026-10-31\noperator:\n", "effectiveon: 2026-10-31 is before publishedon"},
		{"no period", "retention: P3Y", "retention: 3 years", `retention: "3 years" is no period`},
		{"version is a number", `version: "2026-11"`, "version: 1.10", "version: want a string, not a number"},
		{"policy", "policy: aitu", "policy: AITU", "policy: "},
		{"bin", `bin: "000000000000"`, `bin: "12345"`, "operator.bin: "},
		{"operator is a text", "operator:\n  name: «AITU - Dala» ЖШС\n  bin: \"000000000000\"", "operator: x", "operator: want members"},
		{"residency", "residency: KZ", "residency: RU", "residency: "},
		{"locale", "locale: kk", "locale: de", "texts[0].locale: "},
		{"uri", "text: https://www.aitube.kz/", "text: aitube", "texts[0].text: "},
		{"hash", "sha256: 11", "sha256: XX", "texts[0].sha256: "},
		{"no recipients", "recipients: [contractors]", "recipients: []", "purposes[contractors].recipients: none"},
		{"recipient", "recipients: [contractors]", "recipients: [a b]", "purposes[contractors].recipients: "},
		{"recipients are a text", "recipients: [contractors]", "recipients: all", "purposes[contractors].recipients: want a list"},
		{"category twice", "[phone, email]\n    thirdparty", "[phone, phone]\n    thirdparty", `"phone" is given twice`},
		{"country", "crossborder: [any]", "crossborder: [Russia]", "purposes[cross-border].crossborder: "},
		{"any and one", "crossborder: [any]", "crossborder: [any, RU]", "purposes[cross-border].crossborder: "},
		{"uncertainty", "clockUncertaintyMs: 500", "clockUncertaintyMs: 0", "clockUncertaintyMs: 0 is not above 0"},
		{"key twice", "residency: KZ", "residency: KZ\nresidency: KZ", "already defined"},
		{"no YAML", "policy: aitu", "policy: [", "yaml: "},
		{"two of them", "residency: KZ", "residency: KZ\n---\nresidency: KZ", "something follows"},
		{"key is no text", "policy: aitu", "1: 2\npolicy: aitu", "a key is no text"},
	} {
		require.Contains(t, string(seed), c.old, c.name)
		_, err := Parse([]byte(strings.ReplaceAll(string(seed), c.old, c.new)))
		var faults Faults
		require.ErrorAs(t, err, &faults, c.name)
		require.ErrorContains(t, err, c.want, c.name)
	}
	_, err := Parse(nil)
	require.Error(t, err)
	_, err = Parse([]byte("policy: x\npurposes: [{name: a}]\nmore: 1"))
	require.ErrorContains(t, err, "version: missing")
	require.ErrorContains(t, err, "purposes[a].labels: missing")
	require.ErrorContains(t, err, "more: is unknown")
	require.True(t, errors.Is(err.(Faults)[0], errMissing))
}

func TestCatalogueComesBackFromItsEvent(t *testing.T) {
	c := Seed()
	at := time.Date(2026, 11, 1, 4, 0, 0, 0, time.UTC)
	e, err := c.Event("/legal", at)
	require.NoError(t, err)
	require.Equal(t, events.PolicyPublished, e.Type)
	require.Equal(t, c.Version, e.Policy)
	require.Equal(t, c.Hash(), e.ID)
	require.Equal(t, at, e.Decided.Time())
	back, err := FromEvent(&e)
	require.NoError(t, err)
	require.Equal(t, c, back)

	e.Data = []byte(strings.Replace(string(e.Data), `"policy"`, `"later":{"a":1},"policy"`, 1))
	back, err = FromEvent(&e)
	require.NoError(t, err, "a publisher may be a version ahead")
	require.Equal(t, c.Hash(), back.Hash())
}

func TestEventThatContradictsItselfIsNoCatalogue(t *testing.T) {
	e, err := Seed().Event("/legal", time.Unix(1, 0))
	require.NoError(t, err)
	e.Policy = "2026-12"
	_, err = FromEvent(&e)
	require.ErrorContains(t, err, "catalogue of version 2026-12: version: another")
	e.Policy, e.Type = "2026-11", events.PolicyAccepted
	_, err = FromEvent(&e)
	require.ErrorContains(t, err, "publishes none")
	e.Type, e.Data = events.PolicyPublished, []byte(`{"publishedon":"2026-11-01"}`)
	_, err = FromEvent(&e)
	require.ErrorContains(t, err, "purposes: missing")
}

func TestZeroCatalogueAsksForNothing(t *testing.T) {
	_, err := new(Catalogue).Rules()
	require.Error(t, err)
	require.Empty(t, (&Catalogue{Purposes: []Purpose{{}}}).Hash(), "a purpose without a basis has no text")
	_, err = new(Book).With(new(Catalogue))
	require.Error(t, err)
}
