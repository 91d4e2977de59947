package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/events"
)

// Staging is a second set of a service's keys, beside the live ones and in the same
// slots: what a rebuild writes while service and guards go on. It is a [Store] of
// its own, so that the same engine folds into it; [Staging.Swap] puts it in the
// place of the live one, a partition at a time and each at one moment.
//
// There is one for each service: whoever claims a partition of it takes it from
// whoever had it before.
type Staging struct {
	*Redis
	live Layout
}

// OpenStaging returns the staging of a service's cache, by the layout that is
// recorded there ([ErrNoLayout] where none is).
func OpenStaging(ctx context.Context, client redis.UniversalClient, live Layout) (*Staging, error) {
	recorded, err := readLayout(ctx, client, live.Service)
	if err == nil && recorded != live {
		err = fmt.Errorf("%w: %+v", ErrLayout, recorded)
	}
	if err != nil {
		return nil, fmt.Errorf("layout of %s: %w", live.Service, err)
	}
	beside := live
	beside.beside = true
	r, err := NewRedis(ctx, client, beside, nil)
	if err != nil {
		return nil, err
	}
	return &Staging{Redis: r, live: live}, nil
}

// Layout returns the layout of the staged keys.
func (s *Staging) Layout() Layout { return s.layout }

// Full says that a subject's state is to be staged.
type Full struct {
	Subject events.Subject
	State   events.State
}

// Fill stages states of a partition as they are, each over what was staged of its
// subject before. The partition has no position meanwhile; Begin gives it one, and
// finds out then what is there.
func (s *Staging) Fill(ctx context.Context, partition int32, all []Full) error {
	var at places
	at.find(s.layout, partition, len(all), func(i int) events.Subject { return all[i].Subject })
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(at.list[a].number) - int(at.list[b].number) })
	pipe := s.client.Pipeline()
	for len(order) > 0 {
		args := []any{"hset", &at.list[order[0]].bucket}
		n := 0
		for ; n < len(order) && at.list[order[n]].number == at.list[order[0]].number; n++ {
			args = append(args, &at.list[order[n]].field, all[order[n]].State.Encoded())
		}
		_ = pipe.Process(ctx, redis.NewIntCmd(ctx, args...)) // which only queues it
		order = order[n:]
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("stage %d states of partition %d: %w", len(all), partition, classify(err))
	}
	return nil
}

// FillHolds stages what holds subjects of a partition, as the cache of another
// service has it.
func (s *Staging) FillHolds(ctx context.Context, partition int32, held map[string]string) error {
	if len(held) == 0 {
		return nil
	}
	if err := s.client.HSet(ctx, s.layout.Prefix(partition)+heldName, held).Err(); err != nil {
		return fmt.Errorf("stage holds of partition %d: %w", partition, classify(err))
	}
	return nil
}

// Waits stages that the service is to act on subjects when they are live: subject →
// offset that nothing counts as acted on from.
func (s *Staging) Waits(ctx context.Context, partition int32, since map[events.Subject]int64) error {
	members := make([]redis.Z, 0, len(since))
	for subject, offset := range since {
		members = append(members, redis.Z{Score: float64(offset), Member: subject.Reveal()})
	}
	for part := range slices.Chunk(members, inspectLot) {
		if err := s.client.ZAdd(ctx, s.layout.Prefix(partition)+outboxName, part...).Err(); err != nil {
			return fmt.Errorf("stage the outbox of partition %d: %w", partition, classify(err))
		}
	}
	return nil
}

// Drop removes what is staged of a partition, whatever it is.
func (s *Staging) Drop(ctx context.Context, partition int32) error {
	for part := range slices.Chunk(s.layout.keys(partition), inspectLot) { // the position first: nobody writes on
		if err := s.client.Unlink(ctx, part...).Err(); err != nil {
			return fmt.Errorf("drop what is staged of partition %d: %w", partition, classify(err))
		}
	}
	return nil
}

// ErrNotYet: the live position is not one at which the staged states can take over.
var ErrNotYet = errors.New("the live partition is not where the staged one can take over")

// ErrNothingStaged: the partition has no position, live or staged.
var ErrNothingStaged = errors.New("no position to swap")

// Swap puts a partition's staged states in the place of the live ones, at one
// moment: states, position, digest and freshness; holds and outbox are joined with
// those that are there. It takes the owner's claim away, so that the owner claims
// anew and forgets what it remembered. The staged position must be the live one or
// ahead of it, and the live one must have reached a given offset (else [ErrNotYet]).
// The epoch is that of the staged partition, as Claim returned it (else [ErrFenced]).
func (s *Staging) Swap(ctx context.Context, partition int32, epoch, reached int64) error {
	live, staged := s.live.Prefix(partition), s.layout.Prefix(partition)
	args := append(newArgs(8+2*int(s.live.Buckets)),
		live+positionName, live+outboxName, live+heldName, staged+positionName, staged+outboxName, staged+heldName)
	for b := range s.live.Buckets {
		args = append(args, s.live.bucketKey(partition, b), s.layout.bucketKey(partition, b))
	}
	args = append(args, itoa(epoch), itoa(reached))
	v, err := s.run(ctx, call(ctx, s.scripts.swap, 6+2*int(s.live.Buckets), args))
	if err != nil {
		return fmt.Errorf("swap partition %d of %s: %w", partition, s.live.Service, err)
	}
	values, _ := v.([]any)
	if len(values) != 3 {
		return fmt.Errorf("swap partition %d of %s: redis answered %T", partition, s.live.Service, v)
	}
	p := parser{values: values}
	var cause error
	switch p.text(0) {
	case "0":
		return p.err
	case "1":
		cause = fmt.Errorf("%w: live at %s, staged at %s, %d to be reached", ErrNotYet, p.text(1), p.text(2), reached)
	case "2":
		cause = fmt.Errorf("%w: live at %q, staged at %q", ErrNothingStaged, p.text(1), p.text(2))
	default:
		cause = fmt.Errorf("%w: another rebuild", ErrFenced)
	}
	return fmt.Errorf("partition %d of %s: %w", partition, s.live.Service, cause)
}
