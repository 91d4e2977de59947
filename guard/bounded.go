package guard

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
)

// bound returns a reader whose deadlines hold. A client without
// ContextTimeoutEnabled ignores them once a command is on its way, and waits for
// its read timeout instead, five seconds by default (go-redis issue 2556).
func bound(client redis.UniversalClient, r reader) reader {
	switch c := client.(type) {
	case *redis.Client:
		if c.Options().ContextTimeoutEnabled {
			return r
		}
	case *redis.ClusterClient:
		if c.Options().ContextTimeoutEnabled {
			return r
		}
	}
	return &bounded{reader: r}
}

// maxWaiting bounds the lookups that run on though nobody waits for them: a
// Redis that hangs must not fill the memory of who asks.
const maxWaiting = 512

var errBusy = errors.New("too many checks wait for redis already")

// bounded runs a reader's calls beside the caller and leaves them at the deadline.
type bounded struct {
	reader  reader
	waiting atomic.Int64
}

// Lookup implements reader.
func (b *bounded) Lookup(ctx context.Context, s events.Subject) (cache.View, error) {
	return beside(ctx, b, func() (cache.View, error) { return b.reader.Lookup(ctx, s) })
}

// Relearn implements reader.
func (b *bounded) Relearn(ctx context.Context) (bool, error) {
	return beside(ctx, b, func() (bool, error) { return b.reader.Relearn(ctx) })
}

// Policies implements reader.
func (b *bounded) Policies(ctx context.Context) (cache.Policies, error) {
	return beside(ctx, b, func() (cache.Policies, error) { return b.reader.Policies(ctx) })
}

func beside[T any](ctx context.Context, b *bounded, ask func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	if b.waiting.Add(1) > maxWaiting {
		b.waiting.Add(-1)
		return none, errBusy
	}
	answered := make(chan answer, 1)
	go func() {
		defer b.waiting.Add(-1)
		value, err := ask()
		answered <- answer{value, err}
	}()
	select {
	case a := <-answered:
		return a.value, a.err
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}
