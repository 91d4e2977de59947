package consumers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/schemas"
)

// BenchmarkRead is what the reader pays for an event far behind the end of the
// log, from the record to the sealed window, with more subjects than any cache of
// the processor holds. There is no Kafka and no Redis in it.
func BenchmarkRead(b *testing.B) {
	const n, perFetch = 400_000, 4_000
	for _, repeat := range []int{1, 4} {
		b.Run(fmt.Sprintf("each subject %d times", repeat), func(b *testing.B) {
			bed := newBed(b)
			bed.cfg.Decoder = func(r *events.Rules) Decoder { return cloudevent.Decoder{Rules: r} }
			bed.cfg.Store = blindStore{bed.store}
			fetches := bed.fetches(b, n, repeat, perFetch)
			b.ReportAllocs()
			best := time.Hour
			for b.Loop() {
				c, err := New(bed.cfg)
				require.NoError(b, err)
				r := &reader{Consumer: c, lane: newLane(), session: &fakeSession{log: bed.log}, receipts: newReceipts(c), parts: make(map[int32]*partition), memory: 1 << 20}
				r.goBy(c.cfg.Policy.Current())
				for p := range int32(testPartitions) {
					require.NoError(b, r.claim(context.Background(), p))
				}
				began := used()
				for _, f := range fetches {
					if err := r.read(context.Background(), f); err != nil {
						b.Fatal(err)
					}
					if r.ready(r.behind()) != nil {
						for _, batch := range r.window.close(r.due, r.edition, false) {
							batch.partition.stored.Store(batch.To)
						}
						r.window = window{}
					}
				}
				best = min(best, used()-began)
			}
			b.ReportMetric(float64(best.Nanoseconds())/n, "ns/event")
		})
	}
}

// In the hot path garbage would cost more than the decoding.
func TestReaderDecodesWithoutGarbage(t *testing.T) {
	b := newBed(t)
	b.cfg.Decoder = func(r *events.Rules) Decoder { return cloudevent.Decoder{Rules: r} }
	c, err := New(b.cfg)
	require.NoError(t, err)
	r := &reader{Consumer: c, lane: newLane(), session: &fakeSession{log: b.log}, receipts: newReceipts(c), parts: make(map[int32]*partition), memory: 100}
	r.goBy(c.cfg.Policy.Current())
	require.NoError(t, r.claim(t.Context(), 0, 1, 2))
	for _, batch := range b.fetches(t, 30, 1, 30)[0].Batches {
		for i := range batch.Records {
			var event events.Event
			require.Zero(t, testing.AllocsPerRun(10, func() {
				if tag, err := r.decode(t.Context(), r.parts[batch.Partition], &batch.Records[i], &event); tag == 0 || err != nil {
					t.Fatal(tag, err)
				}
			}))
		}
	}
}

// used is the processor time of this process, which other load disturbs less than
// it does the clock.
func used() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// blindStore holds nothing and has no holes.
type blindStore struct{ Store }

func (blindStore) Claim(context.Context, int32) (cache.Mark, error) { return cache.Mark{}, nil }

func (blindStore) Begin(_ context.Context, _ int32, epoch, at int64) (cache.Mark, error) {
	return cache.Mark{Known: true, Epoch: epoch, Next: at}, nil
}

// fetches encodes n events of n/repeat subjects and lays them out as they come
// from a broker.
func (b *bed) fetches(t testing.TB, n, repeat, size int) []*stream.Fetch {
	five, err := b.rules.Set("promotion", "contests", "surveys", "research", "targeted-ads")
	require.NoError(t, err)
	two, err := b.rules.Set("promotion", "research")
	require.NoError(t, err)
	rnd := rand.New(rand.NewPCG(1, 2))
	encoder := cloudevent.Encoder{Rules: b.rules, Data: schemas.Data}
	var out []*stream.Fetch
	var next, first [testPartitions]int64
	var records [testPartitions][]stream.Record
	flush := func() {
		f := &stream.Fetch{Sent: time.Now()}
		for p := range records {
			f.Batches = append(f.Batches, stream.Batch{Partition: int32(p), From: first[p], Records: records[p], Next: next[p], LastStable: int64(n / testPartitions)})
			first[p], records[p] = next[p], nil
		}
		out = append(out, f)
	}
	for i := range n {
		who := i
		if repeat > 1 {
			who = rnd.IntN(n / repeat)
		}
		s, err := events.ParseSubject(fmt.Sprintf("subject-%024d", who))
		require.NoError(t, err)
		e := events.Event{
			Method: events.ByPerson, ID: fmt.Sprint("bench-", i), Source: "/bench/web", Type: events.Granted, Subject: s, Purposes: five,
			Decided: 1_790_000_000_000 + events.Millis(i), Policy: events.SeedPolicy, Evidence: "urn:bench:evidence:0000000000000000", Data: []byte(`{"channel":"web"}`),
		}
		if rnd.IntN(10) < 3 {
			e.Type, e.Purposes, e.Policy = events.Withdrawn, two, ""
		}
		m, err := encoder.Encode(&e)
		require.NoError(t, err)
		p := events.PartitionOf(s.Reveal(), testPartitions)
		r := stream.Record{Partition: p, Offset: next[p], Time: int64(e.Decided), LogAppend: true, Key: m.Key, Value: m.Value}
		for _, h := range m.Headers {
			r.Headers = r.Headers.Append(h.Key, h.Value)
		}
		next[p]++
		records[p] = append(records[p], r)
		if i%size == size-1 {
			flush()
		}
	}
	flush()
	return out
}
