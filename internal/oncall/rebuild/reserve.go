package rebuild

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

const (
	// reserveFor is how long a rebuild that is killed keeps others away.
	reserveFor = 6 * time.Second
	// extendEvery is how often one that lives says so: two may be lost.
	extendEvery = reserveFor / 3
	// slack is kept free beside the second copy: a service goes on writing meanwhile.
	slack = 64 << 20
)

// reserve takes the right to stage, and keeps it until it is given back. One that
// lives is not disturbed; of one that was killed the right ends by itself.
func (r *Rebuild) reserve(ctx context.Context, lost context.CancelCauseFunc) error {
	r.token = rand.Text()
	before := reserveFor * 2
	err := wait(ctx, reserveFor+extendEvery, "a rebuild that was killed is forgotten", func() (bool, error) {
		ok, left, err := r.cfg.Staging.Reserve(ctx, r.token, reserveFor)
		if ok || err != nil {
			return true, err
		}
		if left > before {
			return true, errPatience
		}
		before = left
		return false, nil
	})
	switch {
	case errors.Is(err, errPatience):
		r.token = ""
		return exit.Refuse("another rebuild of %s runs: wait for it, or end it", r.cfg.Live.Layout().Service)
	case err != nil:
		return err
	}
	r.keeping.Go(func() {
		pace := time.NewTicker(extendEvery)
		defer pace.Stop()
		for {
			select {
			case <-pace.C:
			case <-ctx.Done():
				return
			}
			if err := r.cfg.Staging.Extend(ctx, r.token, reserveFor); errors.Is(err, cache.ErrFenced) {
				lost(err)
				return
			}
		}
	})
	return nil
}

// unreserve gives the right back.
func (r *Rebuild) unreserve(ctx context.Context) error {
	if r.end != nil {
		r.end(context.Canceled)
	}
	r.keeping.Wait()
	if r.token == "" {
		return nil
	}
	return r.cfg.Staging.Unreserve(ctx, r.token)
}

// room refuses what Redis has no memory for: a full one refuses the services' own
// writes, and guards deny.
func (r *Rebuild) room(ctx context.Context) error {
	var partitions []int32
	for _, p := range r.parts {
		partitions = append(partitions, p.id)
	}
	rooms, err := r.cfg.Staging.Rooms(ctx, partitions...)
	if err != nil {
		return err
	}
	for _, room := range rooms {
		if room.Need+slack > room.Left {
			return exit.Refuse("redis %s has %d MB left, and a second copy of %s takes %d MB beside %d MB that are kept free: take fewer partitions at a time (--partitions)",
				room.Addr, room.Left>>20, r.cfg.Live.Layout().Service, room.Need>>20, int64(slack)>>20)
		}
	}
	return nil
}
