package rebuild

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
)

// follower folds one partition of the log into what is staged: the services' own
// engine, without its group and without its effects.
type follower struct {
	gate   *gate
	sink   *sink
	staged *cache.Inspector
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // of the engine, when it has ended
}

func (p *part) newFollower(ctx context.Context) (*follower, error) {
	live := p.cfg.Live.Layout()
	reader, err := stream.NewReader(stream.ReaderConfig{Config: p.cfg.Kafka, Topic: p.cfg.Events})
	if err != nil {
		return nil, err
	}
	f := &follower{
		gate: &gate{Staging: p.cfg.Staging}, sink: &sink{}, ended: make(chan struct{}),
		staged: p.cfg.Live.Of(p.cfg.Staging.Layout()),
	}
	engine, err := consumers.New(consumers.Config{
		Service: consumers.Service{Name: live.Service, Action: nothing{}},
		Policy:  steady{&policy.Edition{Rules: p.cfg.Rules}}, Generation: live.Generation, Partitions: live.Partitions,
		Log: &tail{Reader: reader, partition: p.id}, Decoder: func(r *events.Rules) consumers.Decoder { return cloudevent.Decoder{Rules: r} },
		Store: f.gate, Publisher: f.sink, Memory: max(1, memory/len(p.parts)),
		Slots: func(id int32) consumers.Slot {
			return consumers.Slot{Partition: id, Prefix: p.cfg.Staging.Layout().Prefix(id)}
		},
	})
	if err != nil {
		reader.Close()
		return nil, err
	}
	ctx, f.cancel = context.WithCancel(ctx)
	go func() {
		defer close(f.ended)
		defer reader.Close()
		f.err = engine.Run(ctx)
	}()
	return f, nil
}

// fault returns why the engine has ended, though nobody stopped it.
func (f *follower) fault() error {
	select {
	case <-f.ended:
		if f.err == nil {
			return context.Canceled
		}
		return fmt.Errorf("follow the log: %w", f.err)
	default:
		return nil
	}
}

func (f *follower) stop() {
	f.cancel()
	<-f.ended
}

// pause keeps the engine from claiming what is staged again, once that is gone,
// and returns the epoch of its claim.
func (f *follower) pause() int64 {
	f.gate.mu.Lock()
	defer f.gate.mu.Unlock()
	f.gate.shut = true
	return f.gate.epoch
}

func (f *follower) resume() {
	f.gate.mu.Lock()
	defer f.gate.mu.Unlock()
	f.gate.shut = false
}

// reached is the offset that the live position must have passed, so that what
// cannot be applied was kept aside by the service itself.
func (f *follower) reached() int64 {
	f.sink.mu.Lock()
	defer f.sink.mu.Unlock()
	return f.sink.behind
}

// gate is the staged cache as the engine sees it.
type gate struct {
	*cache.Staging
	mu    sync.Mutex
	shut  bool
	epoch int64
}

var errShut = errors.New("what was staged is being swapped")

// Claim implements [consumers.Store].
func (g *gate) Claim(ctx context.Context, partition int32) (cache.Mark, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return cache.Mark{}, errShut // tried again until the engine is stopped
	}
	mark, err := g.Staging.Claim(ctx, partition)
	g.epoch = mark.Epoch
	return mark, err
}

// Pending implements [consumers.Store]: what waits in the staged outbox is for the
// service to act on.
func (g *gate) Pending(context.Context, int32, int) ([]cache.Pending, error) { return nil, nil }

// Hold implements [consumers.Store] for events that stand in another partition than
// their subject's: the service lays these itself.
func (g *gate) Hold(context.Context, events.Subject, events.Position) error { return nil }

// Publish implements [consumers.Store]: the service itself tells guards its policy.
func (g *gate) Publish(context.Context, cache.Policies) error { return nil }

// Swept implements [consumers.Store]: nobody is acted on here, so nobody differently.
func (g *gate) Swept(context.Context, int32) (cache.Sweep, error) {
	return cache.Sweep{Mark: new(policy.Edition).Mark()}, nil
}

// steady is the policy as it was when the rebuild began. States do not depend on what
// it covers.
type steady struct{ edition *policy.Edition }

// Current implements [consumers.Policy].
func (s steady) Current() *policy.Edition { return s.edition }

// Superseded implements [consumers.Policy].
func (steady) Superseded(*policy.Edition) <-chan struct{} { return nil }

// Proved implements [consumers.Policy].
func (steady) Proved() time.Time { return time.Now() }

// CatchUp implements [consumers.Policy].
func (steady) CatchUp(context.Context) error { return nil }

// sink takes what the engine would publish, and publishes nothing. It remembers
// where the last event stands that could not be applied.
type sink struct {
	mu     sync.Mutex
	behind int64
}

// PublishAll implements [consumers.Publisher].
func (s *sink) PublishAll(_ context.Context, messages []stream.Message) ([]stream.Ack, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range messages {
		for _, h := range messages[i].Headers {
			if h.Key != consumers.HeaderParkedPosition {
				continue
			}
			at, err := events.ParsePosition(string(h.Value))
			if err != nil {
				return nil, err
			}
			s.behind = max(s.behind, at.Offset+1)
		}
	}
	return make([]stream.Ack, len(messages)), nil
}

// nothing is the action of a cache that is not live.
type nothing struct{}

// Act implements [consumers.Action].
func (nothing) Act(context.Context, consumers.Slot, []consumers.Turn) error { return nil }

// tail is one partition of the log, read without a group: a Log of one session.
type tail struct {
	*stream.Reader
	partition int32
	ran       bool
}

// errAnother ends the engine when another rebuild has taken what it staged.
var errAnother = errors.New("another rebuild of the same service runs")

// Run implements [consumers.Log].
func (l *tail) Run(ctx context.Context, handle func(context.Context, consumers.Session) error) error {
	if l.ran {
		return errAnother
	}
	l.ran = true
	return handle(ctx, l)
}

// Partitions implements [consumers.Session].
func (l *tail) Partitions() []int32 { return []int32{l.partition} }

// LogStart implements [consumers.Session].
func (l *tail) LogStart(ctx context.Context, partition int32) (int64, error) {
	all, err := l.Offsets(ctx, partition)
	return all[partition].First, err
}

// Start implements [consumers.Session].
func (l *tail) Start(offsets map[int32]int64) error {
	return l.Reader.Start(context.Background(), offsets)
}

// Seek implements [consumers.Session].
func (l *tail) Seek(partition int32, offset int64) error {
	return l.Start(map[int32]int64{partition: offset})
}

// Commit implements [consumers.Session]: there is no group to tell.
func (l *tail) Commit(map[int32]int64) error { return nil }
