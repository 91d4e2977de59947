package cache

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// layoutFormat is the version of the key layout itself: names of keys and fields,
// packing of UUIDs, how buckets are found. Whoever changes one raises it.
const layoutFormat = "1"

// record writes the layout down for the guards if nobody did, and refuses any
// other that is there.
func (r *Redis) record(ctx context.Context) error {
	l := r.layout
	l.beside = false // what is beside has the same
	args := append(append(newArgs(11), layoutKey(l.Service)), fieldsOf(l)...)
	recorded, err := r.recorded(ctx, r.scripts.layout, args)
	if err != nil {
		return err
	}
	if recorded != l {
		return fmt.Errorf("layout of %s: %w: recorded %+v, configured %+v", l.Service, ErrLayout, recorded, l)
	}
	return nil
}

// recorded runs a script that returns the recorded layout.
func (r *Redis) recorded(ctx context.Context, script *redis.Script, args []any) (Layout, error) {
	v, err := r.run(ctx, call(ctx, script, 1, args))
	if err != nil {
		return Layout{}, fmt.Errorf("layout of %s: %w", r.layout.Service, err)
	}
	pairs, _ := v.([]any)
	fields := make(map[string]string, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		fields[name], _ = pairs[i+1].(string)
	}
	l, err := parseLayout(r.layout.Service, fields)
	if err != nil {
		return Layout{}, fmt.Errorf("layout of %s: %w: %w", r.layout.Service, ErrLayout, err)
	}
	return l, nil
}

// fieldsOf are the names and values that a layout is written down with.
func fieldsOf(l Layout) []any {
	return []any{
		"format", layoutFormat, "topic", l.Topic, "generation", strconv.FormatUint(uint64(l.Generation), 10),
		"partitions", strconv.Itoa(int(l.Partitions)), "buckets", strconv.Itoa(int(l.Buckets)),
	}
}

// Agree says whether a service may begin with a layout: it is the recorded one, or none
// is recorded ([ErrLayout]). Whoever is configured for another generation finds out
// before it joins anything.
func Agree(ctx context.Context, client redis.UniversalClient, l Layout) error {
	recorded, err := readLayout(ctx, client, l.Service)
	switch {
	case errors.Is(err, ErrNoLayout):
		return nil
	case err != nil:
		return fmt.Errorf("layout of %s: %w", l.Service, err)
	case recorded != l:
		return fmt.Errorf("layout of %s: %w: generation %d of %s with %d partitions of %d buckets, and the settings say generation %d of %s with %d of %d",
			l.Service, ErrLayout, recorded.Generation, recorded.Topic, recorded.Partitions, recorded.Buckets, l.Generation, l.Topic, l.Partitions, l.Buckets)
	}
	return nil
}

func readLayout(ctx context.Context, client redis.UniversalClient, service string) (Layout, error) {
	fields, err := client.HGetAll(ctx, layoutKey(service)).Result()
	if err != nil {
		return Layout{}, classify(err)
	}
	if len(fields) == 0 {
		return Layout{}, ErrNoLayout
	}
	return parseLayout(service, fields)
}

func parseLayout(service string, fields map[string]string) (Layout, error) {
	if fields["format"] != layoutFormat {
		return Layout{}, fmt.Errorf("format %q: want %s", fields["format"], layoutFormat)
	}
	generation, err1 := strconv.ParseUint(fields["generation"], 10, 32)
	partitions, err2 := strconv.ParseInt(fields["partitions"], 10, 32)
	buckets, err3 := strconv.ParseInt(fields["buckets"], 10, 32)
	l := Layout{
		Service:    service,
		Topic:      fields["topic"],
		Generation: uint32(generation),
		Partitions: int32(partitions),
		Buckets:    int32(buckets),
	}
	for _, err := range []error{err1, err2, err3, l.Validate()} {
		if err != nil {
			return Layout{}, fmt.Errorf("recorded layout: %w", err)
		}
	}
	return l, nil
}
