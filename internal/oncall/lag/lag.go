// Package lag says how far each service is behind the log, in records and in
// seconds, and what is the matter with it.
//
// It looks twice: a partition that is behind and did not move in between is stuck.
// What a service has applied is its cache's position, not the group's offset in
// Kafka, which is a hint only.
package lag

import (
	"context"
	"time"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/guard"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/cluster"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// Status is what is the matter with a partition.
type Status string

// The statuses. The first three are well.
const (
	Idle     Status = "idle"     // nothing is missing, and nothing came
	Current  Status = "current"  // nothing is missing, or it moves and is less than a second behind
	Catching Status = "catching" // it is behind, moves, and is fresh enough for the guards
	Late     Status = "late"     // it is behind and moves, and guards deny until it is there
	Stuck    Status = "stuck"    // it is behind, and did not move
	Stale    Status = "stale"    // nothing is missing, but nobody proved that lately: no consumer follows the partition
	Never    Status = "never"    // nothing was ever applied, or the cache was lost
	Lost     Status = "lost"     // what comes next is no longer in the log
)

// well says whether nobody need look.
func (s Status) well() bool { return s == Idle || s == Current || s == Catching }

// Report is one look at all partitions.
type Report struct {
	At         time.Time   `json:"at"`
	Partitions []Partition `json:"partitions"`
	Missing    []string    `json:"missing,omitempty"` // services that have to be there, and have no cache
}

// Partition is where one service stands in one partition.
type Partition struct {
	Service   string   `json:"service"`
	Partition int32    `json:"partition"`
	Status    Status   `json:"status"`
	Next      int64    `json:"next"`    // -1 when nothing was ever applied
	End       int64    `json:"end"`     // of the log
	Behind    int64    `json:"records"` // that are in the log and not applied
	Seconds   float64  `json:"seconds"` // age of the oldest of them, by this machine's clock and the broker's
	Rate      float64  `json:"perSecond"`
	Proved    *float64 `json:"provedSeconds"` // age of the last proof that nothing was missing; null when there is none
	Waiting   int64    `json:"waiting"`       // subjects whose action is still to be done
}

// current is how far behind a moving partition may be without being called so.
const current = time.Second

// Look looks twice, a pause apart. When something is not well the error is
// [exit.ErrFindings].
func Look(ctx context.Context, k *cluster.Cluster, services []string, pause time.Duration) (*Report, error) {
	layouts, err := k.Services(ctx, services...)
	if err != nil {
		return nil, err
	}
	if err := k.FoldedHere(ctx, layouts); err != nil {
		return nil, err
	}
	before, err := stands(ctx, k, layouts)
	if err != nil {
		return nil, err
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	after, err := stands(ctx, k, layouts)
	if err != nil {
		return nil, err
	}
	r := &Report{At: time.Now().UTC()}
	for i, l := range layouts {
		if err := r.service(ctx, k, l, before[i], after[i], pause); err != nil {
			return nil, err
		}
	}
	for _, p := range r.Partitions {
		if !p.Status.well() {
			return r, exit.ErrFindings
		}
	}
	return r, nil
}

// stands reads where the services stand.
func stands(ctx context.Context, k *cluster.Cluster, layouts []cache.Layout) (all [][]cache.Stand, err error) {
	client, err := k.Redis()
	if err != nil {
		return nil, err
	}
	for _, l := range layouts {
		s, err := cache.NewReader(client, l.Service).Stands(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// service judges the partitions of one service.
func (r *Report) service(ctx context.Context, k *cluster.Cluster, l cache.Layout, before, after []cache.Stand, pause time.Duration) error {
	reader, err := k.Reader(l.Topic)
	if err != nil {
		return err
	}
	defer reader.Close()
	offsets, err := reader.Offsets(ctx) // after the stands: nobody stands behind the end
	if err != nil {
		return err
	}
	oldest, err := oldest(ctx, reader, after, offsets)
	if err != nil {
		return err
	}
	for i := range after {
		p := Partition{Service: l.Service, Partition: int32(i), Waiting: after[i].Waiting}
		p.judge(before[i], after[i], offsets[int32(i)], pause)
		if at, has := oldest[int32(i)]; has {
			p.Seconds = max(0, r.At.Sub(at).Seconds())
		}
		if p.Status == Catching && p.Seconds < current.Seconds() {
			p.Status = Current
		}
		r.Partitions = append(r.Partitions, p)
	}
	return nil
}

// judge says what is the matter with a partition.
func (p *Partition) judge(before, after cache.Stand, log stream.Offsets, pause time.Duration) {
	p.Next, p.End = after.Next, log.End
	if after.Proved {
		seconds := after.Age.Seconds()
		p.Proved = &seconds
	}
	if !after.Known {
		p.Next, p.Behind, p.Status = -1, log.End-log.First, Never
		return
	}
	p.Behind = max(0, log.End-max(after.Next, log.First))
	moved := after.Next - before.Next
	if before.Known && pause > 0 {
		p.Rate = max(0, float64(moved)/pause.Seconds())
	}
	switch fresh := after.Proved && after.Age <= guard.DefaultMaxStaleness; {
	case after.Next < log.First:
		p.Status = Lost
	case p.Behind == 0 && !fresh:
		p.Status = Stale
	case p.Behind == 0 && moved == 0:
		p.Status = Idle
	case p.Behind == 0:
		p.Status = Current
	case moved == 0 && before.Known && !fresh:
		p.Status = Stuck
	case !fresh:
		p.Status = Late
	default:
		p.Status = Catching
	}
}

// oldest returns when the first record that is not applied was appended, for each
// partition that has one. It reads one record of each.
func oldest(ctx context.Context, reader *stream.Reader, stands []cache.Stand, offsets map[int32]stream.Offsets) (map[int32]time.Time, error) {
	ranges := make(map[int32]stream.Range)
	for i, s := range stands {
		o := offsets[int32(i)]
		next := o.First
		if s.Known {
			next = max(s.Next, o.First)
		}
		if next < o.End {
			ranges[int32(i)] = stream.Range{From: next, To: next + 1}
		}
	}
	found := make(map[int32]time.Time, len(ranges))
	err := reader.Read(ctx, ranges, func(b *stream.Batch) error {
		found[b.Partition] = time.UnixMilli(b.Records[0].Time)
		return nil
	})
	return found, err
}
