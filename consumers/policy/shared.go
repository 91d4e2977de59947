package policy

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	versions "github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
)

// States looks a subject up in the role's own cache.
type States interface {
	Lookup(ctx context.Context, s events.Subject) (cache.View, error)
}

// Publications is what the role has to know of the published policy.
type Publications interface {
	// Book returns all versions that are known.
	Book() *versions.Book
	// Appended returns when the log took a version up, by the broker's clock; false
	// when that is not known.
	Appended(v events.PolicyVersion) (time.Time, bool)
}

// Shared is what a [Sweeper] and an [Intake] both need. All but LogNow, Logger,
// Metrics and Now is required.
type Shared struct {
	States       States
	Publications Publications
	Publisher    consumers.Publisher
	Events       string // topic of the decisions
	Rules        func() *events.Rules
	Now          func() time.Time // nil: time.Now
	LogNow       func() time.Time // the brokers' clock as far as it is measured, or earlier (stream.Producer.Now); nil: not asked
	Logger       *slog.Logger
	Metrics      *Metrics
}

func (s *Shared) complete() {
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	if s.Metrics == nil {
		s.Metrics = NewMetrics(nil)
	}
}

// maxStaleness is how old a cache may be that something is done by: what the guard
// accepts (guard.DefaultMaxStaleness), in milliseconds of Redis' clock.
const maxStaleness events.Millis = 3_000

// settled says whether a view holds all that the log held a moment ago, and the log
// takes decisions: behind its end nothing must be published.
func settled(v cache.View) bool {
	return v.Known && v.Fresh > 0 && v.Now-v.Fresh <= maxStaleness && v.Stage == events.StageOpen
}

// publish appends events to the log and returns when all replicas have them.
func (s *Shared) publish(ctx context.Context, all []events.Event) error {
	messages := make([]stream.Message, len(all))
	for i := range all {
		m, err := cloudevent.Encoder{AnyData: true}.Encode(&all[i]) // none has purposes, and the data is ours
		if err != nil {
			return err
		}
		m.Topic = s.Events
		messages[i] = m
	}
	if len(messages) == 0 {
		return nil
	}
	if _, err := s.Publisher.PublishAll(ctx, messages); err != nil {
		return fmt.Errorf("publish %d events: %w", len(messages), err)
	}
	return nil
}
