package replay

import (
	"slices"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
)

// planFormat is raised when a plan means something else than before.
const planFormat = 1

// Plan is what replaying a range would do, and the world that it was made in. It
// holds no subject and no state: both are fingerprints under the plan's own salt.
// It implements [output.Result].
type Plan struct {
	Format     int       `json:"format"`
	Made       time.Time `json:"made"`
	Cluster    string    `json:"cluster"`
	Topic      string    `json:"topic"`
	Generation uint32    `json:"generation"`
	Partitions int32     `json:"partitions"`

	Since *time.Time `json:"since,omitempty"`
	Until *time.Time `json:"until,omitempty"`
	Types []string   `json:"types,omitempty"`
	Who   string     `json:"subject,omitempty"` // masked

	Sources []string `json:"sources,omitempty"`
	Filter  string   `json:"filter,omitempty"` // in CloudEvents SQL; it names nobody

	OnlyDeny bool `json:"onlydeny"` // what would allow anything is left out
	Act      bool `json:"act"`      // services act on what is repaired

	Salt     string     `json:"salt"`
	Ranges   []Range    `json:"ranges"`
	Services []Service  `json:"services"`
	Mends    []Mend     `json:"mends"`
	Holds    []LostHold `json:"holds"`
	Hash     string     `json:"hash"` // of all the rest
}

// Range is a part of one partition.
type Range struct {
	Partition int32          `json:"partition"`
	From      int64          `json:"from"`
	To        int64          `json:"to"` // excluded
	Records   int            `json:"records"`
	Selected  int            `json:"selected"`
	Strange   int            `json:"strange"` // selected, and no service can apply them: see parked
	Subjects  int            `json:"subjects"`
	Oldest    time.Time      `json:"oldest,omitzero"` // of the selected ones, by the broker's clock
	Newest    time.Time      `json:"newest,omitzero"`
	Types     map[string]int `json:"types"`
	Digest    string         `json:"digest"` // of all records of the range, to know it again

	LogBegins int64 `json:"logbegins,omitempty"` // the log has lost what stood before
	Snapshots int64 `json:"snapshots,omitempty"` // histories began with the snapshots, and the log from here on
}

// began notes what the histories of the range began with.
func (r *Range) began(h *history, log stream.Offsets) {
	if h.basis != nil {
		r.LogBegins, r.Snapshots = log.First, h.basis.From
	}
}

// Service is what a replay finds in one service's cache.
type Service struct {
	Service string `json:"service"`
	Buckets int32  `json:"buckets"`
	Parts   []Part `json:"parts"`

	Misplaced int `json:"misplaced,omitempty"` // subjects who lost the hold of an event that the range has in a wrong partition or under a wrong key
}

// Part is the same in one partition. What the effects count are subjects.
type Part struct {
	Partition int32          `json:"partition"`
	Known     bool           `json:"known"` // false: it is being built from the log anyway
	Next      int64          `json:"next"`
	Unchanged int            `json:"unchanged"`
	Effects   map[Effect]int `json:"effects"`
	Kinds     map[Kind]int   `json:"kinds"`
	LeftOut   int            `json:"leftout"`            // of those that would allow something
	Unheld    int            `json:"unheld"`             // subjects whose holds were lost
	Unjudged  int            `json:"unjudged,omitempty"` // subjects of whom snapshots know an event that the service has not applied
}

// Mend is one state to be replaced.
type Mend struct {
	Service   string           `json:"service"`
	Partition int32            `json:"partition"`
	Subject   string           `json:"subject"` // fingerprints
	Stored    string           `json:"stored"`
	Right     string           `json:"right"`
	Kind      Kind             `json:"kind"`
	Effect    Effect           `json:"effect"`
	Opens     []events.Purpose `json:"opens,omitempty"`
	Closes    []events.Purpose `json:"closes,omitempty"`
}

// Empty says whether nothing is wrong.
func (p *Plan) Empty() bool { return len(p.Mends) == 0 && len(p.Holds) == 0 }

// Whole says whether all of the range was compared with every cache: none was being
// built meanwhile, and of nobody the snapshots know more than it.
func (p *Plan) Whole() bool {
	for i := range p.Services {
		if s := &p.Services[i]; len(s.Unknown()) > 0 || s.Unjudged() > 0 {
			return false
		}
	}
	return true
}

// selects says whether any record was selected.
func (p *Plan) selects() bool {
	return slices.ContainsFunc(p.Ranges, func(r Range) bool { return r.Selected > 0 })
}

// Count returns how many subjects of a service a replay would have that effect
// on, over all services when none is named.
func (p *Plan) Count(e Effect, service string) (n int) {
	for i := range p.Services {
		if s := &p.Services[i]; service == "" || s.Service == service {
			for j := range s.Parts {
				n += s.Parts[j].Effects[e]
			}
		}
	}
	return n
}

// Unchanged returns how many subjects of a service are right as they are.
func (s *Service) Unchanged() (n int) {
	for i := range s.Parts {
		n += s.Parts[i].Unchanged
	}
	return n
}

// Unheld returns how many subjects lost a hold.
func (s *Service) Unheld() (n int) {
	n = s.Misplaced
	for i := range s.Parts {
		n += s.Parts[i].Unheld
	}
	return n
}

// Unjudged returns how many subjects nothing can be said of.
func (s *Service) Unjudged() (n int) {
	for i := range s.Parts {
		n += s.Parts[i].Unjudged
	}
	return n
}

// Unknown returns the partitions whose cache has no position.
func (s *Service) Unknown() (all []int32) {
	for i := range s.Parts {
		if !s.Parts[i].Known {
			all = append(all, s.Parts[i].Partition)
		}
	}
	return all
}

// Allows returns how many of the mends would allow something.
func (p *Plan) Allows() (n int) {
	for i := range p.Mends {
		if p.Mends[i].Effect == Allow {
			n++
		}
	}
	return n
}
