package cache

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/events"
)

// lookup is the one read that decides. Position, state and freshness come from
// one node at one moment. The script is run read-only, so that a user who may
// not write may run it, on a replica too.
type lookup struct{ script *redis.Script }

func newLookup() *lookup { return &lookup{redis.NewScript(lookupLua)} }

// view asks for one subject.
func (lo *lookup) view(ctx context.Context, client redis.UniversalClient, l Layout, s events.Subject) (View, error) {
	partition, bucket := l.place(s)
	prefix := l.Prefix(partition)
	keys := []string{prefix + positionName, prefix + bucketName + strconv.Itoa(int(bucket)), prefix + heldName}
	v, err := lo.script.RunRO(ctx, client, keys, appendField(nil, s), s.Reveal()).Result()
	if err != nil {
		return View{}, fmt.Errorf("look up %v: %w", s, classify(err))
	}
	view, err := parseView(v)
	if err != nil {
		return View{}, fmt.Errorf("look up %v: %w", s, err)
	}
	view.Generation, view.Partition = l.Generation, partition
	if at, known := view.State.Version(); known && (at.Generation != l.Generation || at.Partition != partition) {
		return View{}, fmt.Errorf("look up %v: %w: it is of %v", s, events.ErrState, at)
	}
	return view, nil
}

// parseView takes the reply of lookup.lua apart. Anything unexpected is an error.
func parseView(v any) (View, error) {
	values, ok := v.([]any)
	if !ok || len(values) != 9 {
		return View{}, fmt.Errorf("redis answered %T instead of a view", v)
	}
	p := parser{values: values}
	view := View{Now: events.Millis(p.int(0)*1000 + p.int(1)/1000)}
	next, chunk := p.text(2), p.text(4)
	if next != "" && !strings.HasSuffix(chunk, "?") {
		view.Known, view.Next, view.Fresh = true, p.int(2), events.Millis(p.optional(3))
	}
	state, err := events.ParseState([]byte(p.text(5)))
	if err != nil {
		return View{}, err
	}
	view.State, view.Held, view.Policy = state, holds(p.text(6)).held(), p.text(7)
	view.Stage = p.stage(8)
	if p.err != nil {
		return View{}, fmt.Errorf("redis answered a view that cannot be read: %w", p.err)
	}
	return view, nil
}
