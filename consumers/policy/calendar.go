package policy

import (
	"context"
	_ "embed" // the script
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/internal/slots"
	"github.com/kelisim/kelisim/events"
)

// Calendar reads what the action noted, over all partitions' slots of one
// generation. It holds no truth and gives no permission: before anything is done
// about a subject, its state is looked at.
type Calendar struct {
	client  redis.UniversalClient
	slots   slots.Slots
	overdue slots.Script
}

//go:embed overdue.lua
var overdueLua string

// Slots returns the slots of the generation that the service works on, for Open.
// It fails before the service first ran, and when its Redis was flushed.
func Slots(ctx context.Context, client redis.UniversalClient) ([]consumers.Slot, error) {
	all, err := slots.Recorded(ctx, client, Name)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	return all, nil
}

// Open returns the calendar over all partitions' slots of one generation, in the
// order of the partitions.
func Open(client redis.UniversalClient, all []consumers.Slot) (*Calendar, error) {
	known, err := slots.Of(all)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	return &Calendar{client: client, slots: known, overdue: slots.NewScript(client, overdueLua)}, nil
}

// Partitions returns how many there are.
func (c *Calendar) Partitions() int32 { return int32(len(c.slots)) }

// Entry is one line of the calendar.
type Entry struct {
	Subject events.Subject
	At      events.Millis // when the agreement ended, or a review is due
}

// Retentions returns whose agreement ended, the longest ago first, n of them from
// the given place on.
func (c *Calendar) Retentions(ctx context.Context, partition int32, from, n int) ([]Entry, error) {
	return c.entries(ctx, partition, "ended", from, n)
}

// Reviews returns who has a refusal that stands and was not alarmed, by the date
// of its review, and Overdue those that were.
func (c *Calendar) Reviews(ctx context.Context, partition int32, from, n int) ([]Entry, error) {
	return c.entries(ctx, partition, "reviews", from, n)
}

// Overdue returns whose review passed and was alarmed, the longest ago first.
func (c *Calendar) Overdue(ctx context.Context, partition int32, from, n int) ([]Entry, error) {
	return c.entries(ctx, partition, "overdue", from, n)
}

func (c *Calendar) entries(ctx context.Context, partition int32, set string, from, n int) ([]Entry, error) {
	at, err := c.slots.At(partition)
	if err != nil || n < 1 {
		return nil, err
	}
	found, err := c.client.ZRangeWithScores(ctx, at.Prefix+set, int64(from), int64(from+n-1)).Result()
	if err != nil {
		return nil, fmt.Errorf("policy: %s of partition %d: %w", set, partition, err)
	}
	all := make([]Entry, 0, len(found))
	for _, z := range found {
		id, _ := z.Member.(string)
		subject, err := events.ParseSubject(id)
		if err != nil {
			return nil, fmt.Errorf("policy: %s of partition %d: %w", set, partition, err)
		}
		all = append(all, Entry{subject, events.Millis(z.Score)})
	}
	return all, nil
}

// Count is how much stands in the calendar.
type Count struct{ Retentions, Reviews, Overdue, Suppressed int64 }

// Count counts one partition.
func (c *Calendar) Count(ctx context.Context, partition int32) (Count, error) {
	at, err := c.slots.At(partition)
	if err != nil {
		return Count{}, err
	}
	var sets [3]*redis.IntCmd
	var suppressed *redis.IntCmd
	_, err = c.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i, set := range []string{"ended", "reviews", "overdue"} {
			sets[i] = pipe.ZCard(ctx, at.Prefix+set)
		}
		suppressed = pipe.HLen(ctx, at.Prefix+"suppressed")
		return nil
	})
	if err != nil {
		return Count{}, fmt.Errorf("policy: count partition %d: %w", partition, err)
	}
	return Count{sets[0].Val(), sets[1].Val(), sets[2].Val(), suppressed.Val()}, nil
}

// alarm moves up to n reviews whose date has passed to those that were alarmed,
// and returns them: each is returned once.
func (c *Calendar) alarm(ctx context.Context, partition int32, now events.Millis, n int) ([]Entry, error) {
	at, err := c.slots.At(partition)
	if err != nil {
		return nil, err
	}
	reply, err := c.overdue.Run(ctx, at, millis(now), n)
	if err != nil {
		return nil, fmt.Errorf("policy: reviews of partition %d: %w", partition, err)
	}
	all := make([]Entry, 0, len(reply)/2)
	for i := 0; i+1 < len(reply); i += 2 {
		subjects, err := slots.Subjects(reply[i : i+1])
		if err != nil {
			return all, fmt.Errorf("policy: reviews of partition %d: %w", partition, err)
		}
		due, err := score(reply[i+1])
		if err != nil {
			return all, fmt.Errorf("policy: reviews of partition %d: %w", partition, err)
		}
		all = append(all, Entry{subjects[0], due})
	}
	return all, nil
}

// Suppressed says for each subject whether it was erased and did not come back. It
// is for whoever imports data: who is suppressed must not be brought back from
// another system. A subject that is not suppressed is not permitted by that.
func (c *Calendar) Suppressed(ctx context.Context, current, previous Key, subjects ...events.Subject) ([]bool, error) {
	if current.IsZero() {
		return nil, errors.New("policy: suppressed: no key")
	}
	found := make([]bool, len(subjects))
	for _, key := range []Key{current, previous} {
		if key.IsZero() {
			continue
		}
		hash := key.Hasher()
		asked := make([]*redis.BoolCmd, len(subjects))
		_, err := c.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for i, s := range subjects {
				asked[i] = pipe.HExists(ctx, c.slots.Home(s).Prefix+"suppressed", hash(s))
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("policy: suppressed: %w", err)
		}
		for i := range asked {
			found[i] = found[i] || asked[i].Val()
		}
	}
	return found, nil
}

// score reads a score out of a script's reply: a text, or a number where the server
// speaks RESP3.
func score(v any) (events.Millis, error) {
	var at float64
	var err error
	switch v := v.(type) {
	case string:
		at, err = strconv.ParseFloat(v, 64)
	case float64:
		at = v
	default:
		err = fmt.Errorf("%T is no score", v)
	}
	return events.Millis(at), err
}
