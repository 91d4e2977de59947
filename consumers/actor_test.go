package consumers

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
)

// slowAction is slow the first time, and notes in which order it is given the states
// of one subject.
type slowAction struct {
	who   events.Subject
	wait  func()
	first sync.Once

	mu   sync.Mutex
	seen []int64
}

func (a *slowAction) Act(_ context.Context, _ Slot, turns []Turn) error {
	for _, t := range turns {
		if t.Subject == a.who {
			a.mu.Lock()
			a.seen = append(a.seen, t.Version.Offset)
			a.mu.Unlock()
			a.first.Do(a.wait)
		}
	}
	return nil
}

// The outbox says where everybody stands now. What was stored while it was acted on
// waits in memory meanwhile, and is over by then.
func TestNoTurnIsActedOnBehindANewerOneOfItsSubject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		promotion, err := b.rules.Set("promotion")
		require.NoError(t, err)
		who := subject(t, 1)
		partition := events.PartitionOf(who.Reveal(), testPartitions)
		told := int64(0)
		decide := func(s events.Subject) {
			i := len(b.log.told)
			b.log.tell(events.Event{
				Method: events.ByPerson, Policy: events.SeedPolicy, ID: fmt.Sprint("e", i), Source: "/web",
				Type: []events.Type{events.Granted, events.Withdrawn}[i%2], Subject: s, Decided: events.Millis(1_000_000 + 1000*i), Purposes: promotion,
			})
			told++
		}
		stored := func() {
			for b.mark(partition).Next < told {
				<-time.After(time.Millisecond) // of the bubble's own clock
			}
		}
		action := &slowAction{who: who, wait: func() {
			decide(who)
			stored()
			for n, others := 2, 0; others <= actTurns; n++ {
				if s := subject(t, n); events.PartitionOf(s.Reveal(), testPartitions) == partition {
					decide(s)
					others++
				}
			}
			decide(who)
			stored()
		}}
		b.cfg.Service = Service{Name: "marketing", EveryChange: true, Action: action}
		decide(who)
		stop := b.start(t)
		b.waitCaughtUp(t)
		<-time.After(time.Second) // what waits in memory comes behind that
		require.NoError(t, stop())
		require.IsNonDecreasing(t, action.seen)
		require.Equal(t, told-1, action.seen[len(action.seen)-1])
	})
}

// A cache that was flushed is filled anew from earlier positions: what was done there
// before proves nothing, and whatever is left out is looked for in the outbox.
func TestTurnsThatSeemDoneAreLookedForInTheOutbox(t *testing.T) {
	b := newBed(t)
	c, err := New(b.cfg)
	require.NoError(t, err)
	who := subject(t, 1)
	id := events.PartitionOf(who.Reveal(), testPartitions)
	claimed, err := b.store.Claim(t.Context(), id)
	require.NoError(t, err)
	_, err = b.store.Begin(t.Context(), id, claimed.Epoch, 0)
	require.NoError(t, err)
	promotion, err := b.rules.Set("promotion")
	require.NoError(t, err)
	e := events.Event{
		Method: events.ByPerson, Policy: events.SeedPolicy, ID: "e", Source: "/web", Type: events.Withdrawn, Subject: who,
		Decided: 1_000_000, Purposes: promotion,
	}
	e.Logged = b.log.tell(e)
	state, _ := b.rules.Apply(events.State{}, &e)
	require.NoError(t, b.store.Write(t.Context(), []cache.Batch{{
		Partition: id, Epoch: claimed.Epoch, To: 1, Changes: []cache.Change{{Subject: who, State: state, Act: true}},
	}})[0].Err)
	p := &partition{id: id, acting: b.policy.Current(), under: claimed.Epoch, done: 100}
	p.epoch.Store(claimed.Epoch)
	a := newActor(c, newReceipts(c), map[int32]*partition{id: p})

	require.NoError(t, a.drain(t.Context(), p, &duty{turns: []cache.Pending{{Subject: who, State: state}}, to: 1}))
	require.Equal(t, state, b.action.states[who.Reveal()])
	require.EqualValues(t, 1, p.done)
}
