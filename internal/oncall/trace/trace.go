// Package trace tells one person's life: every event, what it came to, and when
// each service applied it, by the services' own receipts.
//
// It reads the one partition that the person's events are in, and of the receipts
// those for it. A service applied an event at the time of the first receipt that
// covers its position (package consumers); no receipt is no proof.
package trace

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/cluster"
	"github.com/kelisim/kelisim/internal/oncall/progress"
	"github.com/kelisim/kelisim/internal/oncall/record"
)

// Timeline is what happened about one subject, in the order of the log.
type Timeline struct {
	Subject   events.Subject `json:"subject"` // masked
	Partition int32          `json:"partition"`
	Events    []*Step        `json:"events"`
	Services  []string       `json:"services"` // whose receipts were read
	Junk      int            `json:"unreadableReceipts,omitempty"`
}

// Step is one event.
type Step struct {
	record.Event
	Verdict string    `json:"verdict"`          // what the fold makes of it; parked holds the subject
	Reason  string    `json:"reason,omitempty"` // of a parked one
	Applied []Applied `json:"applied"`          // by the services that have a receipt of it, in the order of Services

	offset int64
}

// Applied is what a service's receipts say of one event.
type Applied struct {
	Service string     `json:"service"`
	Decided *time.Time `json:"decidedAt,omitempty"` // its cache decided by the event from then on, or before; nil: no receipt yet
	Took    float64    `json:"seconds"`             // from the append until then; by two clocks, so a little below 0 is 0
	Acted   *time.Time `json:"actedAt,omitempty"`   // what had to stop had stopped by then; nil: no receipt yet
}

// Subject reads the timeline of a subject. Services are those that Redis holds, or
// the named ones; for named ones Redis is not asked.
func Subject(ctx context.Context, k *cluster.Cluster, s events.Subject, services []string, shown progress.Progress) (*Timeline, error) {
	if len(services) == 0 {
		layouts, err := k.Services(ctx)
		if err != nil {
			return nil, err
		}
		for _, l := range layouts {
			services = append(services, l.Service)
		}
	}
	rules, err := k.Rules(ctx)
	if err != nil {
		return nil, err
	}
	n, err := partitions(ctx, k, k.Topics.Events)
	if err != nil {
		return nil, err
	}
	t := &Timeline{Subject: s, Partition: events.PartitionOf(s.Reveal(), n), Events: []*Step{}, Services: services}
	if err := t.read(ctx, k, rules, s, shown); err != nil {
		return nil, err
	}
	for i, service := range services {
		if err := t.receipts(ctx, k, i, service, shown); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func partitions(ctx context.Context, k *cluster.Cluster, topic string) (int32, error) {
	admin, err := k.Admin()
	if err != nil {
		return 0, err
	}
	n, err := admin.Partitions(ctx, topic)
	if err == nil && n == 0 {
		err = fmt.Errorf("topic %s is not there", topic)
	}
	return int32(n), err
}

// read folds the subject's events. Their record key is the subject, whether they
// can be read or not.
func (t *Timeline) read(ctx context.Context, k *cluster.Cluster, rules *events.Rules, s events.Subject, shown progress.Progress) error {
	describe := record.Reader{Rules: rules, Generation: k.Generation}
	var state events.State
	return k.ReadShown(ctx, k.Topics.Events, shown, func(r *stream.Record) error {
		if string(r.Key) != s.Reveal() {
			return nil
		}
		said, e := describe.Describe(r)
		step := &Step{Event: said, Verdict: events.Park.String(), Reason: said.Fault, offset: r.Offset}
		switch {
		case said.Fault != "":
		case !r.LogAppend:
			step.Reason = consumers.ReasonNoAppendTime
		default:
			var out events.Outcome
			state, out = rules.Apply(state, &e)
			step.Verdict, step.Reason = out.Verdict.String(), out.Reason
		}
		for _, service := range t.Services {
			step.Applied = append(step.Applied, Applied{Service: service})
		}
		t.Events = append(t.Events, step)
		return nil
	}, t.Partition)
}

// receipts enters when one service applied the events.
func (t *Timeline) receipts(ctx context.Context, k *cluster.Cluster, service int, name string, shown progress.Progress) error {
	if len(t.Events) == 0 {
		return nil
	}
	n, err := partitions(ctx, k, k.Topics.Receipts)
	if err != nil {
		return err
	}
	key := fmt.Sprintf("%s/%d", name, t.Partition)
	return k.ReadSince(ctx, k.Topics.Receipts, t.Events[0].Appended, shown, func(r *stream.Record) error {
		if string(r.Key) != key {
			return nil
		}
		var receipt consumers.Receipt
		if err := json.Unmarshal(r.Value, &receipt); err != nil {
			t.Junk++ // it proves nothing; the doctor names it
			return nil
		}
		if receipt.Generation == k.Generation {
			t.cover(service, &receipt)
		}
		return nil
	}, events.PartitionOf(key, n))
}

// cover enters a receipt where it is the first that covers an event. Ranges of
// receipts follow each other, so what one begins behind was covered before.
func (t *Timeline) cover(service int, r *consumers.Receipt) {
	for _, step := range t.Events {
		a := &step.Applied[service]
		if step.offset < r.From {
			continue
		}
		if a.Decided == nil && step.offset < r.Decided {
			at := r.DecidedAt
			a.Decided, a.Took = &at, max(0, at.Sub(step.Appended).Seconds())
		}
		if a.Acted == nil && step.offset < r.Acted {
			at := r.At
			a.Acted = &at
		}
	}
}
