package verify

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/window"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/schemas"
)

// BenchmarkVerify compares the caches of one service with a whole topic, and
// prints the rate beside that of reading alone; and then for those alone who had an
// event in about a hundredth of it. KELISIM_BENCH_EVENTS says how many events
// (10,000,000 is the goal: under 60 s); each person has ten.
func BenchmarkVerify(b *testing.B) {
	n := 20_000
	if testenv.Real() {
		n = 1_000_000
	}
	if text := os.Getenv("KELISIM_BENCH_EVENTS"); text != "" {
		var err error
		n, err = strconv.Atoi(text)
		require.NoError(b, err)
	}
	o := newTown(b, 8, n/10)
	o.buckets = 4096 // about thirty people of a million in each
	began := time.Now()
	lately := o.history(b, n)
	b.Logf("%d events written in %.1f s", n, time.Since(began).Seconds())
	o.start(b, "marketing")
	o.applied(b, "marketing")
	b.Logf("applied by the service after %.1f s", time.Since(began).Seconds())
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		r, found := o.verify(b, Config{Raw: true})
		runtime.ReadMemStats(&after)
		require.Empty(b, found)
		b.Logf("%d events, %d subjects in %.1f s: %.0f a second, reading alone %.0f a second; heap of the process %d MB",
			r.Events, r.Subjects, r.Seconds, r.Rate, r.RawRate, after.HeapSys>>20)
		some, found := o.verify(b, Config{Window: window.Window{Since: lately}})
		require.Empty(b, found)
		b.Logf("%d events in the window, %d subjects in %.1f s: %.0f a second", some.Records, some.Subjects, some.Seconds, some.Rate)
		b.ReportMetric(some.Rate, "window-events/s")
		b.ReportMetric(r.Rate, "events/s")
		b.ReportMetric(r.RawRate, "raw-events/s")
	}
}

// applied waits until the service has applied everything, however long that takes.
func (o *town) applied(b *testing.B, service string) {
	c := cache.NewInspector(o.client, o.running[service].Layout)
	all := make([]int32, c.Layout().Partitions)
	for i := range all {
		all[i] = int32(i)
	}
	require.Eventually(b, func() bool {
		spots, err := c.Spots(b.Context(), all...)
		var next int64
		for _, s := range spots {
			next += s.Next
		}
		return err == nil && next >= o.events
	}, time.Hour, 100*time.Millisecond)
}

// history writes n decisions, of people who have ten each, and returns when about a
// hundredth of them was still to come.
func (o *town) history(b *testing.B, n int) (lately time.Time) {
	rules := events.SeedRules()
	five, err := rules.Set("promotion", "contests", "surveys", "research", "targeted-ads")
	require.NoError(b, err)
	encoder := cloudevent.Encoder{Rules: rules, Data: schemas.Data}
	now := events.MillisOf(time.Now()) - events.Millis(n)
	const lot = 10_000
	messages := make([]stream.Message, 0, lot)
	for i := range n {
		s, err := events.ParseSubject("subject-" + strconv.Itoa(1e9+i*7919%(n/10)))
		require.NoError(b, err)
		e := events.Event{
			Method: events.ByPerson, ID: "bench-" + strconv.Itoa(i), Source: "/bench/web", Type: events.Granted, Subject: s, Purposes: five,
			Decided: now + events.Millis(i), Policy: "2026-11", Evidence: "urn:bench:evidence:0000000000000000", Data: []byte(`{"channel":"web"}`),
		}
		if i%10 < 3 {
			e.Type, e.Policy = events.Withdrawn, ""
		}
		m, err := encoder.Encode(&e)
		require.NoError(b, err)
		m.Topic = o.Topics.Events
		if i == n-n/100 {
			lately = time.Now()
		}
		if messages = append(messages, m); len(messages) == lot || i == n-1 {
			_, err := o.producer.PublishAll(context.Background(), messages)
			require.NoError(b, err)
			messages = messages[:0]
		}
	}
	o.events += int64(n)
	return lately
}
