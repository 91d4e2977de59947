package verify

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
)

// Report is what a comparison found.
type Report struct {
	Events      int64          `json:"events"`   // of the log that were read
	Subjects    int64          `json:"subjects"` // that have a state by the log
	Seconds     float64        `json:"seconds"`
	Rate        float64        `json:"eventsPerSecond"`
	RawRate     float64        `json:"rawEventsPerSecond,omitempty"` // of reading alone, where that was asked for
	Differences int64          `json:"differences"`
	Unjudged    int64          `json:"unjudged"` // states of subjects of whom neither log nor snapshots have all
	Kinds       map[Kind]int64 `json:"kinds"`
	Records     int64          `json:"windowRecords,omitempty"` // that stand in the window: whom they are about was compared, and nobody else
	Cut         []int32        `json:"cut,omitempty"`           // partitions whose lost beginning may have been of the window
	Partitions  []*Partition   `json:"partitions"`
	Missing     []string       `json:"missing,omitempty"` // services that have to be there, and have no cache
	Found       []Difference   `json:"found,omitempty"`   // where the caller keeps them
}

// What a partition is judged by.
const (
	FromLog       = "log"       // as much of it as there is
	FromSnapshots = "snapshots" // and the log behind them
)

// Partition is what was found in one.
type Partition struct {
	Partition int32      `json:"partition"`
	Window    *Part      `json:"window,omitempty"` // whoever has an event in it was compared; nil: everybody
	Source    string     `json:"source"`
	Why       string     `json:"why,omitempty"` // the log has lost its beginning, and snapshots could not stand in
	From      int64      `json:"from"`          // the log was folded from here
	To        int64      `json:"to"`            // to here, exclusive
	Subjects  int64      `json:"subjects"`
	Passes    int        `json:"passes"` // how often it was read
	Services  []*Service `json:"services"`

	caches []*cache.Inspector
	marks  []mark
	read   int64 // the log was read up to here, by any pass
}

// Part is the window in one partition: offsets, To exclusive.
type Part struct {
	From    int64 `json:"from"`
	To      int64 `json:"to"`
	Records int64 `json:"records"`

	read int64 // counted up to here
}

// has says whether an offset is in the window, as all are where there is none.
func (w *Part) has(offset int64) bool { return w == nil || w.From <= offset && offset < w.To }

// whole says whether everything is known that decides.
func (p *Partition) whole() bool { return p.Source == FromSnapshots || p.From == 0 }

// Service is what was found of one service in one partition.
type Service struct {
	Service     string `json:"service"`
	Known       bool   `json:"known"`
	Next        int64  `json:"next"`             // where it stood when the comparison began
	Log         string `json:"log,omitempty"`    // digest of the log at next; empty where that was not compared
	Keeps       string `json:"digest,omitempty"` // what the service keeps as its digest then
	Differences int64  `json:"differences"`
	Behind      int64  `json:"behind,omitempty"`    // subjects with events that it has not applied
	Moving      int64  `json:"moving,omitempty"`    // subjects that changed each time they were looked at
	Unjudged    int64  `json:"unjudged,omitempty"`  // subjects of whom neither log nor snapshots have all
	Dismissed   int64  `json:"dismissed,omitempty"` // parked events that on-call let go
	Unapplied   int64  `json:"unapplied,omitempty"` // offsets of the window that it has not come to
}

// Difference is one thing that is otherwise than the log says.
type Difference struct {
	Kind      Kind           `json:"kind"`
	Service   string         `json:"service"`
	Partition int32          `json:"partition"`
	Subject   events.Subject `json:"subject"`          // masked
	Log       string         `json:"log,omitempty"`    // version that the log gives, or the parked event
	Stored    string         `json:"stored,omitempty"` // version that is stored
}

func newReport() *Report { return &Report{Kinds: make(map[Kind]int64), Partitions: []*Partition{}} }

// service returns the part of one service.
func (p *Partition) service(i int) *Service {
	if p.Services == nil {
		for _, c := range p.caches {
			p.Services = append(p.Services, &Service{Service: c.Layout().Service})
		}
	}
	return p.Services[i]
}

// found counts a difference and passes it on.
func (p *pass) found(service int, kind Kind, who events.Subject, right events.State, stored string) {
	d := Difference{
		Kind: kind, Service: p.caches[service].Layout().Service, Partition: p.result.Partition, Subject: who, Log: versionOf(right),
	}
	if s, err := events.ParseState([]byte(stored)); err == nil {
		d.Stored = versionOf(s)
	} else {
		d.Stored = "unreadable"
	}
	p.result.service(service).Differences++
	p.pass(d)
}

// pass counts a difference in the whole, and hands it to whoever wants to know.
func (v *verifier) pass(d Difference) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.report.Differences++
	v.report.Kinds[d.Kind]++
	if v.Config.Found != nil {
		v.Config.Found(d)
	}
}

func versionOf(s events.State) string {
	if at, known := s.Version(); known {
		return at.String()
	}
	return ""
}

// take enters what a pass over a share came to.
func (p *Partition) take(done *pass) {
	p.From, p.To = done.first, max(p.To, done.fold.Next)
	p.Passes++
	for _, person := range done.fold.People {
		if !person.State.IsZero() {
			p.Subjects++
		}
	}
	for i := range done.sums {
		p.marks[i].log = p.marks[i].log.Plus(done.sums[i])
	}
}

// conclude judges what concerns the whole partition: positions and digests.
func (v *verifier) conclude(p *Partition, last *pass) {
	for i := range p.caches {
		s := p.service(i)
		spot := last.spots[i]
		s.Known, s.Next = spot.Known, spot.Next
		if w := p.Window; w != nil {
			s.Unapplied = w.To - min(max(w.From, spot.Next), w.To)
		}
		whole := func(kind Kind, log, stored string) { v.whole(p, i, kind, log, stored) }
		switch {
		case !spot.Known:
			whole(NoPosition, "", "")
		case spot.Torso:
			whole(Torso, "", "")
		case spot.Next > last.offsets.End:
			whole(Beyond, fmt.Sprint(last.offsets.End), fmt.Sprint(spot.Next))
		case spot.Next < last.offsets.First:
			whole(Lost, fmt.Sprint(last.offsets.First), fmt.Sprint(spot.Next))
		}
		if i >= len(p.marks) || !p.marks[i].known || !p.whole() {
			continue // what is left of a log gives nobody's digest
		}
		m := p.marks[i]
		s.Next, s.Log, s.Keeps = m.at, hex(m.log), hex(m.keeps)
		if m.log != m.keeps && s.Differences == 0 {
			whole(NotKept, s.Log, s.Keeps)
		}
	}
}

func hex(d cache.Digest) string { return fmt.Sprintf("%012x", uint64(d)) }

// add enters a partition that is done.
func (r *Report) add(p *Partition) {
	r.Subjects += p.Subjects
	if p.Window != nil {
		r.Records += p.Window.Records
	}
	for _, s := range p.Services {
		r.Unjudged += s.Unjudged
	}
	r.Partitions = append(r.Partitions, p)
}

func (r *Report) finish(events int64, took time.Duration) {
	slices.SortFunc(r.Partitions, func(a, b *Partition) int { return cmp.Compare(a.Partition, b.Partition) })
	r.Events, r.Seconds = events, took.Seconds()
	if r.Seconds > 0 {
		r.Rate = float64(events) / r.Seconds
	}
}
