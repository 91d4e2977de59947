package slots

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
)

// Kept names keys of a slot that are carried when the log is laid out anew, and says
// where they go. What is not named is made anew by the service's action.
type Kept struct {
	Name string // behind the prefix; with a colon at the end it begins several names
	Goes Goes
}

// Goes says where what a key holds goes.
type Goes uint8

// The ways.
const (
	Everywhere Goes = 1 + iota // the same into every slot
	Home                       // each member, or field, is a subject, and goes where that is
	HomeByName                 // the name ends with a subject, behind its second colon: the key goes where that is
	WhereFed                   // members tell no subject: into every slot that takes over a subject of this one
	Anywhere                   // members belong to no subject: into one slot
)

// carryLot is how many members are read, and written, at a time.
const carryLot = 500

// Carry moves the named keys of one layout's slots of a service into another's, and
// returns how many keys it moved. A key is removed once all of it is there, so that
// what was interrupted goes on, and what somebody took out of the new ones meanwhile
// stays out. Nobody may write to the old slots any more.
func Carry(ctx context.Context, client redis.UniversalClient, service string, from, to []consumers.Slot, kept []Kept) (moved int, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", service, err)
		}
	}()
	old, err := Of(from)
	if err != nil {
		return 0, err
	}
	next, err := Of(to)
	if err != nil {
		return 0, err
	}
	c := &carry{client: client, from: old, to: next, kept: kept, partitions: make(map[string]int32, len(old))}
	for _, slot := range old {
		c.partitions[slot.Prefix] = slot.Partition
	}
	keys, err := c.find(ctx)
	if err != nil {
		return 0, err
	}
	for _, k := range keys {
		if err := c.move(ctx, k); err != nil {
			return moved, fmt.Errorf("carry %s of partition %d: %w", k.kind, k.partition, err)
		}
		moved++
	}
	return moved, nil
}

type carry struct {
	client     redis.UniversalClient
	from, to   Slots
	kept       []Kept
	partitions map[string]int32 // by prefix
}

// held is one key on its way.
type held struct {
	key, name string
	partition int32
	kind      string // of its names: "audience:"
	goes      Goes
}

// find walks over all keys of the old slots, whatever node they are on, and returns
// those that are kept, by their names: a walk may come by a key twice.
func (c *carry) find(ctx context.Context) (map[string]held, error) {
	begin, _, _ := strings.Cut(c.from[0].Prefix, "/"+strconv.Itoa(int(c.from[0].Partition))+"}")
	var together sync.Mutex // the nodes are walked over at the same time
	all := make(map[string]held)
	err := cache.EachNode(ctx, c.client, func(ctx context.Context, node *redis.Client) error {
		keys := node.Scan(ctx, 0, begin+"/*", carryLot).Iterator()
		for keys.Next(ctx) {
			if k, ok := c.known(keys.Val()); ok {
				together.Lock()
				all[k.key] = k
				together.Unlock()
			}
		}
		return keys.Err()
	})
	return all, err
}

func (c *carry) known(key string) (held, bool) {
	end := strings.Index(key, "}:")
	if end < 0 {
		return held{}, false
	}
	prefix, name := key[:end+2], key[end+2:]
	partition, ours := c.partitions[prefix]
	if !ours {
		return held{}, false
	}
	for _, k := range c.kept {
		if name == k.Name || strings.HasSuffix(k.Name, ":") && strings.HasPrefix(name, k.Name) {
			return held{key, name, partition, k.Name, k.Goes}, true
		}
	}
	return held{}, false
}

// member is one of a set, of a sorted set with its score, or a field with its value.
type member struct {
	name, value string
}

// move copies a key and then removes it.
func (c *carry) move(ctx context.Context, k held) error {
	kind, err := c.client.Type(ctx, k.key).Result()
	if err != nil {
		return err
	}
	var entries *redis.ScanIterator
	switch kind {
	case "none":
		return nil
	case "set":
		entries = c.client.SScan(ctx, k.key, 0, "", carryLot).Iterator()
	case "zset":
		entries = c.client.ZScan(ctx, k.key, 0, "", carryLot).Iterator()
	case "hash":
		entries = c.client.HScan(ctx, k.key, 0, "", carryLot).Iterator()
	default:
		return fmt.Errorf("it is a %s", kind)
	}
	lot := make([]member, 0, carryLot)
	for entries.Next(ctx) {
		m := member{name: entries.Val()}
		if kind != "set" && entries.Next(ctx) {
			m.value = entries.Val()
		}
		if lot = append(lot, m); len(lot) == carryLot {
			if err := c.write(ctx, k, kind, lot); err != nil {
				return err
			}
			lot = lot[:0]
		}
	}
	if err := entries.Err(); err != nil {
		return err
	}
	if err := c.write(ctx, k, kind, lot); err != nil {
		return err
	}
	return c.client.Unlink(ctx, k.key).Err()
}

// write puts members of a key where they go, in one round trip.
func (c *carry) write(ctx context.Context, k held, kind string, lot []member) error {
	if len(lot) == 0 {
		return nil
	}
	_, err := c.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, m := range lot {
			slots, err := c.slots(k, m)
			if err != nil {
				return err
			}
			for _, slot := range slots {
				switch key := slot.Prefix + k.name; kind {
				case "set":
					pipe.SAdd(ctx, key, m.name)
				case "zset":
					score, err := strconv.ParseFloat(m.value, 64)
					if err != nil {
						return errors.New("a score is no number")
					}
					pipe.ZAdd(ctx, key, redis.Z{Score: score, Member: m.name})
				case "hash":
					pipe.HSet(ctx, key, m.name, m.value)
				}
			}
		}
		return nil
	})
	return err
}

// slots are where a member goes. What names nobody is left behind: it is nobody's.
func (c *carry) slots(k held, m member) ([]consumers.Slot, error) {
	home := func(id string) []consumers.Slot {
		s, err := events.ParseSubject(id)
		if err != nil {
			return nil
		}
		return []consumers.Slot{c.to.Home(s)}
	}
	switch k.goes {
	case Everywhere:
		return c.to, nil
	case Home:
		return home(m.name), nil
	case HomeByName:
		parts := strings.SplitN(k.name, ":", 3)
		return home(parts[len(parts)-1]), nil
	case WhereFed:
		return c.fed(k.partition), nil
	case Anywhere:
		return c.to[int(k.partition)%len(c.to):][:1], nil
	}
	return nil, fmt.Errorf("it is not said where it goes")
}

// fed returns the slots that take over subjects of an old partition: a partition is a
// hash modulo their number, so those that agree with it modulo what divides both.
func (c *carry) fed(partition int32) (slots []consumers.Slot) {
	both, rest := len(c.from), len(c.to)
	for rest != 0 {
		both, rest = rest, both%rest
	}
	for _, slot := range c.to {
		if int(slot.Partition)%both == int(partition)%both {
			slots = append(slots, slot)
		}
	}
	return slots
}
