package cache_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache/cachetest"
	"github.com/kelisim/kelisim/internal/testenv"
)

// BenchmarkEncode is what the consumer itself pays for one change, before Redis.
func BenchmarkEncode(b *testing.B) {
	const changes = 1000
	store := open(b, connect(b, testenv.Redis(b).Addr()))
	o := own(b, store, changes)
	o.grow(events.Granted)
	o.catchUp()
	o.grow(events.Withdrawn)
	batch := o.batch()
	require.Len(b, batch.Changes, changes)
	b.ReportAllocs()
	for b.Loop() {
		if err := batch.Validate(cachetest.Layout()); err != nil {
			b.Fatal(err)
		}
		store.Encode(b.Context(), &batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/changes, "ns/change")
}
