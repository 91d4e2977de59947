package retention

import (
	"context"
	"time"

	"github.com/kelisim/kelisim/consumers/policy"
	"github.com/kelisim/kelisim/events"
	versions "github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/internal/cache"
)

// Desk is where the calendar is read.
type Desk struct {
	Calendar *policy.Calendar
	States   policy.States
	Rules    *events.Rules
	Book     *versions.Book
}

// Query says what to list.
type Query struct {
	Now        time.Time
	By         time.Time // what is due by then
	Partitions []int32   // none means all
	Limit      int       // rows
	Reveal     bool      // show subjects as they are
}

// page is how much of the calendar is read at once.
const page = 200

// Due lists whose retention is over by a moment, partition by partition.
func (d *Desk) Due(ctx context.Context, q Query) (*List, error) {
	asked, known := d.Book.Current(q.Now)
	l := &List{By: q.By, Rows: []Row{}}
	if known {
		l.Version = asked.Version
	}
	return l, d.each(ctx, q, l, func(partition int32) error {
		if !known {
			return nil
		}
		return d.entries(ctx, d.Calendar.Retentions, q, l, partition, func(e policy.Entry) (*Row, error) {
			due := policy.KeepUntil(asked, e.At)
			if due.After(q.By) {
				return nil, nil
			}
			row := q.row(partition, e.Subject, due)
			ended := e.At.Time()
			row.Ended = &ended
			err := d.judge(ctx, q, e.Subject, row, func(v cache.View) string {
				agreement := d.Rules.Agreement(v.State)
				switch {
				case agreement.Phase != events.Over || policy.KeepUntil(asked, agreement.Ended).After(q.By):
					return Gone
				case d.Rules.Frozen(v.State):
					return Frozen
				}
				return ""
			})
			return row, err
		})
	})
}

// Reviews lists whose refused withdrawals are to be reviewed by a moment.
func (d *Desk) Reviews(ctx context.Context, q Query) (*List, error) {
	l := &List{By: q.By, Rows: []Row{}}
	if asked, known := d.Book.Current(q.Now); known {
		l.Version = asked.Version
	}
	return l, d.each(ctx, q, l, func(partition int32) error {
		for _, read := range []reader{d.Calendar.Overdue, d.Calendar.Reviews} {
			err := d.entries(ctx, read, q, l, partition, func(e policy.Entry) (*Row, error) {
				if e.At.Time().After(q.By) {
					return nil, nil
				}
				row := q.row(partition, e.Subject, e.At.Time())
				err := d.judge(ctx, q, e.Subject, row, func(v cache.View) string {
					for _, open := range d.Rules.Reviews(v.State) {
						if !open.Due.Time().After(q.By) {
							row.Purposes = append(row.Purposes, open.Purpose)
						}
					}
					if row.Purposes == nil {
						return Gone
					}
					return ""
				})
				return row, err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

type reader func(ctx context.Context, partition int32, from, n int) ([]policy.Entry, error)

// each goes through the partitions and counts them.
func (d *Desk) each(ctx context.Context, q Query, l *List, list func(partition int32) error) error {
	partitions := q.Partitions
	if len(partitions) == 0 {
		for p := range d.Calendar.Partitions() {
			partitions = append(partitions, p)
		}
	}
	for _, p := range partitions {
		c, err := d.Calendar.Count(ctx, p)
		if err != nil {
			return err
		}
		before := len(l.Rows)
		if err := list(p); err != nil {
			return err
		}
		l.Counts = append(l.Counts, Count{
			Partition: p, Listed: len(l.Rows) - before,
			Retentions: c.Retentions, Reviews: c.Reviews + c.Overdue, Overdue: c.Overdue, Suppressed: c.Suppressed,
		})
	}
	return nil
}

// entries makes rows of a list of the calendar, from its beginning to the first
// entry that is no row.
func (d *Desk) entries(ctx context.Context, read reader, q Query, l *List, partition int32, row func(policy.Entry) (*Row, error)) error {
	for from := 0; ; from += page {
		all, err := read(ctx, partition, from, page)
		if err != nil {
			return err
		}
		for _, e := range all {
			r, err := row(e)
			if err != nil || r == nil {
				return err
			}
			if len(l.Rows) >= q.Limit {
				l.More = true
				return nil
			}
			l.Rows = append(l.Rows, *r)
		}
		if len(all) < page {
			return nil
		}
	}
}

func (q *Query) row(partition int32, s events.Subject, due time.Time) *Row {
	r := &Row{Partition: partition, Subject: s.String(), Due: due.UTC(), State: Due}
	if q.Reveal {
		r.Subject = s.Reveal()
	}
	return r
}

// judge looks at the subject's state: what of says goes before what is known without.
func (d *Desk) judge(ctx context.Context, q Query, s events.Subject, r *Row, of func(cache.View) string) error {
	view, err := d.States.Lookup(ctx, s)
	if err != nil {
		return err
	}
	switch says := of(view); {
	case says != "":
		r.State = says
	case view.Held:
		r.State = Held
	case r.Due.After(q.Now):
		r.State = Later
	}
	return nil
}
