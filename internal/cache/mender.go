package cache

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/events"
)

// Mender looks into a service's cache and repairs single states of it while the
// consumer goes on (docs/decisions/0017). It owns no partition: it replaces a
// state only where the log contradicts it, only if it still is what was judged,
// and takes the owner's claim away with it, so that the owner reads all anew. It
// never moves a position, and it never proves anything fresh.
type Mender struct {
	redis  *Redis
	layout Layout
}

// OpenMender returns the mender of a service's cache, by the layout that is
// recorded there ([ErrNoLayout] where none is).
func OpenMender(ctx context.Context, client redis.UniversalClient, service string, log *slog.Logger) (*Mender, error) {
	l, err := readLayout(ctx, client, service)
	if err != nil {
		return nil, fmt.Errorf("layout of %s: %w", service, err)
	}
	r, err := NewRedis(ctx, client, l, log)
	if err != nil {
		return nil, err
	}
	return &Mender{redis: r, layout: l}, nil
}

// Layout returns the recorded layout.
func (m *Mender) Layout() Layout { return m.layout }

// Sight is what one look at a partition found, all at one moment. The zero Sight
// knows nothing.
type Sight struct {
	Known  bool          // the partition has a position, and no script died in it
	Owned  bool          // somebody claimed it
	Next   int64         // the next offset to apply; the states are those of it
	Age    time.Duration // since it was known that nothing newer is in the log; very large where it never was
	States []string      // as stored, whatever it is, in the order of the subjects; "" where there is none
}

// never is older than anything that was proved.
const never = time.Duration(1<<63 - 1)

// Look reads the states of some subjects of a partition, at most [MendLot],
// together with the position that they belong to.
func (m *Mender) Look(ctx context.Context, partition int32, subjects []events.Subject) (Sight, error) {
	var at places
	at.find(m.layout, partition, len(subjects), func(i int) events.Subject { return subjects[i] })
	args := append(newArgs(1+2*len(subjects)), m.layout.Prefix(partition)+positionName)
	for i := range at.list {
		args = append(args, &at.list[i].bucket)
	}
	for i := range at.list {
		args = append(args, &at.list[i].field)
	}
	v, err := m.redis.run(ctx, call(ctx, m.redis.scripts.look, 1+len(subjects), args))
	if err != nil {
		return Sight{}, fmt.Errorf("look into partition %d of %s: %w", partition, m.layout.Service, err)
	}
	s, err := parseSight(v, len(subjects))
	if err != nil {
		return Sight{}, fmt.Errorf("look into partition %d of %s: %w", partition, m.layout.Service, err)
	}
	return s, nil
}

// parseSight takes the reply of look.lua apart.
func parseSight(v any, n int) (Sight, error) {
	values, ok := v.([]any)
	if !ok || len(values) != 6+n {
		return Sight{}, fmt.Errorf("redis answered %T instead of a sight", v)
	}
	p := parser{values: values}
	now := p.int(0)*1000 + p.int(1)/1000
	s := Sight{Owned: p.text(5) != "", Age: never, States: make([]string, n)}
	if p.text(2) != "" && !strings.HasSuffix(p.text(4), "?") {
		s.Known, s.Next = true, p.int(2)
		if fresh := p.optional(3); fresh > 0 {
			s.Age = time.Duration(max(0, now-fresh)) * time.Millisecond
		}
	}
	for i := range s.States {
		s.States[i] = p.text(6 + i)
	}
	return s, p.err
}

// StateOf reads a stored state of the partition. What is none, or one of another
// partition or generation, is an error: a guard denies it as unreachable.
func (m *Mender) StateOf(partition int32, stored string) (events.State, error) {
	s, err := events.ParseState([]byte(stored))
	if err != nil {
		return s, err
	}
	if at, known := s.Version(); known && (at.Generation != m.layout.Generation || at.Partition != partition) {
		return events.State{}, fmt.Errorf("%w: it is of %v", events.ErrState, at)
	}
	return s, nil
}

// MendLot is how many subjects one script looks at or mends: like a live batch,
// under a millisecond of Redis' time.
const MendLot = liveChunk

// Mend replaces one subject's stored state.
type Mend struct {
	Subject events.Subject
	Stored  string       // what was judged, as [Mender.Look] gave it; "" for nothing
	Right   events.State // what the log gives; zero for nothing
	Act     bool         // into the outbox: the service is to act on it
}

// Verdict is what became of a mend. The zero Verdict is none.
type Verdict byte

// The verdicts, as mend.lua spells them.
const (
	Mended   Verdict = 'w'
	Settled  Verdict = '=' // it was right already
	Overtook Verdict = 'x' // something else wrote the state after it was judged
)

// Mend carries out mends of one partition, at most [MendLot], in one script. What
// was judged must hold at every position from lo to hi: no event of the subjects
// may stand in between. Where the cache stands elsewhere the error is [ErrMoved],
// and nothing was written.
func (m *Mender) Mend(ctx context.Context, partition int32, lo, hi int64, mends []Mend) ([]Verdict, error) {
	var at places
	at.find(m.layout, partition, len(mends), func(i int) events.Subject { return mends[i].Subject })
	prefix := m.layout.Prefix(partition)
	args := append(newArgs(4+6*len(mends)), prefix+positionName, prefix+outboxName)
	for i := range at.list {
		args = append(args, &at.list[i].bucket)
	}
	args = append(args, itoa(lo), itoa(hi))
	for i := range mends {
		score := ""
		if mends[i].Act && !mends[i].Right.IsZero() {
			score = itoa(offsetOf(mends[i].Right))
		}
		args = append(args, &at.list[i].field, mends[i].Subject.Reveal(), mends[i].Stored, mends[i].Right.Encoded(), score)
	}
	v, err := m.redis.run(ctx, call(ctx, m.redis.scripts.mend, 2+len(mends), args))
	if err != nil {
		return nil, fmt.Errorf("mend partition %d of %s: %w", partition, m.layout.Service, err)
	}
	verdicts, err := parseVerdicts(v, partition, lo)
	if err == nil && len(verdicts) != len(mends) {
		err = fmt.Errorf("redis answered %d verdicts for %d mends", len(verdicts), len(mends))
	}
	if err != nil {
		return nil, fmt.Errorf("mend partition %d of %s: %w", partition, m.layout.Service, err)
	}
	return verdicts, nil
}

// parseVerdicts takes the reply of mend.lua apart.
func parseVerdicts(v any, partition int32, expected int64) ([]Verdict, error) {
	values, ok := v.([]any)
	if !ok || len(values) != 3 {
		return nil, fmt.Errorf("redis answered %T instead of verdicts", v)
	}
	p := parser{values: values}
	reply := markReply{code: p.int(0)}
	if p.text(1) != "" {
		reply.mark = Mark{Known: true, Next: p.int(1)}
	}
	if p.err != nil {
		return nil, p.err
	}
	return slices.Collect(func(yield func(Verdict) bool) {
		for _, b := range []byte(p.text(2)) {
			if !yield(Verdict(b)) {
				return
			}
		}
	}), reply.failure(partition, expected)
}
