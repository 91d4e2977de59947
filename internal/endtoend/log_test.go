package endtoend

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/synthetic"
	"github.com/kelisim/kelisim/schemas"
)

// publishSynthetic tells n decisions of people made up from the seed, a
// millisecond apart.
func publishSynthetic(t testing.TB, producer *stream.Producer, topic string, seed uint64, subjects, n int) {
	t.Helper()
	rules := events.SeedRules()
	people, err := synthetic.New(synthetic.Config{Seed: seed, Subjects: subjects, Prefix: fmt.Sprintf("seed-%d-", seed)}, rules)
	require.NoError(t, err)
	encoder := cloudevent.Encoder{Rules: rules, Data: schemas.Data}
	const batch = 2000
	messages := make([]stream.Message, 0, batch)
	now := events.MillisOf(time.Now()) - events.Millis(n)
	for i := range n {
		e := people.Next(now + events.Millis(i))
		m, err := encoder.Encode(&e)
		require.NoError(t, err)
		m.Topic = topic
		messages = append(messages, m)
		if len(messages) == batch || i == n-1 {
			_, err := producer.PublishAll(context.Background(), messages)
			require.NoError(t, err)
			messages = messages[:0]
		}
	}
}

// change is one step of a subject's life: from an offset on it stands there.
type change struct {
	offset   int64
	standing events.Standing
}

// told is the pure fold of a log: where every subject ends, and how it got there.
type told struct {
	events int64
	states map[events.Subject]events.State
	lives  map[events.Subject][]change
	parked map[events.Subject]bool // an event of theirs cannot be judged: they are held
	ends   map[int32]int64         // behind the last event of each partition
}

// foldLog reads a topic from its beginning to its present end and folds it in
// memory: no engine, no cache.
func foldLog(t testing.TB, kafka, topic string, partitions int32) *told {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	r, err := stream.NewReader(stream.ReaderConfig{Config: stream.Config{Brokers: []string{kafka}}, Topic: topic})
	require.NoError(t, err)
	defer r.Close()
	ranges, err := r.Offsets(ctx)
	require.NoError(t, err)
	require.Len(t, ranges, int(partitions))
	from, left := make(map[int32]int64), make(map[int32]int64)
	for p, o := range ranges {
		from[p] = o.First
		if o.End > o.First {
			left[p] = o.End
		}
	}
	require.NoError(t, r.Start(ctx, from))

	rules := events.SeedRules()
	decoder := cloudevent.Decoder{Rules: rules}
	out := &told{states: make(map[events.Subject]events.State), lives: make(map[events.Subject][]change), parked: make(map[events.Subject]bool), ends: make(map[int32]int64)}
	for len(left) > 0 {
		f, err := r.Poll(ctx)
		require.NoError(t, err)
		for i := range f.Batches {
			b := &f.Batches[i]
			for j := range b.Records {
				out.foldWith(t, rules, decoder, &b.Records[j])
			}
			if end, ok := left[b.Partition]; ok && b.Next >= end {
				delete(left, b.Partition)
			}
		}
		f.Release()
	}
	return out
}

// foldNext folds one more record.
func (o *told) foldNext(t testing.TB, r *stream.Record) {
	o.foldWith(t, seed, cloudevent.Decoder{Rules: seed}, r)
}

var seed = events.SeedRules()

func (o *told) foldWith(t testing.TB, rules *events.Rules, decoder cloudevent.Decoder, r *stream.Record) {
	var e events.Event
	if err := decoder.Decode(r, &e); err != nil { // rubbish of the test's own: its subject is held
		s, err := events.ParseSubject(string(r.Key))
		require.NoError(t, err)
		o.parked[s] = true
		o.events++
		o.ends[r.Partition] = r.Offset + 1
		return
	}
	e.Logged = events.Stamp{
		Position: events.Position{Generation: 1, Partition: r.Partition, Offset: r.Offset}, Appended: events.Millis(r.Time),
	}
	s, err := events.ParseSubject(string(r.Key))
	require.NoError(t, err)
	state, out := rules.Apply(o.states[s], &e)
	o.events++
	o.ends[r.Partition] = r.Offset + 1
	o.states[s] = state
	if out.Verdict == events.Park {
		o.parked[s] = true
	}
	if out.Changed {
		o.lives[s] = append(o.lives[s], change{r.Offset, out.Standing})
	}
}
