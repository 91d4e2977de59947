package targeting_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/internal/slots/slotstest"
	"github.com/kelisim/kelisim/consumers/targeting"
	"github.com/kelisim/kelisim/events"
)

// Whatever order a team's writes, decisions, actions, their repeats and late
// ones of old owners come in: of who is stopped and not in the outbox any more
// there is no feature and no membership, and no profile is ever handed out.
func TestNoInterleavingKeepsAnythingOfAStoppedSubject(t *testing.T) {
	client := slotstest.Redis(t)
	names := slices.Sorted(maps.Keys(segments))
	people := slotstest.Subjects(3)
	rapid.Check(t, func(t *rapid.T) {
		require.NoError(t, client.FlushAll(ctx()).Err())
		w := newWorld(t, client)
		person := func() events.Subject { return rapid.SampledFrom(people).Draw(t, "subject") }
		purpose := func() events.Purpose { return rapid.SampledFrom(targeting.Purposes()).Draw(t, "purpose") }
		old := func() []consumers.Turn {
			if len(w.Past) == 0 {
				return nil
			}
			return rapid.SliceOfN(rapid.SampledFrom(w.Past), 0, 3).Draw(t, "turns")
		}
		t.Repeat(map[string]func(*rapid.T){
			"decide": func(t *rapid.T) {
				var standing events.Standing
				for _, p := range targeting.Purposes() {
					switch set := w.set(t, p); rapid.SampledFrom([]string{"+", "-", "."}).Draw(t, string(p)) {
					case "+":
						standing.Allowed |= set
					case "-":
						standing.Stopped |= set
					}
				}
				w.Decide(t, person(), standing)
			},
			"join": func(t *rapid.T) {
				_, err := w.desk.Join(ctx(), rapid.SampledFrom(names).Draw(t, "segment"), people...)
				require.NoError(t, err)
			},
			"learn": func(t *rapid.T) {
				_, err := w.desk.Learn(ctx(), purpose(), person(), map[string]string{"seen": "1"})
				require.NoError(t, err)
			},
			"read": func(t *rapid.T) {
				p, s := purpose(), person()
				if profile := w.profile(t, p, s); profile.Personal || len(profile.Features) > 0 {
					require.Zero(t, w.Newest(s).Stopped&w.set(t, p), "handed out")
				}
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
			"": func(t *rapid.T) { inOrder(t, w, people) },
		})
	})
}

func (w *world) set(t slotstest.T, p events.Purpose) events.PurposeSet {
	return w.Standing(t, nil, []events.Purpose{p}).Stopped
}

// inOrder checks every subject's features, memberships and flags.
func inOrder(t *rapid.T, w *world, people []events.Subject) {
	var sets []string
	for name := range segments {
		sets = append(sets, "segment:"+name)
	}
	for _, p := range targeting.Purposes() {
		sets = append(sets, "default:"+string(p))
	}
	members := w.Members(t, sets, nil)
	keys, err := w.client.Keys(ctx(), "*").Result()
	require.NoError(t, err)
	for _, s := range people {
		if members["outbox"][s.Reveal()] {
			continue
		}
		now := w.Newest(s)
		for _, p := range targeting.Purposes() {
			if now.Stopped&w.set(t, p) != 0 {
				require.NotContains(t, keys, w.Slot.Prefix+"features:"+string(p)+":"+s.Reveal())
				require.True(t, members["default:"+string(p)][s.Reveal()], "stopped, and not on the default")
			}
			if now.Allowed&w.set(t, p) != 0 {
				require.False(t, members["default:"+string(p)][s.Reveal()], "allowed, and on the default")
			}
		}
		for name, p := range segments {
			if now.Stopped&w.set(t, p) != 0 {
				require.False(t, members["segment:"+name][s.Reveal()], "stopped, and in a segment")
			}
		}
	}
}
