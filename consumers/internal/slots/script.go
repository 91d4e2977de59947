package slots

import (
	"context"
	_ "embed" // the Lua that every script begins with
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/events"
)

//go:embed doubt.lua
var doubt string

//go:embed turns.lua
var turns string

// Script is a Lua script over the keys of one slot. Its only key is the slot's
// prefix: the others are composed from it inside the script, because which
// campaigns or segments exist is read there, at the same moment. All of them are
// in the slot, so that Redis Cluster runs it where they are.
type Script struct {
	client redis.UniversalClient
	script *redis.Script
}

// NewScript returns a script of the team's side; the source may use what
// doubt.lua defines. A server that does not know the script, or no longer, is
// sent it whole.
func NewScript(client redis.UniversalClient, source string) Script {
	return Script{client, redis.NewScript(doubt + source)}
}

// NewAction returns a script that acts on turns; the source may use what
// doubt.lua and turns.lua define.
func NewAction(client redis.UniversalClient, source string) Script {
	return Script{client, redis.NewScript(doubt + turns + source)}
}

// Run runs the script, which may write, and returns its reply.
func (s Script) Run(ctx context.Context, at consumers.Slot, args ...any) ([]any, error) {
	reply, err := s.script.Run(ctx, s.client, []string{at.Prefix}, args...).Slice()
	if err != nil {
		return nil, fmt.Errorf("script on %s: %w", at.Prefix, err)
	}
	return reply, nil
}

// Read runs the script, which must not write, and returns its reply. It is run
// read-only, so that a user who may not write may run it.
func (s Script) Read(ctx context.Context, at consumers.Slot, args ...any) ([]any, error) {
	reply, err := s.script.RunRO(ctx, s.client, []string{at.Prefix}, args...).Slice()
	if err != nil {
		return nil, fmt.Errorf("script on %s: %w", at.Prefix, err)
	}
	return reply, nil
}

// Count runs a script that replies with nothing but whole numbers, and adds them
// to the places, in their order.
func (s Script) Count(ctx context.Context, at consumers.Slot, places []*int, args ...any) error {
	reply, err := s.Run(ctx, at, args...)
	if err != nil {
		return err
	}
	if len(reply) != len(places) {
		return fmt.Errorf("script on %s: %d values, want %d", at.Prefix, len(reply), len(places))
	}
	for i, value := range reply {
		n, ok := value.(int64)
		if !ok {
			return fmt.Errorf("script on %s: %T at place %d, want a number", at.Prefix, value, i)
		}
		*places[i] += int(n)
	}
	return nil
}

// Args returns the arguments of a script: those given, then the subjects.
func Args(subjects []events.Subject, first ...any) []any {
	args := make([]any, 0, len(first)+len(subjects))
	args = append(args, first...)
	for _, subject := range subjects {
		args = append(args, subject.Reveal())
	}
	return args
}
