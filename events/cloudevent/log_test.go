package cloudevent

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
)

func TestBarrierIsReadAsItWasWritten(t *testing.T) {
	at := time.UnixMilli(1_769_000_000_123)
	b := Barrier{Generation: 1, Partition: 7, Stage: "ended", Next: &Layout{2, "consent.events.v1.g2", 24}}
	m, err := b.Message(at)
	require.NoError(t, err)
	require.Equal(t, int32(7), m.Partition, "to its own partition, whatever its key")
	require.Equal(t, BarrierKey, string(m.Key))

	var e events.Event
	require.NoError(t, Decoder{}.Decode(recordOfMessage(m), &e))
	require.Equal(t, events.Barrier{Generation: 1, Partition: 7, Stage: events.StageEnded}, e.Barrier)
	require.True(t, e.Subject.IsZero())
	back, err := ReadBarrier(e.Data)
	require.NoError(t, err)
	require.Equal(t, b, back)
	requireLikeSDK(t, recordOfMessage(m))

	b.Stage = "elsewhere"
	_, err = b.Message(at)
	require.ErrorIs(t, err, ErrMalformed, "what nobody could read is not written")
}

func TestCarriedStateIsReadAsItWasWritten(t *testing.T) {
	rules := events.SeedRules()
	s, err := events.ParseSubject("u-7f1c9b52")
	require.NoError(t, err)
	purposes, err := rules.Set("promotion")
	require.NoError(t, err)
	state, _ := rules.Apply(events.State{}, &events.Event{
		Type: events.Granted, Method: events.ByPerson, ID: "1", Source: "/web", Subject: s, Purposes: purposes, Decided: 1000,
		Logged: events.Stamp{Position: events.Position{Generation: 1, Partition: 7, Offset: 40_312}, Appended: 1001},
	})
	m, err := CarriedMessage(s, state, time.UnixMilli(1_769_000_000_123))
	require.NoError(t, err)
	var e events.Event
	require.NoError(t, Decoder{}.Decode(recordOfMessage(m), &e))
	require.Equal(t, events.StateCarried, e.Type)
	require.Equal(t, state, e.Carried)
	require.Equal(t, s, e.Subject)
	require.Equal(t, "1/7@40312", e.ID)

	_, err = CarriedMessage(s, events.State{}, time.Now())
	require.ErrorIs(t, err, ErrMalformed, "nobody's state is carried")
	m.Value = []byte(`{"state":"AAAA","from":"1/7@40312"}`)
	require.ErrorIs(t, Decoder{}.Decode(recordOfMessage(m), &e), ErrMalformed)
}
