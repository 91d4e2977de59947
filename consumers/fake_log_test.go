package consumers

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
)

// fakeLog is a log in memory: what was told, by partition, and sessions over it.
type fakeLog struct {
	mu      sync.Mutex
	records [testPartitions][]stream.Record
	told    []events.Event            // by the number in a record's value
	names   map[uint32]events.Purpose // a purpose that the event names beside its set
	grown   chan struct{}
	perPoll int // records of one partition in one fetch
	commits map[int32]int64
	starts  [testPartitions]int64
}

func newFakeLog() *fakeLog {
	return &fakeLog{grown: make(chan struct{}), perPoll: 100, commits: make(map[int32]int64)}
}

// tell appends an event to its subject's partition.
func (l *fakeLog) tell(e events.Event) events.Stamp {
	return l.tellIn(events.PartitionOf(e.Subject.Reveal(), testPartitions), e)
}

func (l *fakeLog) tellIn(p int32, e events.Event) events.Stamp {
	l.mu.Lock()
	defer l.mu.Unlock()
	value := binary.BigEndian.AppendUint32(nil, uint32(len(l.told)))
	at := events.Stamp{Position: events.Position{Generation: 1, Partition: p, Offset: int64(len(l.records[p]))}, Appended: e.Decided}
	e.Logged = at
	l.told = append(l.told, e)
	l.records[p] = append(l.records[p], stream.Record{
		Partition: p, Offset: at.Position.Offset, Time: int64(at.Appended), LogAppend: true, Key: []byte(e.Subject.Reveal()), Value: value,
	})
	close(l.grown)
	l.grown = make(chan struct{})
	return at
}

// naming has the event that is told next name a purpose that not every policy has.
func (l *fakeLog) naming(p events.Purpose) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.names == nil {
		l.names = make(map[uint32]events.Purpose)
	}
	l.names[uint32(len(l.told))] = p
}

// fakeDecoder reads what a log was told, by the purposes of some rules.
type fakeDecoder struct {
	*fakeLog
	rules *events.Rules
}

func (l *fakeLog) decoder(rules *events.Rules) Decoder { return fakeDecoder{l, rules} }

// Decode implements Decoder: an event without a type is poison.
func (d fakeDecoder) Decode(r *stream.Record, e *events.Event) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := binary.BigEndian.Uint32(r.Value)
	*e = d.told[n]
	if e.Type == 0 {
		return poison("test-poison")
	}
	if name := d.names[n]; name != "" {
		set, err := d.rules.Set(name)
		if err != nil {
			return poison(ReasonUnknownPurpose)
		}
		e.Purposes |= set
	}
	return nil
}

type poison string

func (p poison) Error() string  { return "poison" }
func (p poison) Reason() string { return string(p) }

// end returns the end of every partition.
func (l *fakeLog) end() (ends [testPartitions]int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.records {
		ends[p] = int64(len(l.records[p]))
	}
	return ends
}

func (l *fakeLog) Run(ctx context.Context, handle func(context.Context, Session) error) error {
	for ctx.Err() == nil {
		if err := handle(ctx, &fakeSession{log: l, at: make(map[int32]int64)}); err != nil {
			return err
		}
	}
	return ctx.Err()
}

type fakeSession struct {
	log *fakeLog
	mu  sync.Mutex
	at  map[int32]int64
}

func (s *fakeSession) Partitions() []int32 { return []int32{0, 1, 2} }

func (s *fakeSession) LogStart(_ context.Context, p int32) (int64, error) {
	return s.log.starts[p], nil
}

func (s *fakeSession) Start(at map[int32]int64) error {
	for p, o := range at {
		_ = s.Seek(p, o)
	}
	return nil
}

func (s *fakeSession) Seek(p int32, o int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at[p] = o
	return nil
}

func (s *fakeSession) Commit(at map[int32]int64) error {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	for p, o := range at {
		s.log.commits[p] = o
	}
	return nil
}

// Poll returns what is there, or after half a second that nothing is.
func (s *fakeSession) Poll(ctx context.Context) (*stream.Fetch, error) {
	sent := time.Now()
	for {
		s.mu.Lock()
		s.log.mu.Lock()
		f := &stream.Fetch{Sent: sent}
		found := false
		for p, at := range s.at {
			all := s.log.records[p]
			next := min(at+int64(s.log.perPoll), int64(len(all)))
			found = found || next > at
			f.Batches = append(f.Batches, stream.Batch{
				Partition: p, From: at, Records: all[at:next], Next: next, HighWatermark: int64(len(all)), LastStable: int64(len(all)),
			})
		}
		grown := s.log.grown
		s.log.mu.Unlock()
		if found {
			for _, b := range f.Batches {
				s.at[b.Partition] = b.Next
			}
			s.mu.Unlock()
			return f, nil
		}
		s.mu.Unlock()
		select {
		case <-grown:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(500 * time.Millisecond):
			return f, nil
		}
	}
}
