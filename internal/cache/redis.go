package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/events"
)

// Redis is a [Store] in Redis: one server, a primary behind sentinels, or a
// cluster. It needs Redis 7.0 or later.
type Redis struct {
	client  redis.UniversalClient
	layout  Layout
	log     *slog.Logger
	scripts scripts
	lookup  *lookup
	checks  checks
	origin  string // id of the Kafka cluster; see From

	transacts bool // see mayTransact

	ahead    bool      // of the next generation: its layout is not recorded yet, see Successor
	encoders sync.Pool // of *encoder
	attempts atomic.Int64
	mu       sync.Mutex
	learned  map[int32]learned // by partition
}

// learned is what the last reply of a partition told.
type learned struct {
	clock clock
	top   int64 // no stored version is at or above
}

// NewRedis returns a store behind a client that [Connect] made. It refuses a
// Redis that may evict states, and loads its scripts. The client stays the
// caller's; nil logs nothing.
func NewRedis(ctx context.Context, client redis.UniversalClient, layout Layout, log *slog.Logger) (*Redis, error) {
	if err := layout.Validate(); err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	r := &Redis{
		client:  client,
		layout:  layout,
		log:     log,
		scripts: newScripts(),
		lookup:  newLookup(),
		learned: make(map[int32]learned),
	}
	r.encoders.New = func() any { return new(encoder) }
	if err := r.Check(ctx); err != nil {
		return nil, err
	}
	if err := r.scripts.install(ctx, client); err != nil {
		return nil, err
	}
	if r.transacts = r.mayTransact(ctx); !r.transacts {
		log.Warn("redis lets this user not use transactions (+@transaction): catching up takes longer", "service", layout.Service)
	}
	return r, nil
}

// Claim implements [Store]. It also looks again whether Redis may evict.
func (r *Redis) Claim(ctx context.Context, partition int32) (Mark, error) {
	if partition < 0 || partition >= r.layout.Partitions {
		return Mark{}, fmt.Errorf("claim partition %d of %d: not there", partition, r.layout.Partitions)
	}
	if err := r.checks.recent(ctx, r.Check); err != nil {
		return Mark{}, err
	}
	if !r.ahead {
		if err := r.record(ctx); err != nil {
			return Mark{}, err
		}
	}
	if err := r.settle(ctx); err != nil {
		return Mark{}, err
	}
	mark, err := r.mark(ctx, r.scripts.claim, partition, 0)
	if errors.Is(err, ErrDamaged) {
		if err = r.heal(ctx, partition); err == nil {
			mark, err = r.mark(ctx, r.scripts.claim, partition, 0)
		}
	}
	if err != nil {
		return Mark{}, fmt.Errorf("claim: %w", err)
	}
	return mark, nil
}

// Hold implements [Store].
func (r *Redis) Hold(ctx context.Context, s events.Subject, at events.Position) error {
	return r.lay(ctx, Hold{Subject: s, At: at})
}

// Release implements [Store].
func (r *Redis) Release(ctx context.Context, s events.Subject, at events.Position) error {
	return r.lay(ctx, Hold{Subject: s, At: at, Release: true})
}

func (r *Redis) lay(ctx context.Context, h Hold) error {
	if h.Subject.IsZero() {
		return nil
	}
	key := r.layout.Prefix(r.layout.PartitionOf(h.Subject)) + heldName
	args := append(newArgs(4), key, flag(h.Release), h.Subject.Reveal(), h.At.String())
	if _, err := r.run(ctx, call(ctx, r.scripts.hold, 1, args)); err != nil {
		return fmt.Errorf("hold %v for %v: %w", h.Subject, h.At, err)
	}
	return nil
}

// Refresh implements [Store].
func (r *Redis) Refresh(ctx context.Context, proofs []Proof) []Result {
	results := make([]Result, len(proofs))
	cmds := make([]*redis.Cmd, len(proofs))
	for i, p := range proofs {
		args := r.markArgs(p.Partition, p.Epoch, 4)
		args = append(args, itoa(p.Next), r.proved(p.Partition, p.Proved), itoa(p.Receipted), p.Policy)
		cmds[i] = call(ctx, r.scripts.refresh, 2, args)
	}
	r.pipeline(ctx, cmds)
	received := time.Now()
	for i, p := range proofs {
		reply, err := r.read(p.Partition, cmds[i], received)
		if err == nil {
			err = reply.failure(p.Partition, p.Next)
		}
		results[i] = Result{Mark: reply.mark, Err: err}
	}
	return results
}

// mark runs a script that is given nothing but the partition, the epoch and more.
func (r *Redis) mark(ctx context.Context, script *redis.Script, partition int32, epoch int64, more ...string) (Mark, error) {
	args := r.markArgs(partition, epoch, len(more))
	for i := range more {
		args = append(args, more[i])
	}
	return r.ask(ctx, partition, call(ctx, script, 2, args))
}

// ask runs one script that begins with mark.lua.
func (r *Redis) ask(ctx context.Context, partition int32, cmd *redis.Cmd) (Mark, error) {
	_, _ = r.run(ctx, cmd) // the command keeps its error
	reply, err := r.read(partition, cmd, time.Now())
	if err == nil {
		err = reply.failure(partition, 0)
	}
	return reply.mark, err
}

// markArgs starts the arguments of a script that begins with mark.lua.
func (r *Redis) markArgs(partition int32, epoch int64, room int) []any {
	prefix := r.layout.Prefix(partition)
	return append(newArgs(3+room), prefix+positionName, prefix+outboxName, itoa(epoch))
}

// run runs one script, and loads it first if the node does not have it.
func (r *Redis) run(ctx context.Context, cmd *redis.Cmd) (any, error) {
	_ = r.client.Process(ctx, cmd)
	if noScript(cmd.Err()) {
		if err := r.scripts.install(ctx, r.client); err != nil {
			return nil, err
		}
		cmd.SetErr(nil)
		_ = r.client.Process(ctx, cmd)
	}
	v, err := cmd.Result()
	return v, classify(err)
}

// pipeline runs scripts in one round trip, and those again that a node did not
// have. Every command then carries its own answer or error.
func (r *Redis) pipeline(ctx context.Context, cmds []*redis.Cmd) {
	if r.exec(ctx, cmds); len(missing(cmds)) == 0 {
		return
	}
	if err := r.scripts.install(ctx, r.client); err == nil {
		r.exec(ctx, missing(cmds))
	}
}

// exec sends commands. Each has its own error.
func (r *Redis) exec(ctx context.Context, cmds []*redis.Cmd) {
	p := pages{client: r.client}
	for _, cmd := range cmds {
		p.add(ctx, cmd)
	}
	p.send(ctx)
}

// missing returns the commands whose script the node did not have.
func missing(cmds []*redis.Cmd) []*redis.Cmd {
	var again []*redis.Cmd
	for _, cmd := range cmds {
		if noScript(cmd.Err()) {
			again = append(again, cmd)
		}
	}
	return again
}

// read takes the answer of a script that begins with mark.lua and learns from it.
func (r *Redis) read(partition int32, cmd *redis.Cmd, received time.Time) (markReply, error) {
	v, err := cmd.Result()
	if err != nil {
		return markReply{}, fmt.Errorf("partition %d: %w", partition, classify(err))
	}
	reply, err := parseMark(v)
	if err != nil {
		return markReply{}, fmt.Errorf("partition %d: %w", partition, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.learned[partition] = learned{clock{reply.clock, received}, reply.top}
	return reply, nil
}

// proved turns the moment of a proof into Redis' time, or "" when there is none.
func (r *Redis) proved(partition int32, at time.Time) string {
	known, ok := r.know(partition)
	if at.IsZero() || !ok {
		return ""
	}
	return itoa(max(0, int64(known.clock.at(at))))
}

func (r *Redis) know(partition int32) (learned, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l, ok := r.learned[partition]
	return l, ok
}

func flag(set bool) string {
	if set {
		return "1"
	}
	return ""
}
