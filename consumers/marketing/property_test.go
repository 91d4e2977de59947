package marketing_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/internal/slots/slotstest"
	"github.com/kelisim/kelisim/consumers/marketing"
	"github.com/kelisim/kelisim/events"
)

// Whatever order a team's writes, decisions, actions, their repeats and late
// ones of old owners come in: who is stopped and not in the outbox any more is in
// no audience and no queue, and nobody stopped is ever handed out.
func TestNoInterleavingKeepsAStoppedSubject(t *testing.T) {
	client := slotstest.Redis(t)
	names := slices.Sorted(maps.Keys(campaigns))
	rapid.Check(t, func(t *rapid.T) {
		require.NoError(t, client.FlushAll(ctx()).Err())
		w := newWorld(t, client)
		people := slotstest.Subjects(3)
		pick := func() string { return rapid.SampledFrom(names).Draw(t, "campaign") }
		some := func() []consumers.Turn {
			if len(w.Past) == 0 {
				return nil
			}
			return rapid.SliceOfN(rapid.SampledFrom(w.Past), 0, 3).Draw(t, "turns")
		}
		t.Repeat(map[string]func(*rapid.T){
			"decide": func(t *rapid.T) {
				set := rapid.Uint8Range(0, 15)
				allowed, stopped := set.Draw(t, "allowed"), set.Draw(t, "stopped")
				standing := w.Standing(t, nil, nil)
				for i := range marketing.Purposes() {
					one := w.Standing(t, nil, marketing.Purposes()[i:i+1]).Stopped
					if stopped>>i&1 == 1 {
						standing.Stopped |= one
					} else if allowed>>i&1 == 1 {
						standing.Allowed |= one
					}
				}
				w.Decide(t, rapid.SampledFrom(people).Draw(t, "subject"), standing)
			},
			"admit": func(t *rapid.T) {
				_, err := w.desk.Admit(ctx(), pick(), rapid.SampledFrom(people).Draw(t, "subject"))
				require.NoError(t, err)
			},
			"schedule": func(t *rapid.T) {
				_, err := w.desk.Schedule(ctx(), pick(), time.UnixMilli(1000), people...)
				require.NoError(t, err)
			},
			"take": func(t *rapid.T) {
				name := pick()
				taken, err := w.desk.Take(ctx(), 0, name, time.UnixMilli(2000), 2)
				require.NoError(t, err)
				for _, s := range taken {
					require.Zero(t, w.Newest(s).Stopped&purposeOf(t, w, name), "handed out")
				}
			},
			"act on all":           func(t *rapid.T) { w.Drain(t, w.action) },
			"act and crash":        func(t *rapid.T) { require.NoError(t, w.action.Act(ctx(), w.Slot, w.Pending(t))) },
			"act of an old owner":  func(t *rapid.T) { require.NoError(t, w.action.Act(ctx(), w.Slot, some())) },
			"old owner in between": func(t *rapid.T) { actInBetween(t, w, some()) },
			"":                     func(t *rapid.T) { inOrder(t, w, people) },
		})
	})
}

// actInBetween has an old owner act between the new owner's action and the
// moment that takes the subjects out of the outbox.
func actInBetween(t *rapid.T, w *world, old []consumers.Turn) {
	turns := w.Pending(t)
	require.NoError(t, w.action.Act(ctx(), w.Slot, turns))
	require.NoError(t, w.action.Act(ctx(), w.Slot, old))
	w.Done(t, turns)
}

func purposeOf(t *rapid.T, w *world, campaign string) events.PurposeSet {
	return w.Standing(t, nil, []events.Purpose{campaigns[campaign]}).Stopped
}

// inOrder checks every subject's place in every campaign.
func inOrder(t *rapid.T, w *world, people []events.Subject) {
	var sets, queues []string
	for name, purpose := range campaigns {
		sets = append(sets, "audience:"+name, "suppressed:"+string(purpose))
		queues = append(queues, "queue:"+name)
	}
	members := w.Members(t, sets, queues)
	for _, s := range people {
		if members["outbox"][s.Reveal()] {
			continue
		}
		for name, campaign := range campaigns {
			suppressed := members["suppressed:"+string(campaign)][s.Reveal()]
			purpose, now := purposeOf(t, w, name), w.Newest(s)
			if now.Stopped&purpose != 0 {
				require.False(t, members["audience:"+name][s.Reveal()], "stopped, and in the audience")
				require.False(t, members["queue:"+name][s.Reveal()], "stopped, and in the queue")
				require.True(t, suppressed, "stopped, and not suppressed")
			}
			if now.Allowed&purpose != 0 {
				require.False(t, suppressed, "allowed, and suppressed")
			}
		}
	}
}
