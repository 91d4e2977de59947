package cache

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// rebuildName is the key that says that a rebuild of a service runs. It is the one
// key with a time to live: whoever is killed leaves it for seconds only.
const rebuildName = "rebuild"

// Both compare who holds the key first. KEYS[1]: it. ARGV: 1 token, 2 milliseconds.
var (
	extend  = redis.NewScript("if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end return redis.call('PEXPIRE', KEYS[1], ARGV[2])")
	unleash = redis.NewScript("if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end return redis.call('DEL', KEYS[1])")
)

func reserveKey(service string) string { return "consent:{" + service + "}:" + rebuildName }

// Reserve takes the right to stage the service's partitions, for that long. Where
// another has it, ok is false, and left is for how long still: it rises when the
// other extends it.
func (s *Staging) Reserve(ctx context.Context, token string, long time.Duration) (ok bool, left time.Duration, err error) {
	if ok, err = s.client.SetNX(ctx, reserveKey(s.live.Service), token, long).Result(); err == nil && !ok {
		left, err = s.client.PTTL(ctx, reserveKey(s.live.Service)).Result()
	}
	if err != nil {
		return false, 0, fmt.Errorf("reserve the rebuild of %s: %w", s.live.Service, classify(err))
	}
	return ok, left, nil
}

// Extend keeps the right for that long from now. It fails ([ErrFenced]) when the right
// is gone: it ended before it was extended, and another rebuild may have it.
func (s *Staging) Extend(ctx context.Context, token string, long time.Duration) error {
	n, err := extend.Run(ctx, s.client, []string{reserveKey(s.live.Service)}, token, long.Milliseconds()).Int()
	switch {
	case err != nil:
		return fmt.Errorf("keep the rebuild of %s: %w", s.live.Service, classify(err))
	case n == 0:
		return fmt.Errorf("keep the rebuild of %s: %w: the right ended before it was extended", s.live.Service, ErrFenced)
	}
	return nil
}

// Unreserve gives the right back, if it is still ours.
func (s *Staging) Unreserve(ctx context.Context, token string) error {
	if err := unleash.Run(ctx, s.client, []string{reserveKey(s.live.Service)}, token).Err(); err != nil {
		return fmt.Errorf("give the rebuild of %s back: %w", s.live.Service, classify(err))
	}
	return nil
}
