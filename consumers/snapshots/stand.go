package snapshots

import (
	"context"
	_ "embed" // the script
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/internal/slots"
	"github.com/kelisim/kelisim/events"
)

//go:embed look.lua
var lookLua string

// stand is where a slot stands at one moment.
type stand struct {
	epoch  int64 // of the owner; 0 when nobody is
	known  bool  // there is a position
	next   int64
	acted  int64 // the topic holds what events below changed
	digest uint64
	waits  []bool // per subject asked for
}

// look reads where a slot stands and which of the subjects wait in its outbox.
func look(ctx context.Context, script slots.Script, at consumers.Slot, subjects []events.Subject) (stand, error) {
	reply, err := script.Read(ctx, at, slots.Args(subjects)...)
	if err != nil {
		return stand{}, err
	}
	if len(reply) != 4+len(subjects) {
		return stand{}, fmt.Errorf("script on %s: %d values, want %d", at.Prefix, len(reply), 4+len(subjects))
	}
	var s stand
	var numbers [4]int64
	var have [4]bool
	for i := range numbers {
		text, _ := reply[i].(string)
		if have[i] = text != ""; !have[i] {
			continue
		}
		if n, err := strconv.ParseFloat(text, 64); err == nil { // scores are doubles; all of these are below 2^53
			numbers[i] = int64(n)
		} else {
			return stand{}, fmt.Errorf("script on %s: value %d is no number", at.Prefix, i)
		}
	}
	s.epoch, s.known, s.next, s.digest = numbers[0], have[1], numbers[1], uint64(numbers[2])
	if s.acted = s.next; have[3] {
		s.acted = min(s.acted, numbers[3])
	}
	s.waits, err = slots.Flags(reply[4:], len(subjects))
	return s, err
}

// maxHolds bounds the held subjects that a partition's record tells of, some 60
// bytes each: it stays well below what a message may have. So many are a flood of
// rubbish, and whoever builds from the topic then reads the log instead.
const maxHolds = 4096

// holds reads what holds the subjects of a slot.
func holds(ctx context.Context, client redis.UniversalClient, at consumers.Slot) (held map[string]string, truncated bool, err error) {
	key := at.Prefix + "held"
	n, err := client.HLen(ctx, key).Result()
	if err == nil && n > maxHolds {
		return map[string]string{}, true, nil
	}
	if err == nil {
		held, err = client.HGetAll(ctx, key).Result()
	}
	if err != nil {
		return nil, false, fmt.Errorf("holds of %s: %w", at.Prefix, err)
	}
	return held, false, nil
}
