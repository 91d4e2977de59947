package events

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// told builds the events of one subject: offset and times in milliseconds.
func told(t Type, source, id string, purposes PurposeSet, offset int64, decided, appended Millis) *Event {
	return &Event{
		Method: ByPerson, ID: id, Source: source, Type: t, Subject: Subject{"s-1"}, Decided: decided, Purposes: purposes,
		Policy: SeedPolicy, Logged: Stamp{Position{1, 0, offset}, appended},
	}
}

func TestGrantOpensWithdrawalCloses(t *testing.T) {
	r := SeedRules()
	promo, err := r.Set("promotion", "research")
	require.NoError(t, err)

	s, out := r.Apply(State{}, told(Granted, "web", "1", promo, 0, 1000, 1001))
	require.Equal(t, Applied, out.Verdict)
	require.True(t, r.Decide(s, "promotion").Allowed)
	require.Equal(t, Version{1, 0, 0}, r.Decide(s, "promotion").By)

	only, _ := r.Set("promotion")
	s2, out := r.Apply(s, told(Withdrawn, "web", "2", only, 1, 2000, 2001))
	require.Equal(t, Applied, out.Verdict)
	require.Equal(t, Answer{Reason: ByWithdrawal, Basis: Consent, By: Version{1, 0, 1}}, r.Decide(s2, "promotion"))
	require.True(t, r.Decide(s2, "research").Allowed, "absent means unchanged")

	s3, out := r.Apply(s2, told(Granted, "web", "1", promo, 2, 1000, 5001))
	require.Equal(t, Superseded, out.Verdict, "a late copy of the grant")
	require.False(t, r.Decide(s3, "promotion").Allowed)

	back, err := ParseState(s3.Bytes())
	require.NoError(t, err)
	require.Equal(t, s3, back)
}

func TestStandingSaysWhatDecideSays(t *testing.T) {
	r := SeedRules()
	rapid.Check(t, func(t *rapid.T) {
		var s State
		for i := range rapid.IntRange(0, 12).Draw(t, "events") {
			typ := rapid.SampledFrom(Types()).Draw(t, "type")
			of := PurposeSet(rapid.Uint64().Draw(t, "purposes")) & r.All()
			e := told(typ, "web", fmt.Sprint(i), of, int64(i), Millis(1000*i), Millis(1000*i))
			e.Policy = "2"
			s, _ = r.Apply(s, e)
		}
		got := r.Standing(s)
		for c := range r.All().Codes() {
			a := r.Decide(s, r.Names(SetOf(c))[0])
			require.Equal(t, a.Allowed, got.Allowed.Has(c), "allowed %d", c)
			stopped := !a.Allowed && a.Reason != NeverGranted && a.Reason != NoAgreement && a.Reason != UnknownSubject
			require.Equal(t, stopped, got.Stopped.Has(c), "stopped %d: %v", c, a.Reason)
		}
	})
}

func BenchmarkApply(b *testing.B) {
	r := SeedRules()
	promo, _ := r.Set("promotion", "research", "targeted-ads", "contests", "surveys")
	one, _ := r.Set("promotion")
	s, _ := r.Apply(State{}, told(Granted, "web", "1", promo, 0, 1000, 1001))
	s, _ = r.Apply(s, told(Withdrawn, "web", "2", one, 1, 2000, 2001))
	e := told(Granted, "web", "3", one, 2, 3000, 3001)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = r.Apply(s, e)
	}
	b.ReportMetric(float64(len(s.Encoded())), "state-B")
}
