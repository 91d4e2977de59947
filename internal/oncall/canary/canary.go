// Package canary sends synthetic subjects through the real path, all day: each
// grants and withdraws, through a real producer and the real log, and the guards of
// every service are asked until they deny. What is measured is the promise itself:
// from the acknowledgement of a withdrawal to the first denial.
//
// A canary's id begins with [events.CanaryPrefix], which is no person's; there is
// one for each partition, the same at every run, so that a partition that stands
// still is noticed and nothing piles up. Services fold canaries and act on none
// (consumers/internal/slots), so no audience, profile or partner sees one.
// [Flock.Clear] erases them.
//
// It leaves to the caller how often to fly, and what to do about a [Fault].
package canary

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/guard"
	"github.com/kelisim/kelisim/schemas"
)

// DefaultPurpose is what canaries consent to: one that a person may withdraw.
const DefaultPurpose events.Purpose = "new-services"

// DefaultWithin is X of the promise (DESIGN 1, P1): no check that starts later than
// this after the acknowledgement may allow.
const DefaultWithin = 5 * time.Second

// Publisher puts events into the log; [*stream.Producer] is one.
type Publisher interface {
	Publish(ctx context.Context, m stream.Message) (stream.Ack, error)
	Now() time.Time
}

// Config says what flies where. Every field must be set.
type Config struct {
	Publisher  Publisher
	Topic      string
	Generation uint32
	Partitions int32
	Rules      *events.Rules
	Policy     events.PolicyVersion // the version in force
	Purpose    events.Purpose
	Guards     map[string]guard.Checker // by service
	Name       string                   // of the flock: two that fly at once have two names
	Within     time.Duration            // what a stop may take
}

// Flock is a canary for each partition. Its methods are called one at a time.
type Flock struct {
	cfg      Config
	encoder  cloudevent.Encoder
	purposes events.PurposeSet
	canaries []bird
}

// bird is one canary.
type bird struct {
	subject   events.Subject
	partition int32
	decided   events.Millis // when its last decision counts from: the later of its own time and the broker's
}

// New makes a flock. It publishes nothing yet.
func New(cfg Config) (*Flock, error) {
	if len(cfg.Guards) == 0 || cfg.Within <= 0 || cfg.Partitions < 1 {
		return nil, errors.New("canary: want guards, a bound and partitions")
	}
	set, err := cfg.Rules.Set(cfg.Purpose)
	if err != nil {
		return nil, fmt.Errorf("canary: %w", err)
	}
	if rule, _ := cfg.Rules.Rule(cfg.Purpose); rule.Basis != events.Consent {
		return nil, fmt.Errorf("canary: nobody can withdraw %s: it rests on %v", cfg.Purpose, rule.Basis)
	}
	f := &Flock{cfg: cfg, encoder: cloudevent.Encoder{Rules: cfg.Rules, Data: schemas.Data}, purposes: set}
	f.canaries = make([]bird, cfg.Partitions)
	for n, left := 0, len(f.canaries); left > 0; n++ {
		subject, err := events.ParseSubject(events.CanaryPrefix + cfg.Name + "-" + strconv.Itoa(n))
		if err != nil {
			return nil, fmt.Errorf("canary: name %q: %w", cfg.Name, err)
		}
		partition := events.PartitionOf(subject.Reveal(), cfg.Partitions)
		if b := &f.canaries[partition]; b.subject.IsZero() {
			*b = bird{subject: subject, partition: partition}
			left--
		}
	}
	return f, nil
}

// source is who stamps a flock's events.
func (f *Flock) source() string { return "/consentctl/canary/" + f.cfg.Name }

// publish lets a canary decide, and returns where that stands in the log.
func (f *Flock) publish(ctx context.Context, b *bird, t events.Type) (events.Position, error) {
	b.decided = max(b.decided+1, events.MillisOf(f.cfg.Publisher.Now()))
	id := fmt.Sprintf("%d-%d-%d", b.partition, b.decided, t)
	e := events.Event{
		ID: id, Source: f.source(), Type: t, Method: events.ByPerson, Subject: b.subject, Decided: b.decided,
		Evidence: "urn:kelisim:canary:" + f.cfg.Name + ":" + id, Data: []byte(`{"channel":"system"}`),
	}
	if t != events.SubjectErased {
		e.Purposes = f.purposes
	}
	if t == events.Granted {
		e.Policy = f.cfg.Policy
	}
	m, err := f.encoder.Encode(&e)
	if err != nil {
		return events.Position{}, err
	}
	m.Topic = f.cfg.Topic
	ack, err := f.cfg.Publisher.Publish(ctx, m)
	if err != nil {
		return events.Position{}, fmt.Errorf("publish %s for partition %d: %w", t, b.partition, err)
	}
	b.decided = max(b.decided, events.MillisOf(ack.Appended))
	return events.Position{Generation: f.cfg.Generation, Partition: ack.Partition, Offset: ack.Offset}, nil
}
