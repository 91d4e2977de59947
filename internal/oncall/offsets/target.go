package offsets

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/moment"
)

// Target says where offsets are to be moved. The zero Target is none.
type Target struct {
	text  string
	place func(ctx context.Context, log Log, topic string, rows []Row) (map[int32]int64, error)
}

// ParseTarget reads one of
//
//	start, end              of the log
//	cache                   the position that the service's cache holds
//	40312                   this offset
//	+100, -100              so many records further or back
//	2026-11-22T10:00:00Z    the first record of that moment or later
//	2h, -2h                 the same, so long ago
func ParseTarget(text string, now time.Time) (Target, error) {
	t := Target{text: text}
	switch text {
	case "start":
		t.place = each(func(r *Row) (int64, error) { return r.First, nil })
		return t, nil
	case "end":
		t.place = each(func(r *Row) (int64, error) { return r.End, nil })
		return t, nil
	case "cache":
		t.place = each(func(r *Row) (int64, error) {
			if r.Cache == nil {
				return 0, exit.Refuse("partition %d: the cache of %s knows no position", r.Partition, r.Service)
			}
			return *r.Cache, nil
		})
		return t, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if strings.HasPrefix(text, "+") || strings.HasPrefix(text, "-") {
			t.place = each(func(r *Row) (int64, error) {
				if r.Committed == nil {
					return 0, exit.Refuse("partition %d: nothing is committed to count from", r.Partition)
				}
				return *r.Committed + n, nil
			})
		} else {
			t.place = each(func(*Row) (int64, error) { return n, nil })
		}
		return t, nil
	}
	at, err := moment.Parse(text, now)
	switch {
	case errors.Is(err, moment.ErrToCome):
		return t, err
	case err != nil:
		return t, fmt.Errorf("%q: want start, end, cache, an offset, +n, -n, a time, or how long ago, like 2h", text)
	}
	t.text = at.UTC().Format(time.RFC3339Nano)
	t.place = ofTime(at)
	return t, nil
}

func each(place func(*Row) (int64, error)) func(context.Context, Log, string, []Row) (map[int32]int64, error) {
	return func(_ context.Context, _ Log, _ string, rows []Row) (map[int32]int64, error) {
		to := make(map[int32]int64, len(rows))
		for i := range rows {
			offset, err := place(&rows[i])
			if err != nil {
				return nil, err
			}
			to[rows[i].Partition] = offset
		}
		return to, nil
	}
}

// ofTime places at the first record of a moment or later, or at the end where
// there is none yet.
func ofTime(at time.Time) func(context.Context, Log, string, []Row) (map[int32]int64, error) {
	return func(ctx context.Context, log Log, topic string, rows []Row) (map[int32]int64, error) {
		found, err := log.OffsetsAt(ctx, topic, at)
		if err != nil {
			return nil, err
		}
		to := make(map[int32]int64, len(rows))
		for i := range rows {
			r := &rows[i]
			to[r.Partition] = r.End
			if offset, ok := found[r.Partition]; ok && offset != stream.NoOffset {
				to[r.Partition] = offset
			}
		}
		return to, nil
	}
}
