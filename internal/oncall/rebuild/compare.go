package rebuild

import (
	"context"
	"errors"
	"fmt"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
)

// compare finds what the swap would change, and stages that the service is to act
// on it. A subject that an event is just changing, here first or there, is looked
// at again when both have applied it.
func (p *part) compare(ctx context.Context) error {
	since := make(map[events.Subject]int64)
	buckets := p.all()
	err := wait(ctx, p.cfg.Patience, fmt.Sprintf("partition %d is compared", p.id), func() (bool, error) {
		var again []int32
		seen := p.report.Subjects > 0
		subjects, err := p.cfg.Staging.Differences(ctx, p.id, buckets, func(d cache.Differing) error {
			if p.judge(&d, since) {
				again = append(again, d.Bucket)
			}
			return nil
		})
		if errors.Is(err, cache.ErrUnavailable) {
			return false, nil // all of them once more: who was judged stays so
		}
		if !seen {
			p.report.Subjects = subjects
		}
		buckets = again
		return len(again) == 0, err
	})
	if err != nil {
		return err
	}
	p.report.Unchanged = max(0, p.report.Subjects-int64(len(since)))
	live, staged, err := p.stand(ctx)
	if err != nil {
		return err
	}
	p.report.Live, p.report.Staged, p.report.Digest = live.Next, staged.Next, fmt.Sprintf("%012x", uint64(staged.Digest))
	return unshaken(ctx, func() error { return p.cfg.Staging.Waits(ctx, p.id, since) })
}

// judge counts the differences of a bucket, each subject once, and says whether one
// has to be looked at again.
func (p *part) judge(d *cache.Differing, since map[events.Subject]int64) (again bool) {
	for _, one := range d.All {
		subject, err := cache.SubjectOf(one.Field)
		if err != nil {
			p.report.Otherwise++ // no subject at all: it will be gone
			continue
		}
		if _, known := since[subject]; known {
			continue
		}
		live, was := p.read(one.Live)
		staged, is := p.read(one.Staged)
		if was.Offset >= d.NewNext && was.Offset < d.LiveNext || is.Offset >= d.LiveNext && is.Offset < d.NewNext {
			again = true
			continue
		}
		since[subject] = min(max(is.Offset, 0), d.NewNext)
		before, after := p.cfg.Rules.Standing(live).Allowed, p.cfg.Rules.Standing(staged).Allowed
		switch {
		case after&^before != 0:
			p.report.WouldAllow++
		case before&^after != 0:
			p.report.WouldDeny++
		default:
			p.report.Otherwise++
		}
	}
	return again
}

// read reads stored bytes. What is no state of this partition permits nothing, and
// has a version that no log has.
func (p *part) read(stored string) (events.State, events.Version) {
	state, err := events.ParseState([]byte(stored))
	at, known := state.Version()
	if err != nil || !known || at.Partition != p.id || at.Generation != p.cfg.Live.Layout().Generation {
		return events.State{}, events.Version{Offset: -1}
	}
	return state, at
}
