// Package generation lays the events topic out anew: another topic, with another
// number of partitions, goes on where barriers end the old one.
//
//	topics → opening barriers → barriers behind the old log → every service folds to them
//	→ states are carried into the new log → its caches are built beside the live ones
//	→ services are fenced, the recorded layouts change → the old ones are retired
//	→ what teams keep is moved
//	→ the new log is open
//	→ what came behind a barrier is published again → the services take over
//
// Every step looks first what is there, so the whole can be interrupted anywhere and
// done again. Guards are answered all the while: by the old caches, which are complete,
// until these are retired, and by the new ones from then on. No decision counts in the
// new log before no guard answers by the old one. docs/generation.md says what is
// carried, and docs/decisions/0020 why it is done so.
package generation

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/parked"
	"github.com/kelisim/kelisim/internal/oncall/progress"
)

// Admin is what is asked of Kafka; [*stream.Admin] is one.
type Admin interface {
	Topics(ctx context.Context, names ...string) (map[string]stream.Topic, error)
	Offsets(ctx context.Context, topic string) (map[int32]stream.Offsets, error)
	OffsetsAt(ctx context.Context, topic string, at time.Time) (map[int32]int64, error)
	CreateTopics(ctx context.Context, specs []stream.TopicSpec) error
}

// Config is what a new layout is made of. All but Kept, Handover, Patience, Progress,
// Logger and Tell are required.
type Config struct {
	Old, New cloudevent.Layout
	Create   []deploy.Topic // the new topics: of the events, and of their states
	Services []cache.Layout // as they are recorded now: of the old layout, or already of the new

	Kafka     stream.Config
	Admin     Admin
	Publisher Publisher
	Open      func(ctx context.Context, live, next cache.Layout) (*cache.Successor, error) // a service's caches
	Parked    *parked.Desk                                                                 // of the new layout
	Topics    Topics
	Policy    consumers.Policy // what is published, followed
	Rules     *events.Rules

	// Kept moves what a service keeps beside the states from the slots of one layout to
	// those of another, by service, and says how many keys that were.
	Kept map[string]func(ctx context.Context, from, to []consumers.Slot) (int, error)

	Handover time.Duration // how long the new caches are kept fresh for services to take over; 0: not at all
	Patience time.Duration // how long a service may stand still before its barrier; a minute when zero
	Progress progress.Progress
	Logger   *slog.Logger
	Tell     func(step string) // called as each step is done
}

// Topics are the others that are written to.
type Topics struct{ Parked, Receipts string }

// Publisher appends messages; [*stream.Producer] is one.
type Publisher interface {
	PublishAll(ctx context.Context, ms []stream.Message) ([]stream.Ack, error)
}

// Report says what was done. It holds no subject.
type Report struct {
	Steps    []string `json:"steps"`
	Subjects int64    `json:"subjects"`          // that were carried by this run
	Strays   int      `json:"strays"`            // events that did not count where they were written, and were published again
	Waiting  []string `json:"waiting,omitempty"` // services that have not taken over yet
}

// layout is one at work.
type layout struct {
	Config
	report   *Report
	services []*service
	ended    bool // every old partition is, by this run or one before: there is no way back
}

// service is one service's caches on the way.
type service struct {
	*cache.Successor
	adopted bool                   // when this run began
	builder *builder               // folds the new log, unless the service does so itself
	expect  map[int32]cache.Digest // of the new partitions, when all that is carried is folded; nil: not known
}

func (s *service) name() string { return s.Layout().Service }

// resume is what goes on with a layout that is begun.
const resume = "the same command"

// Run lays the log out anew, or goes on with it. When it fails the report says how far
// it came.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	if cfg.Progress == nil {
		cfg.Progress = progress.None()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Tell == nil {
		cfg.Tell = func(string) {}
	}
	if cfg.Patience == 0 {
		cfg.Patience = time.Minute
	}
	l := &layout{Config: cfg, report: &Report{Steps: []string{}}}
	if err := l.open(ctx); err != nil {
		return l.report, err
	}
	defer l.close()
	for _, step := range []func(context.Context) (string, error){
		l.createTopics, l.openPartitions, l.endPartitions, l.awaitServices, l.carry, l.build,
		l.adopt, l.retire, l.carryKept, l.letIn, l.publishStrays, l.handOver,
	} {
		done, err := step(ctx)
		if err != nil && (l.ended || len(l.report.Steps) > 0) {
			return l.report, &exit.PartlyError{Err: err, Resume: resume}
		}
		if err != nil {
			return l.report, err
		}
		if done != "" {
			l.report.Steps = append(l.report.Steps, done)
			cfg.Tell(done)
		}
	}
	return l.report, nil
}

// open finds the caches of both generations. Every service has to be of one of the two.
func (l *layout) open(ctx context.Context) error {
	if len(l.Services) == 0 {
		return exit.Refuse("no service folds %s", l.Old.Topic)
	}
	for _, recorded := range l.Services {
		live, next := recorded, recorded
		live.Topic, live.Generation, live.Partitions = l.Old.Topic, l.Old.Generation, l.Old.Partitions
		next.Topic, next.Generation, next.Partitions = l.New.Topic, l.New.Generation, l.New.Partitions
		if recorded != live && recorded != next {
			return exit.Refuse("%s folds generation %d of %s with %d partitions", recorded.Service, recorded.Generation, recorded.Topic, recorded.Partitions)
		}
		successor, err := l.Open(ctx, live, next)
		if err != nil {
			return err
		}
		if recorded == live { // an earlier run may have ended between the fence and the swap
			if err := successor.Unfence(ctx); err != nil {
				return err
			}
		}
		l.services = append(l.services, &service{Successor: successor, adopted: recorded == next})
	}
	slices.SortFunc(l.services, func(a, b *service) int { return strings.Compare(a.name(), b.name()) })
	return nil
}

func (l *layout) close() {
	for _, s := range l.services {
		if s.builder != nil {
			s.builder.stop()
		}
	}
}

// waiting are the services whose recorded layout is still the old one.
func (l *layout) waiting() (some []*service) {
	for _, s := range l.services {
		if !s.adopted {
			some = append(some, s)
		}
	}
	return some
}

func numbers(partitions int32) []int32 {
	all := make([]int32, partitions)
	for p := range all {
		all[p] = int32(p)
	}
	return all
}

// createTopics creates what is missing. What is there must be what was asked for.
func (l *layout) createTopics(ctx context.Context) (string, error) {
	var specs []stream.TopicSpec
	for _, t := range l.Create {
		found, err := l.Admin.Topics(ctx, t.Name)
		if err != nil {
			return "", err
		}
		there, ok := found[t.Name]
		if ok && len(there.Partitions) != t.Partitions {
			return "", exit.Refuse("topic %s has %d partitions, and not %d", t.Name, len(there.Partitions), t.Partitions)
		}
		if !ok {
			specs = append(specs, stream.TopicSpec{Name: t.Name, Partitions: t.Partitions, Replicas: t.Replicas, Config: t.Config})
		}
	}
	if len(specs) == 0 {
		return "", nil
	}
	return fmt.Sprintf("created %d topics", len(specs)), l.Admin.CreateTopics(ctx, specs)
}
