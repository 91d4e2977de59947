package cache

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/events"
)

// ErrNoLayout: the service never recorded a layout here, or it was flushed.
var ErrNoLayout = errors.New("no layout is recorded")

// Reader looks subjects up in the cache of one service. It only reads: an ACL
// user with +evalsha_ro +eval_ro +hget +hmget +hgetall +time on the service's
// keys is enough. It may be used by many goroutines.
type Reader struct {
	client  redis.UniversalClient
	service string
	lookup  *lookup
	layout  atomic.Pointer[Layout]
}

// NewReader returns a reader of a service's cache. It asks nothing yet.
func NewReader(client redis.UniversalClient, service string) *Reader {
	return &Reader{client: client, service: service, lookup: newLookup()}
}

// Lookup reads all that decides about a subject, in one round trip; the first
// time in two, because it has to learn the layout.
func (r *Reader) Lookup(ctx context.Context, s events.Subject) (View, error) {
	l := r.layout.Load()
	if l == nil {
		if _, err := r.Relearn(ctx); err != nil {
			return View{}, err
		}
		l = r.layout.Load()
	}
	return r.lookup.view(ctx, r.client, *l, s)
}

// Relearn reads the layout again and says whether it is another one: the topic
// has a new generation. It is for when answers turned stale.
func (r *Reader) Relearn(ctx context.Context) (changed bool, err error) {
	l, err := readLayout(ctx, r.client, r.service)
	if err != nil {
		return false, fmt.Errorf("layout of %s: %w", r.service, err)
	}
	before := r.layout.Swap(&l)
	return before == nil || *before != l, nil
}
