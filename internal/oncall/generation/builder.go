package generation

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
)

// memory is how many states a builder keeps, over all partitions.
const memory = 200_000

// builder folds the new log into one service's cache of the next generation: the
// services' own engine, without a group and without the service's action. It keeps the
// cache fresh until the service takes its partitions over.
type builder struct {
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // of the engine, when it has ended
}

// newBuilder begins to fold. What is to be acted on stays in the outbox for the
// service, which is to act on everybody: its own keys are new.
func (l *layout) newBuilder(ctx context.Context, s *service) (*builder, error) {
	reader, err := stream.NewReader(stream.ReaderConfig{Config: l.Kafka, Topic: l.New.Topic})
	if err != nil {
		return nil, err
	}
	next := s.Layout()
	engine, err := consumers.New(consumers.Config{
		Service: consumers.Service{Name: next.Service, Action: nothing{}, EveryChange: true},
		Policy:  l.Policy, Generation: next.Generation, Partitions: next.Partitions,
		Log: &tail{Reader: reader, partitions: next.Partitions}, Store: gate{s.Successor},
		Decoder:   func(r *events.Rules) consumers.Decoder { return cloudevent.Decoder{Rules: r} },
		Publisher: sink{l.Publisher, l.Topics.Receipts}, Memory: memory, Logger: l.Logger,
		ParkedTopic: l.Topics.Parked, ReceiptsTopic: l.Topics.Receipts,
		Slots: func(id int32) consumers.Slot { return consumers.Slot{Partition: id, Prefix: next.Prefix(id)} },
	})
	if err != nil {
		reader.Close()
		return nil, err
	}
	b := &builder{ended: make(chan struct{})}
	ctx, b.cancel = context.WithCancel(ctx)
	go func() {
		defer close(b.ended)
		defer reader.Close()
		b.err = engine.Run(ctx)
	}()
	return b, nil
}

// fault returns why the engine has ended, though nobody stopped it.
func (b *builder) fault() error {
	select {
	case <-b.ended:
		if b.err == nil {
			return context.Canceled
		}
		return fmt.Errorf("fold the new log: %w", b.err)
	default:
		return nil
	}
}

func (b *builder) stop() {
	b.cancel()
	<-b.ended
}

// gate is the next cache as the engine sees it: nobody acts on its outbox but the
// service.
type gate struct{ *cache.Successor }

// Pending implements [consumers.Store].
func (gate) Pending(context.Context, int32, int) ([]cache.Pending, error) { return nil, nil }

// Done implements [consumers.Store]: nothing was done, and the outbox keeps all of it.
func (gate) Done(context.Context, int32, int64, []cache.Pending) (int64, error) { return 0, nil }

// sink lets through what is parked. A receipt is the service's own, and the ranges that
// are not receipted are covered by its first one.
type sink struct {
	Publisher
	receipts string
}

var errNoReceipts = errors.New("the service itself tells how far it is")

// PublishAll implements [consumers.Publisher].
func (s sink) PublishAll(ctx context.Context, messages []stream.Message) ([]stream.Ack, error) {
	for i := range messages {
		if messages[i].Topic == s.receipts {
			return nil, errNoReceipts
		}
	}
	return s.Publisher.PublishAll(ctx, messages)
}

// nothing is the action of a cache that its service does not have yet.
type nothing struct{}

// Act implements [consumers.Action].
func (nothing) Act(context.Context, consumers.Slot, []consumers.Turn) error { return nil }

// tail is a log, read without a group: a Log of one session, of all its partitions.
type tail struct {
	*stream.Reader
	partitions int32
	once       sync.Once
}

// errTaken ends the engine when somebody has claimed a partition of its cache: the
// service, that takes over, or another run of the same command.
var errTaken = errors.New("another claimed the new cache")

// Run implements [consumers.Log].
func (t *tail) Run(ctx context.Context, handle func(context.Context, consumers.Session) error) error {
	err := errTaken
	t.once.Do(func() { err = handle(ctx, t) })
	return err
}

// Partitions implements [consumers.Session].
func (t *tail) Partitions() []int32 { return numbers(t.partitions) }

// LogStart implements [consumers.Session].
func (t *tail) LogStart(ctx context.Context, partition int32) (int64, error) {
	all, err := t.Offsets(ctx, partition)
	return all[partition].First, err
}

// Start implements [consumers.Session].
func (t *tail) Start(offsets map[int32]int64) error {
	return t.Reader.Start(context.Background(), offsets)
}

// Seek implements [consumers.Session].
func (t *tail) Seek(partition int32, offset int64) error {
	return t.Start(map[int32]int64{partition: offset})
}

// Commit implements [consumers.Session]: there is no group to tell.
func (t *tail) Commit(map[int32]int64) error { return nil }
