package cache

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// checkInterval is how long a check of the server's settings holds. A consumer
// claims many partitions at once, and asks once.
const checkInterval = 5 * time.Second

// What a bucket needs to stay in its compact form: room for a state that five
// purposes made (115 bytes) twice over, and for eight times the subjects that a
// bucket should have. Larger ones cost memory, never correctness.
const (
	wantListpackValue   = 256
	wantListpackEntries = 128
)

// safePolicy is the only maxmemory-policy under which Redis never deletes.
const safePolicy = "noeviction"

// Check refuses a Redis that may evict states ([ErrEvicting]), and warns when its
// settings would take states out of their compact form. Every Claim checks too,
// if the last check is older than five seconds.
func (r *Redis) Check(ctx context.Context) error {
	var once sync.Mutex // the nodes are asked at the same time
	return EachNode(ctx, r.client, func(ctx context.Context, client *redis.Client) error {
		settings, err := settings(ctx, client)
		if err != nil {
			return fmt.Errorf("settings of redis: %w", classify(err))
		}
		once.Lock()
		defer once.Unlock()
		r.warn(settings)
		if policy := settings["maxmemory-policy"]; policy != safePolicy {
			return fmt.Errorf("%w (is %q)", ErrEvicting, policy)
		}
		return nil
	})
}

// settings asks a node for what matters. A managed Redis may forbid CONFIG; INFO
// names the policy too.
func settings(ctx context.Context, client *redis.Client) (map[string]string, error) {
	all, err := client.ConfigGet(ctx, "*max*").Result()
	if err == nil {
		return all, nil
	}
	if !refused(err) {
		return nil, err
	}
	text, err := client.Info(ctx, "memory").Result()
	if err != nil {
		return nil, err
	}
	return map[string]string{"maxmemory-policy": fieldsOfInfo(text)["maxmemory_policy"]}, nil
}

// refused says whether Redis answered, and the answer was no.
func refused(err error) bool {
	return redis.HasErrorPrefix(err, "NOPERM") || redis.HasErrorPrefix(err, "ERR")
}

func (r *Redis) warn(settings map[string]string) {
	for name, want := range map[string]int{
		"hash-max-listpack-value":   wantListpackValue,
		"hash-max-listpack-entries": wantListpackEntries,
	} {
		if have, err := strconv.Atoi(settings[name]); err == nil && have < want {
			r.log.Warn("redis will need several times the memory", "setting", name, "is", have, "want", want)
		}
	}
}

// checks remembers when the last check passed.
type checks struct {
	mu   sync.Mutex
	last time.Time
}

// recent runs check unless it passed a moment ago.
func (c *checks) recent(ctx context.Context, check func(context.Context) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.last) < checkInterval {
		return nil
	}
	if err := check(ctx); err != nil {
		return err
	}
	c.last = time.Now()
	return nil
}
