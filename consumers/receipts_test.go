package consumers

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestReceiptsCoverTheLogWithoutAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		rnd := rand.New(rand.NewPCG(9, 10))
		var down atomic.Bool
		b.topics.fail = func(string) error {
			if down.Load() {
				return errors.New("receipts topic is down")
			}
			return nil
		}
		stop := b.start(t)
		for round := range 12 {
			down.Store(round%3 == 1)
			b.story(t, rnd, 40, 20)
			<-time.After(300 * time.Millisecond)
			if round == 6 { // another consumer goes on where this one ended
				require.NoError(t, stop())
				stop = b.start(t)
			}
		}
		down.Store(false)
		b.waitCaughtUp(t)
		<-time.After(10 * time.Second)
		require.NoError(t, stop())

		var decided, acted [testPartitions]int64
		events := 0
		for _, m := range b.topics.of("consent.receipts.v1") {
			var r Receipt
			require.NoError(t, json.Unmarshal(m.Value, &r))
			require.LessOrEqual(t, r.From, acted[r.Partition], "a range is missing")
			require.LessOrEqual(t, r.Acted, r.Decided)
			decided[r.Partition], acted[r.Partition] = max(decided[r.Partition], r.Decided), max(acted[r.Partition], r.Acted)
			for _, n := range r.Counts {
				events += n
			}
		}
		require.Equal(t, b.log.end(), decided)
		require.Equal(t, b.log.end(), acted)
		require.GreaterOrEqual(t, events, 480)
	})
}
