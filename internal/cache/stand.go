package cache

import (
	"context"
	_ "embed" // the script
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/events"
)

//go:embed lua/stand.lua
var standLua string

// Stand is where one partition stands, for whoever watches the service. The zero
// Stand knows nothing.
type Stand struct {
	Known   bool          // the partition has a position
	Next    int64         // the next offset to apply
	Proved  bool          // it was known at some moment that nothing newer is in the log
	Age     time.Duration // since then, by Redis' clock; what the guard judges staleness by
	Waiting int64         // subjects whose action is still to be done
}

// Stands reads where every partition of the service stands, in its order. It
// asks once for each, so it is for a look now and then.
func (r *Reader) Stands(ctx context.Context) ([]Stand, error) {
	if _, err := r.Relearn(ctx); err != nil {
		return nil, err
	}
	l := *r.layout.Load()
	script := redis.NewScript(standLua)
	stands := make([]Stand, l.Partitions)
	for i := range stands {
		prefix := l.Prefix(int32(i))
		v, err := script.RunRO(ctx, r.client, []string{prefix + positionName, prefix + outboxName}).Result()
		if err != nil {
			return nil, fmt.Errorf("partition %d of %s: %w", i, l.Service, classify(err))
		}
		if stands[i], err = parseStand(v); err != nil {
			return nil, fmt.Errorf("partition %d of %s: %w", i, l.Service, err)
		}
	}
	return stands, nil
}

// parseStand takes the reply of stand.lua apart.
func parseStand(v any) (Stand, error) {
	values, ok := v.([]any)
	if !ok || len(values) != 6 {
		return Stand{}, fmt.Errorf("redis answered %T instead of a stand", v)
	}
	p := parser{values: values}
	s := Stand{}
	s.Waiting, _ = values[5].(int64)
	now := events.Millis(p.int(0)*1000 + p.int(1)/1000)
	next, chunk := p.text(2), p.text(4)
	if next != "" && (chunk == "" || chunk[len(chunk)-1] != '?') {
		fresh := events.Millis(p.optional(3))
		s.Known, s.Next, s.Proved = true, p.int(2), fresh > 0
		if s.Proved {
			s.Age = time.Duration(now-fresh) * time.Millisecond
		}
	}
	return s, p.err
}
