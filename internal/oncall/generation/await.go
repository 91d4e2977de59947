package generation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// look is how often it is looked where services stand.
const look = 20 * time.Millisecond

// errStill is why something is not waited for any longer.
var errStill = errors.New("unchanged")

// poll calls f now and then until it is done, or fails. What f returns says how far
// the matter is: when it does not change for the patience it is given up.
func poll(ctx context.Context, patience time.Duration, f func() (still string, done bool, err error)) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	before, since := "", time.Now()
	for {
		still, done, err := f()
		switch {
		case done || err != nil:
			return err
		case still != before:
			before, since = still, time.Now()
		case time.Since(since) > patience:
			return fmt.Errorf("%s, %w for %v", still, errStill, patience)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// awaitServices waits until every service has applied its old log to the end, stands
// behind the barriers and has acted on all of it; and then compares their digests.
func (l *layout) awaitServices(ctx context.Context) (string, error) {
	some := l.waiting()
	if len(some) == 0 {
		return "", nil
	}
	all := make([][]cache.Spot, len(some))
	err := poll(ctx, l.Patience, func() (still string, done bool, err error) {
		ends, err := l.Admin.Offsets(ctx, l.Old.Topic)
		if err != nil {
			return "", false, err
		}
		for i, s := range some {
			if all[i], err = s.Old().Spots(ctx, numbers(l.Old.Partitions)...); err != nil {
				return "", false, err
			}
			for p, spot := range all[i] {
				switch {
				case !spot.Known || spot.Next < ends[int32(p)].End:
					return fmt.Sprintf("%s has applied %d of %d events of partition %d of %s: is it running?", s.name(), spot.Next, ends[int32(p)].End, p, l.Old.Topic), false, nil
				case spot.Stage != events.StageEnded:
					return "", false, exit.Refuse("%s read on behind the barrier of partition %d: it is of a build that knows none; start the present one, and \"consentctl rebuild %s --from-log\"", s.name(), p, s.name())
				case spot.Waits > 0:
					return fmt.Sprintf("%s has yet to act on %d subjects of partition %d", s.name(), spot.Waits, p), false, nil
				}
			}
		}
		return "", true, nil
	})
	if err != nil {
		return "", err
	}
	for p := range all[0] {
		for i, s := range some[1:] {
			if a, b := all[0][p], all[i+1][p]; a.Digest != b.Digest {
				return "", exit.Refuse("%s and %s do not hold the same states of partition %d (%012x and %012x): \"consentctl verify\" says who is wrong",
					some[0].name(), s.name(), p, uint64(a.Digest), uint64(b.Digest))
			}
		}
	}
	return fmt.Sprintf("%d services have applied and acted on all of %s", len(some), l.Old.Topic), nil
}
