package policy

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelisim/kelisim/events"
)

// changed returns the seed as a version with one purpose edited.
func changed(t require.TestingT, version, published, effective string, name events.Purpose, edit func(*Purpose)) *Catalogue {
	return draft{version, published, effective, func(c *Catalogue) {
		coveredFrom(c, "1")
		edit(purpose(c, name))
	}}.build(t)
}

func byLaw(p *Purpose) { p.Basis, p.Withdrawable = events.Law, events.No }

// said is one decision of a person, a minute after the last.
func said(n int, typ events.Type, purposes events.PurposeSet, v events.PolicyVersion) *events.Event {
	at := events.Millis(1_700_000_000_000 + 60_000*n)
	return &events.Event{
		ID: fmt.Sprint(n), Source: "/app", Type: typ, Method: events.ByPerson, Purposes: purposes, Policy: v, Decided: at,
		Logged: events.Stamp{Position: events.Position{Generation: 1, Offset: int64(n)}, Appended: at + 5},
	}
}

func TestAVersionPublishedAheadAllowsNothingBeforeItsDay(t *testing.T) {
	one := draft{version: "1", published: "2026-11-01"}.build(t)
	two := changed(t, "2", "2026-11-29", "2027-12-31", "promotion", byLaw)
	alone, both := bookOf(t, one), bookOf(t, two, one)
	promotion, at := events.SetOf(4), utc(t, "2026-12-01T00:00:00Z")

	s, _ := alone.RulesAt(at).Apply(events.State{}, said(1, events.Granted, promotion, "1"))
	s, _ = alone.RulesAt(at).Apply(s, said(2, events.Withdrawn, promotion, ""))
	for _, b := range []*Book{alone, both} {
		require.Equal(t, events.ByWithdrawal, b.RulesAt(at).Decide(s, "promotion").Reason)
	}
	require.Equal(t, events.ByLaw, both.RulesAt(two.EffectiveOn.Start()).Decide(s, "promotion").Reason, "from its day on")
	require.Equal(t, events.ByWithdrawal, bookOf(t, two).RulesAt(at).Decide(s, "promotion").Reason, "nothing in force")
}

func TestANewPurposeOnLawDeniesUntilItsVersionIsInForce(t *testing.T) {
	one := draft{version: "1", published: "2026-11-01"}.build(t)
	two := draft{"2", "2026-11-29", "2027-12-31", func(c *Catalogue) {
		scoring := *purpose(c, "legal")
		scoring.Code, scoring.Name = 20, "scoring"
		c.Purposes = append(c.Purposes, scoring)
	}}.build(t)
	s, _ := bookOf(t, one).Rules().Apply(events.State{}, said(1, events.AgreementStarted, 0, ""))
	for _, b := range []*Book{bookOf(t, one, two), bookOf(t, two)} {
		require.Equal(t, events.UnknownPurpose, b.RulesAt(utc(t, "2027-12-30T00:00:00Z")).Decide(s, "scoring").Reason)
		require.Equal(t, events.ByLaw, b.RulesAt(utc(t, "2027-12-31T00:00:00Z")).Decide(s, "scoring").Reason)
	}
}

func TestAWithdrawalOfWhatAVersionCallsLawIsNotForgotten(t *testing.T) {
	one := draft{version: "1", published: "2026-11-01"}.build(t)
	two := changed(t, "2", "2026-11-29", "2027-12-31", "promotion", byLaw)
	three := changed(t, "3", "2028-01-30", "", "promotion", func(*Purpose) {})
	promotion, at := events.SetOf(4), three.EffectiveOn.Start()
	for _, moment := range []time.Time{one.EffectiveOn.Start(), two.EffectiveOn.Start()} { // before its day and on it
		rules := bookOf(t, one, two).RulesAt(moment)
		s, _ := rules.Apply(events.State{}, said(1, events.Granted, promotion, "1"))
		s, out := rules.Apply(s, said(2, events.Withdrawn, promotion, ""))
		require.Equal(t, events.Applied, out.Verdict)
		require.Equal(t, events.ByWithdrawal, bookOf(t, one, two, three).RulesAt(at).Decide(s, "promotion").Reason)
	}
}

func TestWhatTheVersionInForceLacksDeniesWhateverItRestedOn(t *testing.T) {
	one := draft{version: "1", published: "2026-11-01"}.build(t)
	two := draft{version: "2", published: "2026-11-10", edit: func(c *Catalogue) {
		coveredFrom(c, "1")
		c.Purposes = slices.DeleteFunc(c.Purposes, func(p Purpose) bool { return p.Name == "notices" || p.Name == "legal" })
	}}.build(t)
	at := utc(t, "2026-12-01T00:00:00Z")
	s, _ := bookOf(t, one).Rules().Apply(events.State{}, said(1, events.AgreementStarted, 0, ""))
	require.True(t, bookOf(t, one).RulesAt(at).Decide(s, "notices").Allowed)
	for _, b := range []*Book{bookOf(t, two), bookOf(t, one, two)} {
		for _, name := range []events.Purpose{"notices", "legal"} {
			require.Equal(t, events.UnknownPurpose, b.RulesAt(at).Decide(s, name).Reason, name)
		}
		require.True(t, b.RulesAt(at).Decide(s, "service").Allowed)
		require.Equal(t, events.SetOf(3, 8), b.RulesAt(at).Standing(s).Stopped&events.SetOf(1, 3, 8))
	}
}

// Whoever accepted or granted under a version that had a purpose as law or contract
// was not asked for consent to it.
func TestAVersionThatDidNotAskForConsentCoversNone(t *testing.T) {
	one := changed(t, "1", "2026-11-01", "", "promotion", byLaw)
	two := changed(t, "2", "2026-12-01", "", "promotion", func(*Purpose) {})
	b, at := bookOf(t, one, two), utc(t, "2026-12-10T00:00:00Z")
	require.False(t, b.Covers(at, "1", "promotion"))
	require.True(t, b.Covers(at, "1", "research"))
	require.True(t, b.Covers(at, "1", "legal"))
}

// A purpose that was ever purely optional is never refusable: a request for it was
// the withdrawal, and a later version does not turn it back into a request.
func TestWhatOneVersionLetsPeopleStopNoOtherLetsAnybodyRefuse(t *testing.T) {
	one := draft{version: "1", published: "2026-11-01"}.build(t)
	two := changed(t, "2", "2026-11-10", "", "promotion", func(p *Purpose) { p.Withdrawable = events.Refusable })
	s, _ := bookOf(t, one).Rules().Apply(events.State{}, said(1, events.WithdrawalRequested, events.SetOf(4), ""))
	refusal := said(2, events.WithdrawalRefused, events.SetOf(4), "")
	refusal.Request, refusal.ReviewBy = events.Ref{Source: "/app", ID: "1"}, 1
	_, out := bookOf(t, one, two).RulesAt(two.EffectiveOn.Start()).Apply(s, refusal)
	require.Equal(t, events.Outcome{Verdict: events.Park, Reason: events.ReasonNotRefusable, Aside: true}, out, "and holds nobody")

	between := changed(t, "1", "2026-11-01", "", "partner-contracts", func(p *Purpose) { p.Withdrawable = events.Yes })
	again := changed(t, "2", "2026-11-10", "", "partner-contracts", func(*Purpose) {})
	refusal.Purposes = events.SetOf(2)
	_, out = bookOf(t, between, again).RulesAt(again.EffectiveOn.Start()).Apply(s, refusal)
	require.Equal(t, events.ReasonNotRefusable, out.Reason, "though the seed and the newest have it refusable")
	_, out = bookOf(t, again).RulesAt(again.EffectiveOn.Start()).Apply(s, refusal)
	require.NotEqual(t, events.Park, out.Verdict)
}

func TestTheMostCarefulVersionSaysHowFarClocksAreTrusted(t *testing.T) {
	version := func(name, published string, uncertainty events.Millis) *Catalogue {
		return draft{name, published, "", func(c *Catalogue) { c.Uncertainty = uncertainty }}.build(t)
	}
	one, two, three := version("1", "2026-11-01", 900), version("2", "2026-11-02", 100), version("3", "2026-11-03", 5)
	require.EqualValues(t, 900, bookOf(t, three, one, two).RulesAt(utc(t, "2026-12-01T00:00:00Z")).Uncertainty())
	require.EqualValues(t, Seed().Uncertainty, bookOf(t, two, three).Rules().Uncertainty(), "nor less than by the seed")
}

// person is what somebody decided, as this test understands it: the policy has no
// part in that.
type person struct {
	log      []*events.Event
	stopped  map[events.Code]bool
	under    map[events.Code]events.PolicyVersion // of the last grant
	granted  map[events.Code]int                  // its place
	accepted events.PolicyVersion                 // in so many words
	at       int                                  // the place of that
	lives    bool                                 // the agreement
}

// decides draws what a person decides, and the versions that it names.
func decides(t *rapid.T, versions int) *person {
	p := &person{stopped: map[events.Code]bool{}, under: map[events.Code]events.PolicyVersion{}, granted: map[events.Code]int{}}
	for n := range rapid.IntRange(1, 8).Draw(t, "decisions") {
		types := []events.Type{events.Granted, events.Granted, events.Granted, events.Withdrawn, events.WithdrawalRequested, events.PolicyAccepted, events.AgreementStarted, events.AgreementEnded}
		e := said(n, rapid.SampledFrom(types).Draw(t, "type"), 0, "")
		if e.Type <= events.WithdrawalRequested {
			e.Purposes = events.PurposeSet(rapid.Uint64Range(1, 1<<13-1).Draw(t, "purposes")) << 1
		}
		if e.Type == events.Granted || e.Type == events.PolicyAccepted {
			e.Policy = events.PolicyVersion(fmt.Sprint(rapid.IntRange(0, versions).Draw(t, "version"))) // the last is not known
		}
		for c := range e.Purposes.Codes() {
			if p.stopped[c] = e.Type != events.Granted; e.Type == events.Granted {
				p.under[c], p.granted[c] = e.Policy, n
			}
		}
		switch e.Type {
		case events.PolicyAccepted:
			p.accepted, p.at = e.Policy, n
		case events.AgreementStarted, events.AgreementEnded:
			p.lives = e.Type == events.AgreementStarted
		}
		p.log = append(p.log, e)
	}
	return p
}

// mayBe says whether the person may be asked of for the purpose: by the version in
// force alone, and consent to no less than it asks for.
func (p *person) mayBe(b *Book, at time.Time, name events.Purpose) bool {
	now, inForce := b.Current(at)
	if !inForce {
		now = Seed()
	}
	asked, has := now.Purpose(name)
	switch {
	case !has:
		return false
	case asked.Basis == events.Law:
		return true
	case asked.Basis == events.Contract:
		return p.lives
	}
	under, granted := p.under[asked.Code]
	_, known := b.Version(under)
	return granted && known && !p.stopped[asked.Code] &&
		(b.Covers(at, under, name) || p.at > p.granted[asked.Code] && b.Covers(at, p.accepted, name))
}

// The law of policies: whatever a service knew of the policy when it folded an
// event, in whatever order versions came and took effect, and whatever is known
// when somebody asks, nobody is allowed but by the version in force then; and all
// services have the same states.
func TestVersionsOfWhateverBasisInWhateverOrderNeverAllowWrongly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := editionsUpTo(t, 3) // more cost seconds and find nothing else
		p := decides(t, len(all))
		moment := func() time.Time {
			return day(t, "2026-11-01").Add(rapid.IntRange(-1, 7).Draw(t, "day")).Start()
		}
		var states [2]events.State
		for i := range states {
			b, coming := new(Book), rapid.Permutation(all).Draw(t, "arrivals")
			for _, e := range p.log {
				n := rapid.IntRange(0, len(coming)).Draw(t, "arrive before")
				for _, c := range coming[:n] {
					next, err := b.With(c)
					require.NoError(t, err)
					b = next
				}
				coming = coming[n:]
				states[i], _ = b.RulesAt(moment()).Apply(states[i], e)
			}
		}
		require.Equal(t, states[0], states[1])
		known := bookOf(t, rapid.Permutation(all).Draw(t, "known")[:rapid.IntRange(0, len(all)).Draw(t, "how many")]...)
		at := moment()
		rules := known.RulesAt(at)
		for _, name := range rules.Names(rules.All()) {
			a := rules.Decide(states[0], name)
			require.Equal(t, p.mayBe(known, at, name), a.Allowed, "%s: %s", name, a.Reason)
		}
	})
}
