package verify

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/internal/oncall/window"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/schemas"
)

// An event under the key of something else holds whom it names, and who its key says,
// each in its own partition: of another one, of the same, and in whatever share of it
// they are looked at.
func TestHoldsOfEventsUnderWrongKeysAreCompared(t *testing.T) {
	testenv.Parallel(t)
	o := newTown(t, 4, 200, "marketing")
	o.live(t, 600)
	var concealed []events.Subject
	for i := range 24 {
		s, err := events.ParseSubject(fmt.Sprint("concealed-", i))
		require.NoError(t, err)
		m, err := cloudevent.Encoder{Rules: events.SeedRules(), Data: schemas.Data}.Encode(&events.Event{
			ID: "1", Source: "/test", Type: events.Withdrawn, Subject: s, Purposes: 2, Decided: 1_700_000_000_000, Data: []byte(`{"channel":"app"}`),
		})
		require.NoError(t, err)
		m.Partition, m.Key = int32(i%4), fmt.Appendf(nil, "order-%d", i) // mostly not the key's partition either
		if i%5 == 0 {
			m.Key = nil
		}
		concealed = append(concealed, s)
		o.live(t, 0, m)
	}
	o.settle(t)
	l := o.inspector(t, "marketing").Layout()
	for _, states := range []int{0, 80} { // all of a partition at a time, and a few
		_, found := o.verify(t, Config{States: states})
		require.Empty(t, found)
	}
	for _, s := range concealed[:4] {
		_, found := o.verify(t, Config{Window: window.Window{Subject: s}})
		require.Empty(t, found)
	}

	for _, s := range concealed {
		require.NoError(t, o.client.HDel(t.Context(), l.Prefix(l.PartitionOf(s))+"held", s.Reveal()).Err())
	}
	for _, states := range []int{0, 80} {
		_, found := o.verify(t, Config{States: states})
		require.Len(t, found, len(concealed))
		for _, d := range found {
			require.Equal(t, Unheld, d.Kind)
			require.True(t, strings.HasPrefix(d.Subject.Reveal(), "concealed-"))
		}
	}
}
