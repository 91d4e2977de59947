// Package show says what the services know of one subject: where each stands, what
// it would answer for every purpose, which event decided that, and whether the
// services agree.
//
// It reads the caches, and of the log only the records that decided.
package show

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/guard"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/cluster"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// Report is what the services know of a subject.
type Report struct {
	Subject   events.Subject   `json:"subject"` // masked
	Partition int32            `json:"partition"`
	Services  []Service        `json:"services"`
	Purposes  []events.Purpose `json:"purposes"`
	Decided   []Event          `json:"decidedBy"`         // the events that answers and holds name
	Disagree  []string         `json:"disagree"`          // which services, and in what
	Missing   []string         `json:"missing,omitempty"` // services that have to be there, and have no cache
}

// Service is what one service knows.
type Service struct {
	Name    string                    `json:"service"`
	Known   bool                      `json:"known"` // the partition has a position
	Next    int64                     `json:"next"`
	Fresh   *float64                  `json:"freshSeconds"` // age of the proof; null when there is none
	Version string                    `json:"version,omitempty"`
	Held    []string                  `json:"heldBy,omitempty"` // positions
	Answers map[events.Purpose]Answer `json:"answers"`

	state     events.State
	at        events.Version
	partition int32
}

// Answer is what a guard answers for a purpose.
type Answer struct {
	Allowed bool   `json:"allowed"`
	Reason  string `json:"reason"`
	By      string `json:"by,omitempty"` // the event that decided it

	by events.Position
}

// String says it in a few words.
func (a Answer) String() string {
	text := "denied " + a.Reason
	if a.Allowed {
		text = "allowed " + a.Reason
	}
	if a.By != "" {
		text += " @" + fmt.Sprint(a.by.Offset)
	}
	return text
}

// patience is what a guard gets for an answer: who waits is a person.
const patience = 5 * time.Second

// Subject asks every service, or the named ones, about a subject. When they
// disagree the error is [exit.ErrFindings].
func Subject(ctx context.Context, k *cluster.Cluster, s events.Subject, services ...string) (*Report, error) {
	layouts, err := k.Services(ctx, services...)
	if err != nil {
		return nil, err
	}
	rules, err := known(ctx, k, layouts)
	if err != nil {
		return nil, err
	}
	r := &Report{Subject: s, Partition: layouts[0].PartitionOf(s), Purposes: purposes(rules), Decided: []Event{}, Disagree: []string{}}
	for _, l := range layouts {
		one, err := look(ctx, k, rules, l, s)
		if err != nil {
			return nil, err
		}
		r.Services = append(r.Services, one)
	}
	if r.Disagree = disagreements(r.Services); len(r.Disagree) > 0 {
		err = exit.ErrFindings
	}
	decided, fault := read(ctx, k, rules, r.positions())
	if fault != nil { // what Redis answers is said all the same
		return r, fmt.Errorf("the events that decided: %w", fault)
	}
	r.Decided = decided
	return r, err
}

// known returns the rules of the services' newest book of policies. It stands in
// Redis beside the states, so that nobody needs the log to ask a cache.
func known(ctx context.Context, k *cluster.Cluster, layouts []cache.Layout) (*events.Rules, error) {
	client, err := k.Redis()
	if err != nil {
		return nil, err
	}
	newest := new(policy.Book)
	for _, l := range layouts {
		published, err := cache.NewReader(client, l.Service).Policies(ctx)
		if err != nil {
			return nil, fmt.Errorf("service %s: %w", l.Service, err)
		}
		if published.Catalogues == "" {
			continue // its guards deny, and say so
		}
		book, err := policy.ReadBook([]byte(published.Catalogues))
		if err != nil {
			return nil, fmt.Errorf("policies of service %s: %w", l.Service, err)
		}
		if len(book.Versions()) > len(newest.Versions()) {
			newest = book
		}
	}
	return newest.Rules(), nil
}

func purposes(rules *events.Rules) []events.Purpose {
	all := rules.Names(rules.All())
	slices.Sort(all)
	return all
}

// look asks one service.
func look(ctx context.Context, k *cluster.Cluster, rules *events.Rules, l cache.Layout, s events.Subject) (Service, error) {
	client, err := k.Redis()
	if err != nil {
		return Service{}, err
	}
	view, err := cache.NewReader(client, l.Service).Lookup(ctx, s)
	if err != nil {
		return Service{}, fmt.Errorf("service %s: %w", l.Service, err)
	}
	held, err := cache.NewInspector(client, l).Holds(ctx, s)
	if err != nil {
		return Service{}, err
	}
	out := Service{Name: l.Service, Known: view.Known, Next: view.Next, Answers: make(map[events.Purpose]Answer), state: view.State, partition: view.Partition}
	if at, has := view.State.Version(); has {
		out.at, out.Version = at, at.String()
	}
	for _, h := range held {
		if !h.Released {
			out.Held = append(out.Held, h.At.String())
		}
	}
	if view.Known && view.Fresh > 0 {
		seconds := (time.Duration(view.Now-view.Fresh) * time.Millisecond).Seconds()
		out.Fresh = &seconds
	}
	asked := guard.New(client, l.Service, guard.WithDeadline(patience))
	for _, p := range purposes(rules) {
		a, by := asked.Check(ctx, s, p), rules.Decide(view.State, p).By // also where it is held, or stale
		answer := Answer{Allowed: a.Allowed, Reason: a.Reason.String(), by: by}
		if by != (events.Version{}) {
			answer.By = by.String()
		}
		out.Answers[p] = answer
	}
	return out, nil
}
