// Package snapshots keeps consent.state.v1: the newest state of every subject,
// in a compacted topic, from which a cache is built without reading the whole log.
//
// [Action] follows every change of a state, by the outbox: so a crash loses none,
// and the receipts of the service say up to where the topic is complete. The
// format is events/snapshot's; what the topic is good for stands in
// docs/state-topic.md, why it is written so in docs/decisions/0016.
package snapshots

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/internal/slots"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/snapshot"
	"github.com/kelisim/kelisim/events/stream"
)

// Name is the service's name, of its consumer group and its keys.
const Name = snapshot.Writer

// Service returns what the engine has to know of the service.
func Service(action *Action) consumers.Service {
	return consumers.Service{Name: Name, EveryChange: true, Action: action}
}

// Fencer gives one program at a time the right to write a partition;
// *stream.Fencer is one.
type Fencer interface {
	Partitions(ctx context.Context, topic string) (int32, error)
	Fence(ctx context.Context, id, topic string, partition int32, first stream.Message) (*stream.Fenced, error)
}

// Config is what an action is made of. Topic, Redis and Fencer are required.
type Config struct {
	Topic      string // consent.state.v1
	Generation uint32 // of the events' topic
	Redis      redis.UniversalClient
	Fencer     Fencer
	Report     func(Written) // called after every write; holds no subject
	Logger     *slog.Logger
}

// Written counts what one call wrote.
type Written struct {
	States      int // snapshots
	Late        int // turns left alone: a newer one was written
	Checkpoints int
	Seats       int // times a partition was taken over
}

// Action writes snapshots. It is safe for concurrent use. Close it.
type Action struct {
	cfg    Config
	script slots.Script
	log    *slog.Logger
	now    func() time.Time

	mu    sync.Mutex
	parts map[int32]*part
}

// New returns the action. It asks nobody anything yet.
func New(cfg Config) (*Action, error) {
	if cfg.Topic == "" || cfg.Redis == nil || cfg.Fencer == nil {
		return nil, errors.New("snapshots: topic, redis and fencer are required")
	}
	if cfg.Report == nil {
		cfg.Report = func(Written) {}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Action{
		cfg: cfg, script: slots.NewScript(cfg.Redis, lookLua), log: cfg.Logger, now: time.Now,
		parts: make(map[int32]*part),
	}, nil
}

// errElsewhere is why a turn is not written by who is not, or not yet, the owner.
var errElsewhere = errors.New("another consumer owns the partition")

// errNoStates is why a turn is not written from a cache that may lack states: what
// the topic has is better.
var errNoStates = errors.New("the cache has no position, or was built from a log that had lost its beginning: rebuild it")

// Act implements [consumers.Action]: it returns when all in-sync replicas have
// the states of the turns, or newer ones.
//
// Nobody who lost the partition can write an older state behind a newer one,
// however long it slept: whoever acts for an owner takes the right to write first
// (a seat), and looks then whether the cache still belongs to that owner. So a
// later owner, who takes a seat after its claim, either finds what we write in
// front of its own first record, or has us refused. And a turn is written only
// while its subject waits in the outbox: one that does not was written already,
// as it is or newer.
func (a *Action) Act(ctx context.Context, at consumers.Slot, turns []consumers.Turn) error {
	p := a.part(at.Partition)
	p.mu.Lock()
	defer p.mu.Unlock()
	turns = slots.Newest(turns)
	for first := true; first || len(turns) > 0; first = false { // without turns it still takes the seat, and tells where the cache stands
		n := min(len(turns), slots.MaxSubjects)
		if err := a.write(ctx, p, at, turns[:n]); err != nil {
			return fmt.Errorf("snapshots: partition %d: %w", at.Partition, err)
		}
		turns = turns[n:]
	}
	return nil
}

func (a *Action) write(ctx context.Context, p *part, at consumers.Slot, turns []consumers.Turn) error {
	if err := a.sit(ctx, p, at); err != nil {
		return err
	}
	subjects := make([]events.Subject, len(turns))
	for i, t := range turns {
		subjects[i] = t.Subject
	}
	now, err := look(ctx, a.script, at, subjects)
	if err != nil {
		return err
	}
	switch {
	case now.epoch != at.Epoch:
		return errElsewhere
	case !now.known:
		return errNoStates
	}
	var done Written
	messages, err := a.progress(ctx, p, now)
	if err != nil {
		return err
	}
	done.Checkpoints = min(1, len(messages))
	for i, t := range turns {
		switch {
		case !now.waits[i]:
			done.Late++
		case !t.State.IsZero(): // a lost one comes again, when the log was read again
			messages = append(messages, snapshot.Message(t.Subject, t.State))
			done.States++
		}
	}
	if len(messages) > 0 {
		if err := p.publish(ctx, messages); err != nil {
			return err
		}
		a.remind(p)
	}
	a.cfg.Report(done)
	return nil
}

// Close writes the checkpoints that are due and stops. No action may run any
// more. The fencer stays the caller's.
func (a *Action) Close(ctx context.Context) error {
	a.mu.Lock()
	parts := a.parts
	a.parts = nil
	a.mu.Unlock()
	var faults []error
	for _, p := range parts {
		p.mu.Lock()
		if p.reminder != nil && p.reminder.Stop() {
			faults = append(faults, a.checkpoint(ctx, p))
			p.reminder.Stop()
		}
		p.mu.Unlock()
	}
	return errors.Join(faults...)
}
