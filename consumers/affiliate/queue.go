package affiliate

import (
	"context"
	_ "embed" // the scripts
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/internal/slots"
)

// Queue holds the stops that one partner has not acknowledged. They live in Redis,
// per partition, and stay there until Ack, whatever restarts in between. A stop
// may be delivered more than once; the partner knows a repeat by what it names.
// It is safe for concurrent use, by any number of processes.
type Queue struct {
	client    redis.UniversalClient
	slots     slots.Slots
	partner   string
	lease     time.Duration
	next, ack slots.Script
}

//go:embed next.lua
var nextLua string

//go:embed ack.lua
var ackLua string

// OpenQueue returns the queue of a partner over all partitions' slots of one
// generation, in the order of the partitions. A stop that was handed out comes
// again after the lease, unless it is acknowledged: longer than a delivery takes.
func OpenQueue(client redis.UniversalClient, all []consumers.Slot, partner string, lease time.Duration) (*Queue, error) {
	known, err := slots.Of(all)
	switch {
	case err != nil:
		return nil, fmt.Errorf("affiliate: queue of %s: %w", partner, err)
	case !slots.IsName(partner):
		return nil, fmt.Errorf("affiliate: queue of %q: %w", partner, slots.ErrName)
	case lease < time.Millisecond:
		return nil, fmt.Errorf("affiliate: queue of %s: a lease of %v is too short", partner, lease)
	}
	return &Queue{
		client: client, slots: known, partner: partner, lease: lease,
		next: slots.NewScript(client, nextLua), ack: slots.NewScript(client, ackLua),
	}, nil
}

// Next leases at most limit stops of a partition that are due, the longest due
// first. A stop that cannot be read is an error beside those that can, and stays
// in the queue.
func (q *Queue) Next(ctx context.Context, partition int32, now time.Time, limit int) ([]Stop, error) {
	slot, err := q.slots.At(partition)
	if err != nil {
		return nil, fmt.Errorf("affiliate: queue of %s: %w", q.partner, err)
	}
	limit = min(max(limit, 0), slots.MaxSubjects)
	reply, err := q.next.Run(ctx, slot, q.partner, now.UnixMilli(), now.Add(q.lease).UnixMilli(), limit)
	if err != nil {
		return nil, fmt.Errorf("affiliate: queue of %s: %w", q.partner, err)
	}
	var stops []Stop
	var broken []error
	for i := 1; i < len(reply); i += 2 {
		text, _ := reply[i].(string)
		stop, err := decodeStop(text)
		if err != nil {
			broken = append(broken, fmt.Errorf("affiliate: queue of %s: stop by %v: %w", q.partner, reply[i-1], err))
			continue
		}
		stop.slot = slot
		stops = append(stops, stop)
	}
	return stops, errors.Join(broken...)
}

// Ack takes stops that the partner acknowledged out of the queue. A stop that is
// not there any more is no error.
func (q *Queue) Ack(ctx context.Context, stops ...Stop) error {
	bySlot := make(map[consumers.Slot][]any)
	for i := range stops {
		if stops[i].Partner != q.partner || stops[i].slot.Prefix == "" {
			return fmt.Errorf("affiliate: queue of %s: stop by %s did not come from it", q.partner, stops[i].DecidedBy)
		}
		bySlot[stops[i].slot] = append(bySlot[stops[i].slot], stops[i].DecidedBy.String())
	}
	for slot, positions := range bySlot {
		for len(positions) > 0 {
			some := positions[:min(len(positions), slots.MaxSubjects)]
			positions = positions[len(some):]
			if _, err := q.ack.Run(ctx, slot, append([]any{q.partner}, some...)...); err != nil {
				return fmt.Errorf("affiliate: queue of %s: acknowledge %d stops: %w", q.partner, len(some), err)
			}
		}
	}
	return nil
}

// Retry puts a stop off that could not be delivered: it is due again at the given
// time, whatever its lease.
func (q *Queue) Retry(ctx context.Context, stop Stop, at time.Time) error {
	if stop.Partner != q.partner || stop.slot.Prefix == "" {
		return fmt.Errorf("affiliate: queue of %s: stop by %s did not come from it", q.partner, stop.DecidedBy)
	}
	key := stop.slot.Prefix + "queue:" + q.partner
	member := redis.Z{Score: float64(at.UnixMilli()), Member: stop.DecidedBy.String()}
	if err := q.client.ZAddXX(ctx, key, member).Err(); err != nil {
		return fmt.Errorf("affiliate: queue of %s: put stop by %s off: %w", q.partner, stop.DecidedBy, err)
	}
	return nil
}

// Len returns how many stops wait for an acknowledgement, over all partitions.
func (q *Queue) Len(ctx context.Context) (int64, error) {
	var sizes []*redis.IntCmd
	_, err := q.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, slot := range q.slots {
			sizes = append(sizes, pipe.ZCard(ctx, slot.Prefix+"queue:"+q.partner))
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("affiliate: queue of %s: %w", q.partner, err)
	}
	var n int64
	for _, size := range sizes {
		n += size.Val()
	}
	return n, nil
}
