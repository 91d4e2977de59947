package policy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
)

// lookups is how many states are read at the same time: enough to hide round
// trips, few enough to leave Redis to the guards.
const lookups = 16

// The pause between two tries while the cache or the log does not answer.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 5 * time.Second
)

// Intake reads a topic that tells who used the service, and publishes an acceptance
// for each subject and version that use accepts (clause 1.6). Silence accepts
// nothing, and neither does what it cannot read.
//
// Use accepts whoever has an agreement and has not accepted the version, or a later
// one, in any way. What is lost here costs nothing: the next use accepts.
type Intake struct {
	Shared
	topic   string
	mapping Mapping
	seen    seen // of the one goroutine that runs
}

// NewIntake returns an intake that does not run yet.
func NewIntake(topic string, mapping Mapping, shared Shared) *Intake {
	shared.complete()
	return &Intake{Shared: shared, topic: topic, mapping: mapping}
}

// Run reads until ctx ends, and returns nil then. The group's offset is where it
// goes on: it is committed behind what is published.
func (in *Intake) Run(ctx context.Context, log *stream.Consumer) error {
	return log.Run(ctx, in.session)
}

func (in *Intake) session(ctx context.Context, s *stream.Session) error {
	start := make(map[int32]int64)
	for _, p := range s.Partitions() {
		start[p] = stream.Earliest
		if offset, known := s.Committed(p); known {
			start[p] = offset
		}
	}
	if err := s.Start(start); err != nil {
		return err
	}
	for {
		fetch, err := s.Poll(ctx)
		if err != nil {
			if err = in.skip(ctx, s, err); err != nil {
				return err
			}
			continue
		}
		err = in.insist(ctx, func() error { return in.take(ctx, fetch) })
		next := make(map[int32]int64)
		for i := range fetch.Batches {
			next[fetch.Batches[i].Partition] = fetch.Batches[i].Next
		}
		fetch.Release()
		if err != nil {
			return err
		}
		if err := s.Commit(next); err != nil {
			return err
		}
	}
}

// skip goes on behind what cannot be read: an activity that is lost accepts
// nothing. Any other error ends the session.
func (in *Intake) skip(ctx context.Context, s *stream.Session, err error) error {
	var gap *stream.OutOfRangeError
	var corrupt *stream.CorruptError
	var refused *stream.PartitionError
	switch {
	case errors.As(err, &gap):
		in.Metrics.failures.WithLabelValues("activity-gap").Inc()
		in.Logger.Warn("activities were lost; the next ones count", "err", err)
		return s.Seek(gap.Partition, stream.Earliest)
	case errors.As(err, &corrupt) && corrupt.Last >= 0:
		in.Metrics.failures.WithLabelValues("activity-corrupt").Inc()
		in.Logger.Warn("activities cannot be read; the next ones count", "err", err)
		return s.Seek(corrupt.Partition, corrupt.Last+1)
	case errors.As(err, &corrupt), errors.As(err, &refused):
		in.Metrics.failures.WithLabelValues("activity-unread").Inc()
		in.Logger.Error("activities of a partition cannot be read", "err", err)
		return nil // the others go on
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// insist calls f until it succeeds or ctx ends.
func (in *Intake) insist(ctx context.Context, f func() error) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := f()
		if err == nil || ctx.Err() != nil {
			return err
		}
		in.Metrics.failures.WithLabelValues("activity").Inc()
		in.Logger.Warn("activities wait", "in", pause.String(), "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// candidate is the first use of a subject in a fetch that may accept one version.
type candidate struct {
	use
	version *deemed
	verdict verdict
}

// take publishes what the records of a fetch accept. Calling it again publishes
// copies.
func (in *Intake) take(ctx context.Context, fetch *stream.Fetch) error {
	found, counts := in.candidates(fetch)
	if err := in.judge(ctx, found); err != nil {
		return err
	}
	var accepting []events.Event
	for _, c := range found {
		if c.verdict == accepted {
			accepting = append(accepting, acceptanceOf(c.use, c.version.Catalogue))
		}
	}
	if err := in.publish(ctx, accepting); err != nil {
		return err
	}
	for _, c := range found {
		counts[c.verdict]++
		if c.verdict != noAgreement {
			in.seen.add(c.Subject, c.version.Version)
		}
	}
	for v, n := range counts {
		in.Metrics.activities.WithLabelValues(string(v)).Add(float64(n))
	}
	return nil
}

// candidates reads the records: at most one candidate for each subject and version.
func (in *Intake) candidates(fetch *stream.Fetch) ([]*candidate, map[verdict]int) {
	type once struct {
		subject events.Subject
		version events.PolicyVersion
	}
	var found []*candidate
	first, counts, accepts := make(map[once]bool), make(map[verdict]int), deemedVersions(in.Publications)
	for i := range fetch.Batches {
		b := &fetch.Batches[i]
		for j := range b.Records {
			c, v := in.candidate(accepts, b.Partition, &b.Records[j])
			if c == nil {
				counts[v]++
				continue
			}
			if key := (once{c.Subject, c.version.Version}); first[key] {
				counts[already]++
			} else {
				first[key] = true
				found = append(found, c)
			}
		}
	}
	return found, counts
}

// candidate reads one record. That of a subject who is known to have accepted
// costs no look at its state.
func (in *Intake) candidate(accepts []deemed, partition int32, r *stream.Record) (*candidate, verdict) {
	activity, err := in.mapping.read(r)
	if err != nil {
		return nil, unreadable
	}
	activity.At = min(activity.At, events.Millis(r.Time), events.MillisOf(in.Now())) // a clock that runs ahead gains nothing
	version := deemedAt(accepts, activity.At.Time())
	switch {
	case version == nil:
		return nil, early
	case in.seen.has(activity.Subject, version.Version):
		return nil, already
	}
	record := fmt.Sprintf("%s/%d@%d", in.topic, partition, r.Offset)
	return &candidate{use: use{activity, record}, version: version}, ""
}

// errBehind means that the cache may lack what decides.
var errBehind = errors.New("the role's cache is behind the log")

// judge looks at where the candidates stand.
func (in *Intake) judge(ctx context.Context, found []*candidate) error {
	rules := in.Rules()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lookups)
	for _, c := range found {
		group.Go(func() error {
			view, err := in.States.Lookup(ctx, c.Subject)
			if err == nil && !settled(view) {
				err = errBehind
			}
			if err == nil {
				c.verdict = judge(rules, view.State, c.version)
			}
			return err
		})
	}
	return group.Wait()
}
