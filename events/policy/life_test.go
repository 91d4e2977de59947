package policy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
)

// watched are the purposes whose answers the life below is printed with.
var watched = []events.Purpose{
	"service", "legal", "promotion", "research", "contractors", "cross-border-nordkino", "cross-border-bosfor",
}

// step is one event of a life and what the guard must say of the watched purposes
// afterwards, one letter each: + allowed, - denied.
type step struct {
	say   string
	at    string // in Almaty
	event events.Event
	want  string
}

// life is one person's, from the agreement to an import after the erasure. The
// second version of the policy widens research, and has a border for each partner.
func life(t *testing.T, rules *events.Rules) []step {
	set := func(names ...events.Purpose) events.PurposeSet {
		s, err := rules.Set(names...)
		require.NoError(t, err)
		return s
	}
	refused := events.Ref{Source: "/app", ID: "request"}
	return []step{
		{"agreement started", "2026-11-02 10:00", events.Event{Type: events.AgreementStarted}, "++-----"},
		{"policy 1 accepted", "2026-11-02 10:01", events.Event{Type: events.PolicyAccepted, Policy: "1"}, "++-----"},
		{"purposes granted", "2026-11-02 10:02", events.Event{Type: events.Granted, Policy: "1", Purposes: set("promotion", "research", "contractors")}, "+++++--"},
		{"policy 2 in force, nothing said", "2026-12-01 09:00", events.Event{}, "+++-+--"},
		{"first use after seven days", "2026-12-09 00:00", events.Event{Type: events.PolicyAccepted, Policy: "2", Method: events.ContinuedUse}, "+++-+--"},
		{"policy 2 accepted", "2026-12-09 12:00", events.Event{Type: events.PolicyAccepted, Policy: "2"}, "+++++--"},
		{"promotion withdrawn", "2026-12-10 09:00", events.Event{Type: events.Withdrawn, Purposes: set("promotion")}, "++-++--"},
		{"contractors: withdrawal requested", "2026-12-11 09:00", events.Event{ID: refused.ID, Type: events.WithdrawalRequested, Purposes: set("contractors")}, "++-+---"},
		{"the request is refused", "2026-12-12 09:00", events.Event{Type: events.WithdrawalRefused, Method: events.ByStaff, Request: refused, ReviewBy: 1_800_000_000_000, Purposes: set("contractors")}, "++-++--"},
		{"one partner's border granted", "2026-12-13 09:00", events.Event{Type: events.Granted, Policy: "2", Purposes: set("cross-border-nordkino")}, "++-+++-"},
		{"blocked", "2026-12-14 09:00", events.Event{Type: events.Blocked}, "-------"},
		{"erasure under the block", "2026-12-14 10:00", events.Event{Type: events.SubjectErased, Method: events.ByStaff}, "-------"},
		{"unblocked", "2026-12-15 09:00", events.Event{Type: events.Unblocked, Method: events.ByStaff}, "++-+++-"},
		{"agreement suspended", "2027-01-10 09:00", events.Event{Type: events.AgreementSuspended, Method: events.ByStaff}, "-+-+++-"},
		{"agreement resumed", "2027-01-12 09:00", events.Event{Type: events.AgreementResumed}, "++-+++-"},
		{"agreement ended", "2027-01-31 18:00", events.Event{Type: events.AgreementEnded}, "-+-+++-"},
		{"three years, erased", "2030-02-01 00:00", events.Event{Type: events.SubjectErased, Method: events.ByStaff}, "-------"},
		{"an import tries to bring it back", "2030-03-01 09:00", events.Event{Type: events.Granted, Method: events.ByImport, Policy: "2", Purposes: rules.All()}, "-------"},
		{"a merge tries to", "2030-03-01 10:00", events.Event{Type: events.AgreementStarted, Method: events.ByMerge}, "-------"},
	}
}

// twoVersions are the policy of the life.
func twoVersions(t *testing.T) *Book {
	one := draft{version: "1", published: "2026-11-01"}.build(t)
	two := draft{version: "2", published: "2026-12-01", edit: func(c *Catalogue) {
		coveredFrom(c, "1")
		purpose(c, "research").Recipients = append(purpose(c, "research").Recipients, "pollster")
		purpose(c, "research").CoveredFrom = "2"
		for i, partner := range []string{"nordkino", "bosfor"} {
			border := *purpose(c, "cross-border")
			border.Code, border.Name = events.Code(14+i), events.Purpose("cross-border-"+partner)
			border.Recipients, border.CrossBorder, border.CoveredFrom = []string{partner}, []string{"NO"}, "2"
			c.Purposes = append(c.Purposes, border)
		}
	}}.build(t)
	return bookOf(t, two, one) // the later arrives first
}

// happen fills in what every event of the life has.
func happen(t *testing.T, s step, n int) (events.Event, time.Time) {
	at, err := time.ParseInLocation("2006-01-02 15:04", s.at, almaty())
	require.NoError(t, err)
	e := s.event
	e.Source = "/app"
	if e.ID == "" {
		e.ID = fmt.Sprint(n)
	}
	if e.Method == 0 {
		e.Method = events.ByPerson
	}
	e.Decided = events.MillisOf(at)
	e.Logged = events.Stamp{Position: events.Position{Generation: 1, Offset: int64(n)}, Appended: e.Decided + 5}
	return e, at
}

func answers(r *events.Rules, s events.State) string {
	var out strings.Builder
	for _, p := range watched {
		if r.Decide(s, p).Allowed {
			out.WriteByte('+')
		} else {
			out.WriteByte('-')
		}
	}
	return out.String()
}

func TestAWholeLifeIsAnsweredAsThePolicySays(t *testing.T) {
	book := twoVersions(t)
	var s events.State
	for n, step := range life(t, book.Rules()) {
		e, at := happen(t, step, n)
		rules, out := book.RulesAt(at), events.Outcome{}
		if e.Type != 0 {
			s, out = rules.Apply(s, &e)
		}
		t.Logf("%s  %-36s %-10s %s", step.at, step.say, out.Verdict, answers(rules, s))
		require.Equal(t, step.want, answers(rules, s), "%s: %s", step.say, watched)
	}
	ended, err := time.ParseInLocation("2006-01-02 15:04", "2027-01-31 18:00", almaty())
	require.NoError(t, err)
	require.Equal(t, "2030-02-01 00:00", DueAt(ended, DefaultRetention).In(almaty()).Format("2006-01-02 15:04"), "the erasure is due when it comes")
}

// Copies, redrives and late arrivals of the life's events, in any order that the
// log can bring about, never end in an answer that the life itself would not have had.
func TestAShuffledLifeNeverAllowsMore(t *testing.T) {
	book := twoVersions(t)
	steps := life(t, book.Rules())
	for end := 3; end <= len(steps); end++ {
		var told []events.Event
		var s events.State
		var at time.Time
		for n, step := range steps[:end] {
			var e events.Event
			if e, at = happen(t, step, n); e.Type != 0 {
				var out events.Outcome
				if s, out = book.RulesAt(at).Apply(s, &e); out.Verdict != events.Park || out.Aside {
					told = append(told, e) // the erasure under the block was dismissed by hand
				}
			}
		}
		rules := book.RulesAt(at)
		allowed := rules.Standing(s).Allowed
		rnd := rand.New(rand.NewPCG(uint64(end), 1))
		for range 400 {
			mixed := append(slices.Clone(told), told[rnd.IntN(len(told))], told[rnd.IntN(len(told))])
			rnd.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
			var s events.State
			var appended events.Millis
			held, stood := false, make(map[string]events.Stamp)
			for i := range mixed { // nothing is appended before it was decided
				appended = max(appended, mixed[i].Decided) + 5
				mixed[i].Logged = events.Stamp{Position: events.Position{Generation: 1, Offset: int64(i)}, Appended: appended}
				if first, copied := stood[mixed[i].ID]; !copied {
					stood[mixed[i].ID] = mixed[i].Logged
				} else if rnd.IntN(2) == 0 {
					mixed[i].First = first
				}
				var out events.Outcome
				s, out = rules.Apply(s, &mixed[i])
				held = held || out.Verdict == events.Park && !out.Aside // an erasure that came under the block, say
			}
			if held {
				continue // denied until somebody decides about what is parked
			}
			byLaw, _ := rules.Set("legal") // to be heard of is enough
			require.Zero(t, rules.Standing(s).Allowed&^allowed&^byLaw, "after %q: allowed %v", steps[end-1].say, rules.Names(rules.Standing(s).Allowed&^allowed))
		}
	}
}
