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
