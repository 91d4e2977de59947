package policyfeed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/events/stream"
)

// Topic is the topic's name unless it is configured otherwise.
const Topic = "consent.policies.v1"

const (
	// maxWait bounds a long poll. An answer proves freshness as of its beginning, and a
	// cache is at most as fresh as the policy: four proofs a second leave the guard's
	// three seconds to the events.
	maxWait = 250 * time.Millisecond
	// tick bounds how late an effective date is noticed while Kafka does not answer.
	tick = time.Second
	// startPause keeps attempts to find the topic apart.
	startPause = 500 * time.Millisecond
)

// Config says where the policy is published.
type Config struct {
	Kafka   stream.Config
	Topic   string           // empty: consent.policies.v1
	Now     func() time.Time // tells which version is effective; nil: time.Now
	Logger  *slog.Logger
	Metrics *Metrics // nil: none
}

// Follower knows the published policy. It may be asked by many goroutines, also
// before it runs: then no version is known, and nothing is proved.
type Follower struct {
	cfg     Config
	log     *slog.Logger
	metrics *Metrics
	reader  *stream.Reader
	held    atomic.Pointer[held]
	proved  atomic.Pointer[time.Time]
	close   func()

	mu       sync.Mutex
	next     int64         // offset of the topic to read next
	moved    chan struct{} // closed when next moves
	appended map[events.PolicyVersion]time.Time
}

// held is an edition until there is another.
type held struct {
	*policy.Edition
	superseded chan struct{}
}

// New returns a follower that is not running. The caller closes it, or runs it and
// ends it by the context.
func New(cfg Config) (*Follower, error) {
	if cfg.Topic == "" {
		cfg.Topic = Topic
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics(nil)
	}
	reader, err := stream.NewReader(stream.ReaderConfig{Config: cfg.Kafka, Topic: cfg.Topic, MaxWait: maxWait})
	if err != nil {
		return nil, fmt.Errorf("policies: %w", err)
	}
	f := &Follower{cfg: cfg, log: cfg.Logger.With("topic", cfg.Topic), metrics: cfg.Metrics, reader: reader, moved: make(chan struct{})}
	f.appended = make(map[events.PolicyVersion]time.Time)
	f.close = sync.OnceFunc(reader.Close)
	f.proved.Store(new(time.Time))
	f.hold(new(policy.Book).Edition(cfg.Now()))
	return f, nil
}

// Current returns the edition in force, never nil.
func (f *Follower) Current() *policy.Edition { return f.held.Load().Edition }

// Book returns all versions that are known.
func (f *Follower) Book() *policy.Book { return f.Current().Book }

// Appended returns when the topic took a version up, by the broker's clock: the
// earliest record of it that is left. False when the version is not known.
func (f *Follower) Appended(v events.PolicyVersion) (time.Time, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, known := f.appended[v]
	return at, known
}

// Superseded returns a channel that is closed as soon as Current is another
// edition than e.
func (f *Follower) Superseded(e *policy.Edition) <-chan struct{} {
	if h := f.held.Load(); h.Edition == e {
		return h.superseded
	}
	return closed
}

var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Proved returns the latest moment of which it is known that the current edition
// held all that the topic had then; the zero time if there is none.
func (f *Follower) Proved() time.Time { return *f.proved.Load() }

// CatchUp returns once the current edition holds all that the topic has now. It
// costs one round trip when there is nothing new.
func (f *Follower) CatchUp(ctx context.Context) error {
	asked := time.Now()
	offsets, err := f.reader.Offsets(ctx, 0)
	if err != nil {
		return fmt.Errorf("policies: %w", err)
	}
	for {
		f.mu.Lock()
		next, moved := f.next, f.moved
		f.mu.Unlock()
		if next >= offsets[0].End {
			f.prove(asked)
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("policies: read to %d of %d: %w", next, offsets[0].End, context.Cause(ctx))
		}
	}
}

// Run follows the topic until ctx ends, and returns nil then. A topic that cannot
// be read is waited for: nothing is proved meanwhile, and caches grow stale.
func (f *Follower) Run(ctx context.Context) error {
	defer f.Close()
	f.start(ctx)
	for ctx.Err() == nil {
		f.poll(ctx)
		f.turn(f.Current().Book)
	}
	return nil
}

// Close ends what [New] began; Run does too. A second call does nothing.
func (f *Follower) Close() { f.close() }

// start reads the topic from its beginning. What is known already stays known.
func (f *Follower) start(ctx context.Context) {
	for {
		f.begin()
		err := f.reader.Start(ctx, map[int32]int64{0: stream.Earliest})
		if err == nil || ctx.Err() != nil {
			return
		}
		f.log.Warn("policies cannot be read yet", "err", err)
		select {
		case <-time.After(startPause):
		case <-ctx.Done():
			return
		}
	}
}

// poll takes one answer of the broker, or waits for a tick.
func (f *Follower) poll(ctx context.Context) {
	polling, cancel := context.WithTimeout(ctx, tick)
	defer cancel()
	fetch, err := f.reader.Poll(polling)
	var gap *stream.OutOfRangeError
	switch {
	case polling.Err() != nil && err != nil:
		return
	case errors.As(err, &gap): // the topic was made anew: what it has now counts too
		f.metrics.unread()
		f.log.Error("policies are read from the beginning again", "err", err)
		f.start(ctx)
		return
	case err != nil:
		f.metrics.unread()
		f.log.Error("policies cannot be read", "err", err)
		return
	}
	defer fetch.Release()
	for i := range fetch.Batches {
		b := &fetch.Batches[i]
		for j := range b.Records {
			f.take(&b.Records[j])
		}
		f.reach(b.Next)
		if b.CaughtUp() {
			f.prove(fetch.Sent)
		}
	}
}

// take enters what a record publishes. One that cannot be understood, or that
// contradicts what is known, changes nothing and is an alarm.
func (f *Follower) take(r *stream.Record) {
	book, c, err := Enter(f.Current().Book, r)
	if err != nil {
		f.metrics.refused(err)
		f.log.Error("policy version refused", "offset", r.Offset, "err", err)
		return
	}
	f.date(c.Version, events.Millis(r.Time).Time())
	if f.turn(book) {
		f.log.Info("policy version arrived", "version", string(c.Version), "effective", c.EffectiveOn.String(), "offset", r.Offset)
	}
}

// date notes when a version was first appended.
func (f *Follower) date(v events.PolicyVersion, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if was, known := f.appended[v]; !known || at.Before(was) {
		f.appended[v] = at
	}
}

// turn makes the book's edition of this moment the current one, if it is another.
func (f *Follower) turn(book *policy.Book) bool {
	e, now := book.Edition(f.cfg.Now()), f.Current()
	if e.Mark() == now.Mark() {
		return false
	}
	if e.Version != now.Version {
		f.log.Info("policy in force", "version", string(e.Version), "was", string(now.Version))
	}
	f.hold(e)
	return true
}

// hold is called by one goroutine.
func (f *Follower) hold(e *policy.Edition) {
	before := f.held.Swap(&held{e, make(chan struct{})})
	f.metrics.turned(e)
	if before != nil {
		close(before.superseded)
	}
}

// begin forgets how far the topic was read.
func (f *Follower) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = 0
}

// reach notes how far the topic is read.
func (f *Follower) reach(next int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if next > f.next {
		f.next = next
		close(f.moved)
		f.moved = make(chan struct{})
	}
}

// prove notes that nothing is unread of what the topic had at a moment.
func (f *Follower) prove(at time.Time) {
	for {
		was := f.proved.Load()
		if !at.After(*was) || f.proved.CompareAndSwap(was, &at) {
			f.metrics.proved(f.Proved())
			return
		}
	}
}
