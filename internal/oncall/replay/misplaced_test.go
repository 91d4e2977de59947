package replay_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/replay"
	"github.com/kelisim/kelisim/internal/oncall/window"
	"github.com/kelisim/kelisim/internal/testenv"
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
	testenv.Parallel(t)
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
	testenv.Parallel(t)
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

// An event under the key of something else, or under none, holds whom it names, and who
// the key says, wherever it stands.
func TestLostHoldsOfEventsUnderWrongKeysAreLaidAgain(t *testing.T) {
	s := newScene(t, 20, 100)
	of := func(key string, at int32) func(*stream.Message) {
		return func(m *stream.Message) {
			if m.Key, m.Partition = []byte(key), at; key == "" {
				m.Key = nil
			}
		}
	}
	home := func(who events.Subject) int32 { return events.PartitionOf(who.Reveal(), partitions) }
	var order events.Subject // of the same partition
	for i := 0; order.IsZero() || home(order) != home(s.people[0]); i++ {
		order, _ = events.ParseSubject(fmt.Sprint("order-", i))
	}
	at := map[events.Subject]events.Position{
		s.people[0]: s.astray(s.people[0], of(order.Reveal(), home(s.people[0]))),
		s.people[1]: s.astray(s.people[1], of("", home(s.people[1]))),
		s.people[2]: s.astray(s.people[2], of("", (home(s.people[2])+1)%partitions)),
	}
	redriven := s.people[3]
	other := s.astray(redriven, of("", home(redriven)))
	again := s.encode(&events.Event{
		ID: "astray-" + redriven.Reveal(), Source: "/kiosk", Type: events.Withdrawn, Method: events.ByPerson, Subject: redriven, Purposes: 2,
		Decided: events.MillisOf(time.Now()), Data: []byte(`{"channel":"app"}`), First: events.Stamp{Position: other, Appended: events.MillisOf(time.Now())},
	})
	_, err := s.producer.Publish(t.Context(), again)
	require.NoError(t, err)
	s.settle()
	at[order] = at[s.people[0]]
	for who, position := range at {
		require.Equal(t, []events.Position{position}, s.heldBy("marketing", who))
	}
	require.Empty(t, s.heldBy("marketing", redriven))
	require.True(t, s.plan(replay.Selection{}, replay.Wish{}).Empty())
	for who := range at {
		s.unhold("marketing", who)
	}
	s.unhold("marketing", redriven)

	one := s.plan(replay.Selection{Window: window.Window{Subject: s.people[0]}}, replay.Wish{})
	require.Empty(t, one.Mends)
	require.Equal(t, 1, one.Ranges[0].Subjects)
	require.Len(t, one.Holds, 1, "of one person that is in reach which stands in the own partition, and nobody else's")
	require.True(t, s.plan(replay.Selection{Window: window.Window{Subject: s.people[2]}}, replay.Wish{}).Empty())

	p := s.plan(replay.Selection{Sources: []string{"/kiosk"}}, replay.Wish{})
	require.Empty(t, p.Mends)
	require.Len(t, p.Holds, len(at), "what was redriven holds nobody")
	report, err := s.apply(p, replay.Orders{Operator: "aigerim"})
	require.NoError(t, err)
	require.Equal(t, replay.Counts{Held: len(at)}, report.Total())
	for who, position := range at {
		require.Equal(t, []events.Position{position}, s.heldBy("marketing", who))
	}
	require.Empty(t, s.heldBy("marketing", redriven))
	require.True(t, s.plan(replay.Selection{}, replay.Wish{}).Empty())
}

// Snapshots tell of what stands in the person's own partition, too, whether the log has
// the event still or not.
func TestHoldsOfEventsUnderWrongKeysAreLaidAgainFromSnapshots(t *testing.T) {
	s := newScene(t, 20, 400)
	who := s.people[0]
	at := s.astray(who, func(m *stream.Message) { m.Key, m.Partition = nil, events.PartitionOf(who.Reveal(), partitions) })
	s.settle()
	s.snapshots()
	again := func(of window.Window) {
		t.Helper()
		s.unhold("marketing", who)
		p := s.plan(replay.Selection{Window: of}, replay.Wish{})
		require.Len(t, p.Holds, 1)
		_, err := s.apply(p, replay.Orders{Operator: "aigerim"})
		require.NoError(t, err)
		require.Equal(t, []events.Position{at}, s.heldBy("marketing", who))
	}
	s.forget(3) // it is the last one of its partition
	again(window.Window{Partitions: []int32{at.Partition}, From: at.Offset, To: at.Offset + 1})
	for range 3 {
		s.decide(who, events.AgreementEnded)
	}
	s.settle()
	s.forget(3)
	again(window.Window{})
}
