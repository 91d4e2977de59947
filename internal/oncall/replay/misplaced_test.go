package replay_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/replay"
	"github.com/kelisim/kelisim/internal/oncall/window"
)

// astray publishes a withdrawal into another partition than its subject's.
func (s *scene) astray(who events.Subject, change func(*stream.Message)) events.Position {
	set, err := s.rules.Set("promotion")
	require.NoError(s.t, err)
	m := s.encode(&events.Event{
		ID: "astray-" + who.Reveal(), Source: "/kiosk", Type: events.Withdrawn, Method: events.ByPerson, Subject: who, Purposes: set,
		Decided: events.MillisOf(time.Now()), Data: []byte(`{"channel":"app"}`),
	})
	m.Partition = (events.PartitionOf(who.Reveal(), partitions) + 1) % partitions
	if change != nil {
		change(&m)
	}
	ack, err := s.producer.Publish(s.t.Context(), m)
	require.NoError(s.t, err)
	return events.Position{Generation: 1, Partition: ack.Partition, Offset: ack.Offset}
}

// unhold loses what holds a person in a service, by hand.
func (s *scene) unhold(service string, who events.Subject) {
	l := s.bench.Caches[service].Layout()
	require.NoError(s.t, s.client.HDel(s.t.Context(), l.Prefix(l.PartitionOf(who))+"held", who.Reveal()).Err())
}

func (s *scene) heldBy(service string, who events.Subject) []events.Position {
	have, err := s.bench.Caches[service].(*cache.Mender).Holding(s.t.Context(), who)
	require.NoError(s.t, err)
	return have.By
}

// A partition's keys can be lost alone, and its owner does not read the others
// again: who withdrew in a wrong partition would be allowed.
func TestLostHoldsOfMisplacedEventsAreLaidAgain(t *testing.T) {
	s := newScene(t, 20, 100)
	known, redriven := s.people[0], s.people[1]
	stranger, err := events.ParseSubject("stranger") // whose own partition never heard of them
	require.NoError(t, err)
	at, other := s.astray(known, nil), s.astray(redriven, nil)
	broken := s.astray(stranger, func(m *stream.Message) { m.Value = []byte("no object") })
	s.settle()
	for _, name := range services {
		require.Equal(t, []events.Position{at}, s.heldBy(name, known))
		require.Equal(t, []events.Position{broken}, s.heldBy(name, stranger), "also what nobody can read")
	}
	again := s.encode(&events.Event{
		ID: "astray-" + redriven.Reveal(), Source: "/kiosk", Type: events.Withdrawn, Method: events.ByPerson, Subject: redriven, Purposes: 2,
		Decided: events.MillisOf(time.Now()), Data: []byte(`{"channel":"app"}`), First: events.Stamp{Position: other, Appended: events.MillisOf(time.Now())},
	})
	_, err = s.producer.Publish(t.Context(), again)
	require.NoError(t, err)
	s.settle()
	require.Empty(t, s.heldBy("marketing", redriven))
	require.True(t, s.plan(replay.Selection{}, replay.Wish{}).Empty())
	for _, who := range []events.Subject{known, redriven, stranger} {
		s.unhold("marketing", who)
	}

	p := s.plan(replay.Selection{Sources: []string{"/kiosk"}, Window: window.Window{Partitions: []int32{at.Partition, broken.Partition}}}, replay.Wish{})
	require.Empty(t, p.Mends)
	require.Len(t, p.Holds, 2, "what was redriven holds nobody")
	require.Equal(t, 2, p.Services[0].Unheld())
	report, err := s.apply(p, replay.Orders{Operator: "aigerim"})
	require.NoError(t, err)
	require.Equal(t, replay.Counts{Held: 2}, report.Total())
	require.Equal(t, []events.Position{at}, s.heldBy("marketing", known))
	require.Equal(t, []events.Position{broken}, s.heldBy("marketing", stranger))
	require.Empty(t, s.heldBy("marketing", redriven))
	require.True(t, s.plan(replay.Selection{}, replay.Wish{}).Empty())
}

// The misplaced event may be gone from the log; the snapshots know whom it holds.
func TestHoldsOfMisplacedEventsThatTheLogLostAreLaidAgain(t *testing.T) {
	s := newScene(t, 20, 400)
	who := s.people[0]
	at := s.astray(who, nil)
	s.tell("more", 7, 20, 200)
	s.settle()
	s.snapshots()
	s.forget(3)
	s.decide(who, events.AgreementEnded)
	s.settle()
	s.unhold("marketing", who)
	p := s.plan(replay.Selection{Window: window.Window{Subject: who}}, replay.Wish{})
	require.Len(t, p.Holds, 1)
	_, err := s.apply(p, replay.Orders{Operator: "aigerim"})
	require.NoError(t, err)
	require.Equal(t, []events.Position{at}, s.heldBy("marketing", who))
}
