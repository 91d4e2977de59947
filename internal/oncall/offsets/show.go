package offsets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strconv"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/output"
)

// Row is where one group stands in one partition.
type Row struct {
	Service   string `json:"service"`
	Group     string `json:"group"`
	State     string `json:"state"` // as Kafka names it; Dead is also that of a group that never was
	Members   int    `json:"members"`
	Partition int32  `json:"partition"`
	Committed *int64 `json:"committed"` // a hint; null where nothing is committed
	Cache     *int64 `json:"cache"`     // the position that counts; null where none is known
	First     int64  `json:"first"`     // of the log
	End       int64  `json:"end"`
}

// Behind returns how many records the cache has not applied, or -1 when its
// position is not known.
func (r *Row) Behind() int64 {
	if r.Cache == nil {
		return -1
	}
	return max(0, r.End-*r.Cache)
}

// Report is where groups stand. It implements [output.Many].
type Report struct {
	Topic string `json:"topic"`
	Rows  []Row  `json:"rows"`
}

// Show reads where groups stand.
func Show(ctx context.Context, log Log, topic string, groups ...Group) (*Report, error) {
	ranges, err := log.Offsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	report := &Report{Topic: topic, Rows: []Row{}}
	for _, g := range groups {
		rows, err := show(ctx, log, topic, g, ranges)
		if err != nil {
			return nil, fmt.Errorf("service %s: %w", g.Service, err)
		}
		report.Rows = append(report.Rows, rows...)
	}
	return report, nil
}

func show(ctx context.Context, log Log, topic string, g Group, ranges map[int32]stream.Offsets) ([]Row, error) {
	described, err := log.Group(ctx, g.Name)
	if err != nil {
		return nil, err
	}
	committed, err := log.CommittedOffsets(ctx, g.Name, topic)
	if err != nil {
		return nil, err
	}
	stands, err := g.stands(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([]Row, 0, len(ranges))
	for _, p := range slices.Sorted(maps.Keys(ranges)) {
		r := Row{
			Service: g.Service, Group: g.Name, State: described.State, Members: len(described.Members),
			Partition: p, First: ranges[p].First, End: ranges[p].End,
		}
		if c, ok := committed[p]; ok && c != stream.NoOffset {
			r.Committed = &c
		}
		if int(p) < len(stands) && stands[p].Known {
			r.Cache = &stands[p].Next
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// stands asks the cache; one that was flushed, or never was, knows no position.
func (g *Group) stands(ctx context.Context) ([]cache.Stand, error) {
	if g.Cache == nil {
		return nil, nil
	}
	stands, err := g.Cache.Stands(ctx)
	if errors.Is(err, cache.ErrNoLayout) {
		return nil, nil
	}
	return stands, err
}

// Text implements [output.Result].
func (r *Report) Text(w io.Writer) {
	heading := []string{"GROUP", "STATE", "MEMBERS", "PARTITION", "COMMITTED", "CACHE", "BEHIND", "FIRST", "END"}
	output.Columns(w, heading, func(yield func([]string) bool) {
		for i := range r.Rows {
			row := &r.Rows[i]
			behind := "-"
			if n := row.Behind(); n >= 0 {
				behind = strconv.FormatInt(n, 10)
			}
			line := []string{
				row.Group, row.State, strconv.Itoa(row.Members), strconv.Itoa(int(row.Partition)),
				optional(row.Committed), optional(row.Cache), behind, strconv.FormatInt(row.First, 10), strconv.FormatInt(row.End, 10),
			}
			if !yield(line) {
				return
			}
		}
	})
}

// Parts implements [output.Many].
func (r *Report) Parts() iter.Seq[any] {
	return func(yield func(any) bool) {
		for i := range r.Rows {
			if !yield(&r.Rows[i]) {
				return
			}
		}
	}
}

func optional(n *int64) string {
	if n == nil {
		return "-"
	}
	return strconv.FormatInt(*n, 10)
}
