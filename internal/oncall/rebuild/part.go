package rebuild

import (
	"context"
	"errors"
	"fmt"

	"github.com/kelisim/kelisim/internal/cache"
)

// part is one partition on its way.
type part struct {
	*Rebuild
	id     int32
	follow *follower // folds into what is staged, once it runs
	report Part
}

// stage builds the partition beside the live one, and leaves it following the log
// for as long as life lasts: from snapshots, unless there are none, or what comes
// of them is not what another cache has. Then from the whole log.
func (p *part) stage(ctx, life context.Context) error {
	p.report = Part{Partition: p.id, Source: FromSnapshots}
	why := "--from-log"
	if !p.cfg.FromLog {
		var err error
		if why, err = p.try(ctx, life, p.fromSnapshots); err != nil {
			return err
		}
	}
	if why != "" {
		if !p.cfg.FromLog {
			if err := p.remains(ctx, why); err != nil {
				return err
			}
			p.cfg.Logger.Warn("building from the whole log", "partition", p.id, "why", why)
		}
		p.report = Part{Partition: p.id, Source: FromLog, Why: why}
		if _, err := p.try(ctx, life, p.fromLog); err != nil {
			return err
		}
	}
	return p.compare(ctx)
}

// try builds the partition one way, and says why that did not do.
func (p *part) try(ctx, life context.Context, build func(context.Context) (why string, err error)) (why string, err error) {
	if err := p.close(ctx); err != nil { // whatever is there, of us or of another
		return "", err
	}
	if why, err = build(ctx); why != "" || err != nil {
		return why, err
	}
	if p.follow, err = p.newFollower(life); err != nil {
		return "", err
	}
	if err := p.catchUp(ctx); err != nil {
		return "", err
	}
	return p.verify(ctx)
}

// fromLog leaves the partition without a position: the engine then begins at the
// start of the log.
func (p *part) fromLog(context.Context) (string, error) { return "", nil }

// catchUp waits until the staged position has been where the live one is.
func (p *part) catchUp(ctx context.Context) error {
	for { // however long the log is: the patience is for what does not move
		before := int64(-1)
		err := wait(ctx, p.cfg.Patience, fmt.Sprintf("partition %d catches up", p.id), func() (bool, error) {
			live, staged, err := p.stand(ctx)
			if err != nil || staged.Known && staged.Next >= live.Next {
				return true, err
			}
			moved := before >= 0 && staged.Next > before
			before = staged.Next
			return moved, nil
		})
		if err != nil {
			return err
		}
		if live, staged, err := p.stand(ctx); err != nil || staged.Known && staged.Next >= live.Next {
			return err
		}
	}
}

// stand returns where the live and the staged partition stand.
func (p *part) stand(ctx context.Context) (live, staged cache.Spot, err error) {
	if err := p.follow.fault(); err != nil {
		return live, staged, err
	}
	if live, err = spots(ctx, p.cfg.Live, p.id); err == nil {
		staged, err = spots(ctx, p.follow.staged, p.id)
	}
	return live, staged, err
}

// verify compares the staged digest with those of the caches that stand, or stood
// a moment ago, at the same position, the live one among them: its digest is that of what it once
// folded, whatever became of the states since. One that agrees is enough; when
// none does within the time, it says so.
func (p *part) verify(ctx context.Context) (why string, err error) {
	why = "no other cache stood at the same position"
	ours := make(map[int64]cache.Digest) // by position
	theirs := make(map[string]map[int64]cache.Digest)
	err = wait(ctx, verifyFor, fmt.Sprintf("partition %d is verified", p.id), func() (bool, error) {
		_, staged, err := p.stand(ctx)
		if err != nil {
			return true, err
		}
		ours[staged.Next] = staged.Digest
		for _, other := range append([]*cache.Inspector{p.cfg.Live}, p.cfg.Witnesses...) {
			name := other.Layout().Service
			spot, err := spots(ctx, other, p.id)
			if err != nil {
				return true, err
			}
			if theirs[name] == nil {
				theirs[name] = make(map[int64]cache.Digest)
			}
			if spot.Known {
				theirs[name][spot.Next] = spot.Digest
			}
			same, differ := match(ours, theirs[name])
			switch {
			case same:
				p.report.Verified = append(p.report.Verified, name)
			case differ >= 0:
				why = fmt.Sprintf("its digest at %d is %012x, and that of %s is %012x", differ, uint64(ours[differ]), name, uint64(theirs[name][differ]))
			}
		}
		return len(p.report.Verified) > 0, nil
	})
	if !errors.Is(err, errPatience) {
		return "", err
	}
	p.report.Unverified = why // of the whole log it is said, and not refused: there is nothing better
	return why, nil
}

// match says whether two caches had the same digest at a position of both, and if
// they only had others, at which; -1 where they never met.
func match(ours, theirs map[int64]cache.Digest) (same bool, differ int64) {
	differ = -1
	for at, digest := range theirs {
		own, met := ours[at]
		if met && own == digest {
			return true, -1
		}
		if met {
			differ = at
		}
	}
	return false, differ
}

// swap puts the staged partition in the place of the live one at the first moment
// at which nothing is lost by it: the staged position is there or ahead, and the
// service has kept aside itself what cannot be applied in between.
func (p *part) swap(ctx context.Context) error {
	unheard := false // a swap was sent, and Redis did not answer
	err := wait(ctx, p.cfg.Patience, fmt.Sprintf("partition %d is swapped", p.id), func() (bool, error) {
		live, staged, err := p.stand(ctx)
		if err != nil || unheard && live.Known && !staged.Known { // it was done
			return true, err
		}
		reached := p.follow.reached()
		if !live.Known || !staged.Known || live.Next > staged.Next || live.Next < reached {
			return false, nil
		}
		epoch := p.follow.pause()
		err = p.cfg.Staging.Swap(ctx, p.id, epoch, reached)
		if unheard = errors.Is(err, cache.ErrUnavailable); unheard {
			return false, nil
		}
		if errors.Is(err, cache.ErrNotYet) {
			p.follow.resume()
			return false, nil
		}
		return true, err
	})
	if err != nil {
		return err
	}
	p.report.Swapped = true
	return p.close(ctx)
}

// close ends the following and removes what is staged.
func (p *part) close(ctx context.Context) error {
	if p.follow != nil {
		p.follow.stop()
		p.follow = nil
	}
	if err := unshaken(ctx, func() error { return p.cfg.Staging.Drop(ctx, p.id) }); err != nil {
		return fmt.Errorf("%w; \"rebuild\" removes it the next time", err)
	}
	return nil
}
