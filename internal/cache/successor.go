package cache

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// Successor is a service's cache of the next generation of the log, beside the live
// one: keys carry the generation, so neither meets the other. It is a [Store], into
// which the same engine folds, though its layout is not the recorded one yet.
// [Successor.Adopt] makes it that, at one moment.
type Successor struct {
	*Redis
	live Layout
}

// OpenSuccessor returns the cache of the next generation. What is recorded must be
// the layout of the live one, or already that of the next ([ErrLayout]).
func OpenSuccessor(ctx context.Context, client redis.UniversalClient, live, next Layout) (*Successor, error) {
	recorded, err := readLayout(ctx, client, live.Service)
	if err == nil && recorded != live && recorded != next {
		err = fmt.Errorf("%w: %+v", ErrLayout, recorded)
	}
	if err == nil && (next.Service != live.Service || next.Generation <= live.Generation) {
		err = fmt.Errorf("%w: generation %d does not follow %d", ErrLayout, next.Generation, live.Generation)
	}
	if err != nil {
		return nil, fmt.Errorf("layout of %s: %w", live.Service, err)
	}
	r, err := NewRedis(ctx, client, next, nil)
	if err != nil {
		return nil, err
	}
	r.ahead = true
	return &Successor{Redis: r, live: live}, nil
}

// Layout returns the layout of the next generation, Live that of the one before.
func (s *Successor) Layout() Layout { return s.layout }

// Live returns the layout of the generation before.
func (s *Successor) Live() Layout { return s.live }

// Old inspects the cache of the generation before.
func (s *Successor) Old() *Inspector { return NewInspector(s.client, s.live) }

// Next inspects the cache of the next generation.
func (s *Successor) Next() *Inspector { return NewInspector(s.client, s.layout) }

// Stands reads where every partition of the recorded layout stands.
func (s *Successor) Stands(ctx context.Context) ([]Stand, error) {
	return NewReader(s.client, s.live.Service).Stands(ctx)
}

// Adopted says whether the next layout is the recorded one.
func (s *Successor) Adopted(ctx context.Context) (bool, error) {
	recorded, err := readLayout(ctx, s.client, s.live.Service)
	if err != nil {
		return false, fmt.Errorf("layout of %s: %w", s.live.Service, err)
	}
	return recorded == s.layout, nil
}

// Fence takes every partition of the live generation from its owner, who is refused
// from then on, as is whoever claims one ([ErrLayout]): no state and no position in it
// changes any more. Guards are answered by it until its freshness runs out, so the next
// layout should be adopted at once. To do so again changes nothing.
func (s *Successor) Fence(ctx context.Context) error {
	return s.eachLive(ctx, "fence", s.scripts.fence, s.generation())
}

// Unfence gives the partitions back, unless they are retired: their owners go on, or
// others claim them.
func (s *Successor) Unfence(ctx context.Context) error {
	return s.eachLive(ctx, "give back", s.scripts.fence, "")
}

// Adopt records the next layout in the place of the live one. To do so again
// changes nothing. From then on no consumer of the generation before claims a
// partition; those that own one go on until [Successor.Fence] or [Successor.Retire].
func (s *Successor) Adopt(ctx context.Context) error {
	args := append(newArgs(14), layoutKey(s.live.Service), s.live.Topic,
		strconv.FormatUint(uint64(s.live.Generation), 10), strconv.Itoa(int(s.live.Partitions)))
	recorded, err := s.recorded(ctx, s.scripts.adopt, append(args, fieldsOf(s.layout)...))
	if err == nil && recorded != s.layout {
		err = fmt.Errorf("layout of %s: %w: %+v", s.live.Service, ErrLayout, recorded)
	}
	return err
}

// Retire ends the live generation, partition by partition: guards that still read it
// deny as stale and learn of the other, consumers that still own it are refused
// ([ErrLayout]). The next layout must be adopted; states stay, until somebody removes
// them. To do so again changes nothing.
func (s *Successor) Retire(ctx context.Context) error {
	switch adopted, err := s.Adopted(ctx); {
	case err != nil:
		return err
	case !adopted:
		return fmt.Errorf("retire generation %d of %s: %w: it is the recorded one", s.live.Generation, s.live.Service, ErrLayout)
	}
	return s.eachLive(ctx, "retire", s.scripts.retire, s.generation())
}

// generation is the next one.
func (s *Successor) generation() string { return strconv.FormatUint(uint64(s.layout.Generation), 10) }

// eachLive runs a script on every partition of the live generation.
func (s *Successor) eachLive(ctx context.Context, what string, script *redis.Script, by string) error {
	for p := range s.live.Partitions {
		args := append(newArgs(2), s.live.Prefix(p)+positionName, by)
		if _, err := s.run(ctx, call(ctx, script, 1, args)); err != nil {
			return fmt.Errorf("%s partition %d of generation %d of %s: %w", what, p, s.live.Generation, s.live.Service, err)
		}
	}
	return nil
}

// Retired says whether the whole live generation is retired.
func (s *Successor) Retired(ctx context.Context) (bool, error) {
	pipe := s.client.Pipeline()
	cmds := make([]*redis.SliceCmd, s.live.Partitions)
	for p := range s.live.Partitions {
		cmds[p] = pipe.HMGet(ctx, s.live.Prefix(p)+positionName, "gone", "next")
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return false, fmt.Errorf("generation %d of %s: %w", s.live.Generation, s.live.Service, classify(err))
	}
	for _, cmd := range cmds {
		if at := cmd.Val(); at[0] == nil || at[1] != nil { // one that is fenced still has its position
			return false, nil
		}
	}
	return true, nil
}
