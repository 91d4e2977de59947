package affiliate_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/affiliate"
	"github.com/kelisim/kelisim/consumers/internal/slots/slotstest"
	"github.com/kelisim/kelisim/events"
)

// told remembers the stops that a partner acknowledged.
type told map[events.Position]affiliate.Stop

// Whatever order decisions, actions, their repeats, late ones of old owners,
// deliveries and rotations of keys come in: who is stopped and not in the outbox
// any more is shared with nobody, each partner concerned has its stop or will,
// and no acknowledged stop comes back.
func TestNoInterleavingSharesAStoppedSubjectOrLosesAStop(t *testing.T) {
	client := slotstest.Redis(t)
	people := slotstest.Subjects(2)
	rapid.Check(t, func(t *rapid.T) {
		require.NoError(t, client.FlushAll(ctx()).Err())
		w := newWorld(t, client)
		heard := []told{{}, {}}
		next := byte(10)
		old := func() []consumers.Turn {
			if len(w.Past) == 0 {
				return nil
			}
			return rapid.SliceOfN(rapid.SampledFrom(w.Past), 0, 3).Draw(t, "turns")
		}
		t.Repeat(map[string]func(*rapid.T){
			"decide": func(t *rapid.T) {
				var standing events.Standing
				for _, p := range affiliate.Purposes() {
					switch set := w.set(t, p); rapid.SampledFrom([]string{"+", "-", "."}).Draw(t, string(p)) {
					case "+":
						standing.Allowed |= set
					case "-":
						standing.Stopped |= set
					}
				}
				w.Decide(t, rapid.SampledFrom(people).Draw(t, "subject"), standing)
			},
			"act on all":          func(t *rapid.T) { w.Drain(t, w.action) },
			"act and crash":       func(t *rapid.T) { require.NoError(t, w.action.Act(ctx(), w.Slot, w.Pending(t))) },
			"act of an old owner": func(t *rapid.T) { require.NoError(t, w.action.Act(ctx(), w.Slot, old())) },
			"old owner in between": func(t *rapid.T) {
				turns := w.Pending(t)
				require.NoError(t, w.action.Act(ctx(), w.Slot, turns))
				require.NoError(t, w.action.Act(ctx(), w.Slot, old()))
				w.Done(t, turns)
			},
			"deliver": func(t *rapid.T) {
				i := rapid.IntRange(0, 1).Draw(t, "partner")
				stops := w.due(t, w.partners[i].ID)
				for _, stop := range stops {
					require.NotContains(t, heard[i], stop.DecidedBy, "came back")
					heard[i][stop.DecidedBy] = stop
				}
				require.NoError(t, w.queue(t, w.partners[i].ID).Ack(ctx(), stops...))
			},
			"share": func(t *rapid.T) {
				i := rapid.IntRange(0, 1).Draw(t, "partner")
				shares, err := w.desk.Share(ctx(), w.partners[i].ID, "contractors", people...)
				require.NoError(t, err)
				for j, s := range people {
					stopped, _ := w.stands(t, w.partners[i], "contractors", s)
					require.False(t, stopped && shares[j].Pseudonym != "", "stopped, and shared")
				}
			},
			"rotate": func(t *rapid.T) {
				for _, s := range people { // everyone is acted on anew before the oldest key goes
					w.Decide(t, s, w.Newest(s))
				}
				w.Drain(t, w.action)
				w.rotate(t, rapid.IntRange(0, 1).Draw(t, "partner"), next)
				next++
			},
			"": func(t *rapid.T) { inOrder(t, w, people, heard) },
		})
	})
}

func (w *world) set(t slotstest.T, p events.Purpose) events.PurposeSet {
	return w.Standing(t, nil, []events.Purpose{p}).Stopped
}

// inOrder checks what each partner may be given, and what it was told.
func inOrder(t *rapid.T, w *world, people []events.Subject, heard []told) {
	var sets []string
	for _, partner := range w.partners {
		for _, purpose := range partner.Purposes {
			sets = append(sets, "closed:"+partner.ID+":"+string(purpose))
		}
	}
	members := w.Members(t, sets, nil)
	for i, partner := range w.partners {
		for _, purpose := range partner.Purposes {
			closed := members["closed:"+partner.ID+":"+string(purpose)]
			for _, s := range people {
				stopped, allowed := w.stands(t, partner, purpose, s)
				switch {
				case members["outbox"][s.Reveal()]: // in doubt: nothing is shared
				case stopped:
					require.True(t, closed[string(partner.Current.Pseudonym(s))] ||
						closed[string(partner.Previous.Pseudonym(s))], "stopped, and open")
					require.True(t, knows(heard[i], purpose, s, w.Past) ||
						knows(w.waiting(t, partner.ID), purpose, s, w.Past), "stopped, and nobody tells the partner")
				case allowed:
					require.False(t, closed[string(partner.Current.Pseudonym(s))], "allowed, and closed")
				}
			}
		}
	}
}

// stands says where a subject stands for a partner.
func (w *world) stands(t *rapid.T, partner affiliate.Partner, purpose events.Purpose, s events.Subject) (stopped, allowed bool) {
	now, set, border := w.Newest(s), w.set(t, purpose), w.set(t, "cross-border")
	stopped = now.Stopped&set != 0 || partner.Abroad() && now.Allowed&set != 0 && now.Stopped&border != 0
	return stopped, now.Allowed&set != 0 && (!partner.Abroad() || now.Allowed&border != 0)
}

// waiting reads a partner's queue and leaves it as it is.
func (w *world) waiting(t *rapid.T, partner string) told {
	q, stops := w.queue(t, partner), make(told)
	all, err := q.Next(ctx(), 0, time.Now().Add(time.Hour), 100)
	require.NoError(t, err)
	for _, stop := range all {
		require.NoError(t, q.Retry(ctx(), stop, time.Now()))
		stops[stop.DecidedBy] = stop
	}
	return stops
}

// knows says whether a stop for the subject and purpose is among the stops.
func knows(stops told, purpose events.Purpose, s events.Subject, past []consumers.Turn) bool {
	return slices.ContainsFunc(past, func(turn consumers.Turn) bool {
		return turn.Subject == s && slices.Contains(stops[turn.Version].Purposes, purpose)
	})
}
