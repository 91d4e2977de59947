package rebuild

import (
	"context"
	"errors"
	"fmt"

	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// part is one partition on its way.
type part struct {
	*Rebuild
	id     int32
	follow *follower // folds into what is staged, once it runs
	report Part

	end, shown int64 // where the live one stood when it began, and where the progress is
}

// show moves the progress to an offset. It never goes back: who builds once more,
// another way, is there already.
func (p *part) show(to int64) {
	if to = min(to, p.end); to > p.shown {
		p.cfg.Progress.Add(p.id, to-p.shown)
		p.shown = to
	}
}

// stage builds the partition beside the live one, and leaves it following the log
// for as long as life lasts: from snapshots, unless there are none, or what comes
// of them is not what another cache has. Then from the whole log, if that is whole.
func (p *part) stage(ctx, life context.Context) error {
	kept, err := p.kept(ctx)
	if err != nil {
		return err
	}
	p.report = Part{Partition: p.id, Source: FromSnapshots}
	why := "--from-log"
	if !p.cfg.FromLog {
		if why, err = p.try(ctx, life, p.fromSnapshots); err != nil {
			return err
		}
		if why == "" && p.report.Unverified != "" && kept.First == 0 {
			why = p.report.Unverified // the whole log is better, and is there
		}
	}
	if why != "" {
		if kept.First > 0 && !p.cfg.Remains {
			return exit.Refuse("partition %d: the log begins at %d, and snapshots do not stand in (%s): a permission in it may have lost"+
				" the withdrawal before it; --from-remains builds from what is left", p.id, kept.First, why)
		}
		if !p.cfg.FromLog {
			p.cfg.Logger.Warn("building from the log", "partition", p.id, "from", kept.First, "why", why)
		}
		p.report = Part{Partition: p.id, Source: FromLog, Why: why, From: kept.First}
		if _, err := p.try(ctx, life, p.fromLog); err != nil {
			return err
		}
	}
	return p.compare(ctx)
}

// try builds the partition one way, and says why that could not be done. Whether
// another cache bears it out stands in the report.
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
	return "", p.verify(ctx)
}

// fromLog leaves the partition without a position: the engine then begins at the
// start of the log.
func (p *part) fromLog(context.Context) (string, error) { return "", nil }

// catchUp waits until the staged position has been where the live one is.
func (p *part) catchUp(ctx context.Context) error {
	for there := false; !there; { // however long the log is: the patience is for what does not move
		before := int64(-1)
		err := wait(ctx, p.cfg.Patience, fmt.Sprintf("partition %d catches up", p.id), func() (bool, error) {
			live, staged, err := p.stand(ctx)
			if err != nil {
				return true, err
			}
			if staged.Known {
				p.show(staged.Next)
			}
			there = staged.Known && staged.Next >= live.Next
			moved := before >= 0 && staged.Next > before
			before = staged.Next
			return there || moved, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
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

// swap puts the staged partition in the place of the live one at the first moment
// at which nothing is lost by it: the staged position is there or ahead, and the
// service has kept aside itself what cannot be applied in between.
func (p *part) swap(ctx context.Context) error {
	if p.report.Unverified != "" && !p.cfg.Unverified {
		return exit.Refuse("partition %d is not verified: %s", p.id, p.report.Unverified)
	}
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
