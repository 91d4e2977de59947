package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
)

// look is where the log ends and where every service stands, at one moment.
type look struct {
	log     map[int32]stream.Offsets
	stands  map[string][]cache.Stand   // by service; none recorded a layout: absent
	commits map[string]map[int32]int64 // by service: what its group acknowledged
}

// looks are two, with a pause between them: what ought to move did, or did not.
type looks struct{ first, second look }

// twice looks twice.
func (e *Env) twice(ctx context.Context) (looks, error) {
	return e.looked.get(func() (l looks, err error) {
		if l.first, err = e.once(ctx); err != nil {
			return l, err
		}
		select {
		case <-time.After(cmp.Or(e.Pause, DefaultPause)):
		case <-ctx.Done():
			return l, context.Cause(ctx)
		}
		l.second, err = e.once(ctx)
		return l, err
	})
}

// once looks: at the services first, so that none is behind only because the log
// grew while they were asked.
func (e *Env) once(ctx context.Context) (look, error) {
	out := look{stands: make(map[string][]cache.Stand), commits: make(map[string]map[int32]int64)}
	client, err := e.Redis()
	if err != nil {
		return out, err
	}
	admin, err := e.Admin()
	if err != nil {
		return out, err
	}
	if out.log, err = admin.Offsets(ctx, e.Topics.Events); err != nil {
		return out, err
	}
	for _, s := range e.Services {
		stands, err := cache.NewReader(client, s.Name).Stands(ctx)
		if errors.Is(err, cache.ErrNoLayout) {
			continue
		}
		if err != nil {
			return out, fmt.Errorf("cache of %s: %w", s.Name, err)
		}
		out.stands[s.Name] = stands
		if out.commits[s.Name], err = admin.CommittedOffsets(ctx, s.Group, e.Topics.Events); err != nil {
			return out, err
		}
	}
	return out, nil
}
