package slots_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/internal/slots/slotstest"
	"github.com/kelisim/kelisim/consumers/marketing"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/guard"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/testenv"
)

// What the scripts read of a slot, the cache wrote: freshness, and outbox and
// holds under the subject's own id; and a turn out of the cache's outbox counts.
func TestScriptsReadWhatTheCacheWrites(t *testing.T) {
	for name, id := range map[string]string{"plain id": "person-1", "uuid": "0189f7a2-5b3c-7d4e-8f60-112233445566"} {
		t.Run(name, func(t *testing.T) {
			ctx, rules := t.Context(), events.SeedRules()
			client := testenv.Redis(t).Client(t)
			layout := cache.Layout{Service: marketing.Name, Topic: "consent.events.v1", Generation: 1, Partitions: 1, Buckets: 4}
			store, err := cache.NewRedis(ctx, client, layout, slog.New(slog.DiscardHandler))
			require.NoError(t, err)
			claimed, err := store.Claim(ctx, 0)
			require.NoError(t, err)
			_, err = store.Begin(ctx, 0, claimed.Epoch, 0)
			require.NoError(t, err)

			all, err := marketing.Slots(ctx, client)
			require.NoError(t, err)
			slot := consumers.Slot{Partition: 0, Prefix: layout.Prefix(0)}
			require.Equal(t, []consumers.Slot{slot}, all)
			action, err := marketing.New(client, rules, nil)
			require.NoError(t, err)
			desk, err := marketing.Open(client, all)
			require.NoError(t, err)
			require.NoError(t, desk.Register(ctx, "quiz", "contests"))
			subject, err := events.ParseSubject(id)
			require.NoError(t, err)
			sees := func() marketing.Membership {
				m, err := desk.Member(ctx, "quiz", subject)
				require.NoError(t, err)
				return m
			}

			purposes, err := rules.Set("contests")
			require.NoError(t, err)
			at := events.Position{Generation: 1, Offset: 7}
			state, out := rules.Apply(events.State{}, &events.Event{
				Method: events.ByPerson, Source: "test", ID: "1", Type: events.Withdrawn, Subject: subject, Purposes: purposes, Decided: 1000,
				Logged: events.Stamp{Position: at, Appended: 1000},
			})
			require.Equal(t, events.Applied, out.Verdict)
			require.True(t, sees().Doubted, "never proved fresh")
			for _, result := range store.Write(ctx, []cache.Batch{{
				Epoch: claimed.Epoch, From: 0, To: 8, Proved: time.Now(), Changes: []cache.Change{{Subject: subject, State: state, Act: true}},
			}}) {
				require.NoError(t, result.Err)
			}
			require.Equal(t, marketing.Membership{Doubted: true}, sees())

			fresh := func() {
				for _, result := range store.Refresh(ctx, []cache.Proof{{Epoch: claimed.Epoch, Next: 8, Proved: time.Now()}}) {
					require.NoError(t, result.Err)
				}
			}
			due, err := store.Pending(ctx, 0, 10)
			require.NoError(t, err)
			require.Len(t, due, 1)
			version, _ := due[0].State.Version()
			turn := consumers.Turn{Subject: due[0].Subject, Standing: rules.Standing(due[0].State), Version: version}
			require.NoError(t, action.Act(ctx, slot, []consumers.Turn{turn}))
			_, err = store.Done(ctx, 0, claimed.Epoch, due)
			require.NoError(t, err)
			fresh()
			require.Equal(t, marketing.Membership{Suppressed: true}, sees())

			require.NoError(t, store.Hold(ctx, subject, at))
			require.True(t, sees().Doubted)
			require.NoError(t, store.Release(ctx, subject, at))
			fresh()
			require.False(t, sees().Doubted)

			require.NoError(t, store.Owe(ctx, 0, claimed.Epoch, nil, cache.Sweep{Mark: "r/1", Open: true}))
			require.True(t, sees().Doubted, "the policy has changed, and not everybody was acted on")
			require.NoError(t, store.Owe(ctx, 0, claimed.Epoch, nil, cache.Sweep{Mark: "r/1"}))
			require.False(t, sees().Doubted)
		})
	}
}

func TestSlotBehindTheLogIsInDoubt(t *testing.T) {
	ctx, client := t.Context(), testenv.Redis(t).Client(t)
	all := slotstest.Slots(marketing.Name, 1)
	desk, err := marketing.Open(client, all)
	require.NoError(t, err)
	require.NoError(t, desk.Register(ctx, "quiz", "contests"))
	ago := func(d time.Duration) int64 { return time.Now().Add(-d).UnixMilli() }
	const limit = guard.DefaultMaxStaleness
	for name, c := range map[string]struct {
		pos     map[string]any
		doubted bool
	}{
		"lost":             {nil, true},
		"never proved":     {map[string]any{"next": 7}, true},
		"no position":      {map[string]any{"fresh": ago(0)}, true},
		"fresh":            {map[string]any{"next": 7, "fresh": ago(limit / 3)}, false},
		"stale":            {map[string]any{"next": 7, "fresh": ago(limit + time.Millisecond)}, true},
		"from the future":  {map[string]any{"next": 7, "fresh": ago(-time.Minute)}, true},
		"script died":      {map[string]any{"next": 7, "fresh": ago(0), "chunk": "a:0?"}, true},
		"batch half there": {map[string]any{"next": 7, "fresh": ago(0), "chunk": "a:0"}, false},
	} {
		require.NoError(t, client.Del(ctx, all[0].Prefix+"pos").Err())
		if c.pos != nil {
			require.NoError(t, client.HSet(ctx, all[0].Prefix+"pos", c.pos).Err())
		}
		m, err := desk.Member(ctx, "quiz", slotstest.Subject(1))
		require.NoError(t, err)
		require.Equal(t, c.doubted, m.Doubted, name)
	}
}

func TestSlotsAreNotGuessed(t *testing.T) {
	client := testenv.Redis(t).Client(t)
	for _, layout := range []map[string]string{
		nil,
		{"format": "2", "generation": "1", "partitions": "4"},
		{"format": "1", "generation": "-1", "partitions": "4"},
		{"format": "1", "generation": "1", "partitions": "0"},
		{"format": "1", "generation": "1"},
	} {
		if layout != nil {
			require.NoError(t, client.HSet(t.Context(), "consent:{marketing}:layout", layout).Err())
		}
		_, err := marketing.Slots(t.Context(), client)
		require.ErrorContains(t, err, "layout of marketing")
		require.NoError(t, client.FlushAll(t.Context()).Err())
	}
}
