package synthetic

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
)

const start events.Millis = 1_800_000_000_000

func newGenerator(t testing.TB, cfg Config) *Generator {
	t.Helper()
	g, err := New(cfg, events.SeedRules())
	require.NoError(t, err)
	return g
}

func TestEqualSeedsTellEqualStories(t *testing.T) {
	a, b, other := newGenerator(t, Config{Seed: 7}), newGenerator(t, Config{Seed: 7}), newGenerator(t, Config{Seed: 8})
	ids := make(map[string]bool)
	for i := range events.Millis(10_000) {
		e := a.Next(start + i)
		require.Equal(t, e, b.Next(start+i))
		require.NotEqual(t, e.ID, other.Next(start+i).ID)
		require.False(t, ids[e.ID], "an id was given twice")
		ids[e.ID] = true
	}
}

// Every event is folded as it would stand in a log, a second after the one
// before it. What the generator believes of a subject must be what the fold says.
func TestEveryEventMakesSenseToTheFold(t *testing.T) {
	rules := events.SeedRules()
	g := newGenerator(t, Config{Seed: 1, Subjects: 200})
	states := make(map[events.Subject]events.State)
	verdicts := make(map[events.Verdict]int)
	const n = 20_000
	for i := range n {
		who := g.random.IntN(len(g.people))
		e := g.NextOf(who, start+events.Millis(1000*i))
		e.Logged = events.Stamp{Position: events.Position{Generation: 1, Offset: int64(i)}, Appended: e.Decided + 5}
		state, out := rules.Apply(states[e.Subject], &e)
		if out.Verdict == events.Park || out.Alarm != "" {
			t.Fatalf("%s: %s %s%s", e.Type, out.Verdict, out.Reason, out.Alarm)
		}
		verdicts[out.Verdict]++
		states[e.Subject] = state

		p := g.people[who]
		want := p.granted
		if p.blocked {
			want = 0
		}
		if got := rules.Standing(state).Allowed & g.onConsent; got != want {
			t.Fatalf("after %s: allowed %v, want %v", e.Type, rules.Names(got), rules.Names(want))
		}
	}
	require.Greater(t, verdicts[events.Applied], n*99/100, "%v", verdicts)
}

func TestSubjectsArriveInOrderAndKeepTheirSource(t *testing.T) {
	g := newGenerator(t, Config{Seed: 3, Subjects: 1})
	var types []events.Type
	home := 0
	const n = 2000
	for range n {
		e := g.NextOf(0, start)
		types = append(types, e.Type)
		if e.Source == g.cfg.Sources[0] {
			home++
		}
	}
	require.Equal(t, []events.Type{events.AgreementStarted, events.PolicyAccepted, events.Granted}, types[:arrivals])
	require.Greater(t, home, n*9/10)
	require.Less(t, home, n)
}

func TestMixComesOutAsDocumented(t *testing.T) {
	documented := map[events.Type]float64{ // as beside the weights of DefaultMix
		events.Granted:             37.2,
		events.Withdrawn:           35.1,
		events.WithdrawalRequested: 6.1,
		events.WithdrawalRefused:   3.1,
		events.PolicyAccepted:      10.9,
		events.Blocked:             2.0,
		events.Unblocked:           1.8,
		events.AgreementEnded:      2.0,
		events.AgreementStarted:    1.3,
		events.SubjectErased:       0.5,
	}
	g := newGenerator(t, Config{Seed: 5})
	counts, total := make(map[events.Type]int), 0
	for total < 100_000 {
		i := g.random.IntN(len(g.people))
		arriving := g.people[i].arrived < arrivals
		e := g.NextOf(i, start)
		if !arriving {
			counts[e.Type]++
			total++
		}
	}
	for _, typ := range events.Types() {
		share := 100 * float64(counts[typ]) / float64(total)
		t.Logf("%-40s %5.1f", typ, share)
		assert.InDelta(t, documented[typ], share, 0.5, typ.String())
	}
}

func TestEvidenceIsAnObjectThatNamesNobody(t *testing.T) {
	g := newGenerator(t, Config{Seed: 9, Subjects: 20})
	for range 5000 {
		e := g.Next(start)
		var object map[string]string
		require.NoError(t, json.Unmarshal(e.Data, &object))
		require.NotEmpty(t, object["channel"])
		require.NotContains(t, string(e.Data), e.Subject.Reveal())
	}
}

func TestFaultyConfigurationsAreRefused(t *testing.T) {
	_, err := New(Config{Prefix: "a person "}, events.SeedRules())
	require.ErrorIs(t, err, events.ErrSubject)
	_, err = New(Config{Mix: Mix{events.Granted: 1}}, events.SeedRules())
	require.Error(t, err)
}

func BenchmarkNext(b *testing.B) {
	g := newGenerator(b, Config{Seed: 1, Subjects: 100_000})
	b.ReportAllocs()
	for b.Loop() {
		g.Next(start)
	}
}
