package offsets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/output"
)

// Move is one partition's offset before and after; null where nothing is committed.
type Move struct {
	Partition int32  `json:"partition"`
	From      *int64 `json:"from"`
	To        *int64 `json:"to"`
}

// Plan is what is to be moved, where, and what it was made for. It is also the
// snapshot: whoever has it can undo the move.
type Plan struct {
	Cluster string `json:"cluster"`
	Topic   string `json:"topic"`
	Group   string `json:"group"`
	To      string `json:"to"` // as asked for; times are absolute
	Moves   []Move `json:"moves"`
}

// NewPlan says what moving a group's offsets would do. Without partitions it is
// about all. A target outside of the log is refused, and so is a living group.
func NewPlan(ctx context.Context, log Log, topic string, g Group, to Target, partitions ...int32) (*Plan, error) {
	cluster, err := log.Cluster(ctx)
	if err != nil {
		return nil, err
	}
	report, err := Show(ctx, log, topic, g)
	if err != nil {
		return nil, err
	}
	for _, p := range partitions {
		if !slices.ContainsFunc(report.Rows, func(r Row) bool { return r.Partition == p }) {
			return nil, exit.Misused("partition %d: topic %s has none of that number", p, topic)
		}
	}
	rows := slices.DeleteFunc(report.Rows, func(r Row) bool { return len(partitions) > 0 && !slices.Contains(partitions, r.Partition) })
	if err := resting(ctx, log, g.Name); err != nil {
		return nil, err
	}
	places, err := to.place(ctx, log, topic, rows)
	if err != nil {
		return nil, err
	}
	p := &Plan{Cluster: cluster.ID, Topic: topic, Group: g.Name, To: to.text, Moves: []Move{}}
	for i := range rows {
		r, offset := &rows[i], places[rows[i].Partition]
		if offset < r.First || offset > r.End {
			return nil, exit.Refuse("partition %d: %d is outside of the log, which has %d to %d", r.Partition, offset, r.First, r.End)
		}
		if r.Committed == nil || *r.Committed != offset {
			p.Moves = append(p.Moves, Move{Partition: r.Partition, From: r.Committed, To: &offset})
		}
	}
	return p, nil
}

// resting refuses a group that has members: they would commit over it, or be
// fenced.
func resting(ctx context.Context, log Log, group string) error {
	g, err := log.Group(ctx, group)
	if err != nil {
		return err
	}
	if len(g.Members) > 0 || g.State != "Empty" && g.State != "Dead" {
		return exit.Refuse("group %s is %s with %d members: stop the service first; the position that counts is in Redis anyway",
			group, g.State, len(g.Members))
	}
	return nil
}

// Back returns the plan that takes this one back.
func (p *Plan) Back() *Plan {
	back := &Plan{Cluster: p.Cluster, Topic: p.Topic, Group: p.Group, To: "back", Moves: make([]Move, len(p.Moves))}
	for i, m := range p.Moves {
		back.Moves[i] = Move{Partition: m.Partition, From: m.To, To: m.From}
	}
	return back
}

// Apply moves the offsets as planned, or refuses because something else moved
// them, or the group lives, since the plan was made. Save the plan first: it is
// what undoing needs. What is there already stays, so that an interrupted move is
// carried on by the same call.
func (p *Plan) Apply(ctx context.Context, log Log) error {
	set, err := p.open(ctx, log)
	if err != nil {
		return err
	}
	if err := log.SetCommittedOffsets(ctx, p.Group, p.Topic, set); errors.Is(err, stream.ErrGroupLives) {
		return exit.Refuse("%w", err)
	} else if err != nil {
		return err
	}
	return p.verify(ctx, log, set)
}

// Check says whether Apply would do it now.
func (p *Plan) Check(ctx context.Context, log Log) error {
	_, err := p.open(ctx, log)
	return err
}

// open returns what is still to be set, or refuses.
func (p *Plan) open(ctx context.Context, log Log) (map[int32]int64, error) {
	if cluster, err := log.Cluster(ctx); err != nil {
		return nil, err
	} else if cluster.ID != p.Cluster {
		return nil, exit.Refuse("this is cluster %s, and the plan is for %s", cluster.ID, p.Cluster)
	}
	if err := resting(ctx, log, p.Group); err != nil {
		return nil, err
	}
	committed, err := log.CommittedOffsets(ctx, p.Group, p.Topic)
	if err != nil {
		return nil, err
	}
	set := make(map[int32]int64, len(p.Moves))
	for _, m := range p.Moves {
		now, there := committed[m.Partition]
		switch {
		case !there:
			return nil, exit.Refuse("partition %d: topic %s has none of that number", m.Partition, p.Topic)
		case now == number(m.To):
		case now == number(m.From):
			set[m.Partition] = number(m.To)
		default:
			return nil, exit.Refuse("partition %d of group %s: somebody committed %d meanwhile; the plan says %s to %s",
				m.Partition, p.Group, now, optional(m.From), optional(m.To))
		}
	}
	return set, nil
}

// verify reads what was set.
func (p *Plan) verify(ctx context.Context, log Log, set map[int32]int64) error {
	committed, err := log.CommittedOffsets(ctx, p.Group, p.Topic)
	if err != nil {
		return err
	}
	for partition, want := range set {
		if committed[partition] != want {
			return fmt.Errorf("partition %d of group %s: set to %d, and it is %d", partition, p.Group, want, committed[partition])
		}
	}
	return nil
}

func number(n *int64) int64 {
	if n == nil {
		return stream.NoOffset
	}
	return *n
}

// Text implements [output.Result].
func (p *Plan) Text(w io.Writer) {
	if len(p.Moves) == 0 {
		fmt.Fprintf(w, "group %s stands there already\n", p.Group)
		return
	}
	output.Columns(w, []string{"GROUP", "PARTITION", "FROM", "TO"}, func(yield func([]string) bool) {
		for _, m := range p.Moves {
			if !yield([]string{p.Group, strconv.Itoa(int(m.Partition)), optional(m.From), optional(m.To)}) {
				return
			}
		}
	})
}
