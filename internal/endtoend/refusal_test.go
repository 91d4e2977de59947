package endtoend

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers/marketing"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/guard"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testservice"
	"github.com/kelisim/kelisim/schemas"
)

// desk is a service, one person, and whoever handles the person's requests to withdraw
// "contractors", which is refusable.
type desk struct {
	t        *testing.T
	topics   testservice.Topics
	broker   *testenv.Broker
	producer *stream.Producer
	service  *testservice.Service
	guard    *guard.Guard
	person   events.Subject
	told     int64
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	client := testenv.Redis(t).Client(t)
	d := &desk{t: t, broker: testenv.Kafka(t)}
	d.topics = testservice.NewTopics(t, d.broker, 2)
	var err error
	d.producer, err = stream.NewProducer(stream.ProducerConfig{Config: stream.Config{Brokers: []string{d.broker.Addr()}}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = d.producer.Close(context.Background()) })
	action, err := marketing.New(client, events.SeedRules(), nil)
	require.NoError(t, err)
	d.service = testservice.Start(t, testservice.Config{
		Service: marketing.Service(action), Kafka: d.broker.Addr(), Redis: client, Topics: d.topics, Buckets: 16,
	})
	t.Cleanup(func() { d.service.Stop(t) })
	d.guard = guard.New(client, marketing.Name, guard.WithDeadline(5*time.Second))
	d.person, err = events.ParseSubject("person-1")
	require.NoError(t, err)
	return d
}

// write encodes an event of the person about contractors, decided now.
func (d *desk) write(e events.Event) stream.Message {
	d.t.Helper()
	rules := events.SeedRules()
	var err error
	e.Subject, e.Decided, e.Data = d.person, events.MillisOf(d.producer.Now()), []byte(`{"channel":"letter"}`)
	e.Purposes, err = rules.Set("contractors")
	require.NoError(d.t, err)
	if e.Source, e.Method = "/desk", events.ByStaff; !e.Type.Restricts() {
		e.Evidence = "urn:test:evidence:1"
	}
	m, err := cloudevent.Encoder{Rules: rules, Data: schemas.Data}.Encode(&e)
	require.NoError(d.t, err)
	return m
}

// tell appends a message and waits until the service has decided.
func (d *desk) tell(m stream.Message) {
	d.t.Helper()
	m.Topic = d.topics.Events
	_, err := d.producer.Publish(d.t.Context(), m)
	require.NoError(d.t, err)
	d.told++
	d.service.Wait(d.t, d.told)
}

// says waits until the guard answers so.
func (d *desk) says(want events.Reason) {
	d.t.Helper()
	require.Eventually(d.t, func() bool { return d.guard.Check(d.t.Context(), d.person, "contractors").Reason == want }, patient, breath)
}

func (d *desk) granted() {
	d.t.Helper()
	d.tell(d.write(events.Event{ID: fmt.Sprint("g", d.told), Type: events.Granted, Policy: events.SeedPolicy}))
	d.says(events.ByGrant)
}

func (d *desk) requested(id string) {
	d.t.Helper()
	d.tell(d.write(events.Event{ID: id, Type: events.WithdrawalRequested}))
	d.says(events.ByRequest)
}

func refusalOf(id, request string) events.Event {
	return events.Event{
		ID: id, Type: events.WithdrawalRefused, Request: events.Ref{Source: "/desk", ID: request},
		Ground: events.LawForbids, Reference: "urn:test:law:7", ReviewBy: events.MillisOf(time.Now().AddDate(1, 0, 0)),
	}
}

// with returns the message with a header replaced, or taken away by an empty value.
func with(m stream.Message, header, value string) stream.Message {
	m.Headers = slices.DeleteFunc(slices.Clone(m.Headers), func(h stream.Header) bool { return h.Key == header })
	if value != "" {
		m.Headers = append(m.Headers, stream.Header{Key: header, Value: []byte(value)})
	}
	return m
}

// Whoever writes without Kelisim's encoder writes what he likes. A refusal gives a
// person's data free again, so what does not say why is none: it is kept aside, what
// the request restricted stays restricted, and the rest is answered as before.
func TestARefusalWithoutAGroundOrAReferenceLiftsNothing(t *testing.T) {
	d := newDesk(t)
	d.granted()
	d.requested("r")
	for i, wrong := range [][2]string{
		{"ce_ground", ""}, {"ce_ground", "convenience"}, {"ce_reference", ""}, {"ce_reference", "the contract"},
		{"ce_reviewby", ""}, {"ce_requestid", ""},
	} {
		d.tell(with(d.write(refusalOf(fmt.Sprint("f", i), "r")), wrong[0], wrong[1]))
		require.Equal(t, events.ByRequest, d.guard.Check(t.Context(), d.person, "contractors").Reason, "%v", wrong)
	}
	require.Equal(t, map[string]int{"missing-attribute": 4, "attribute-value": 2}, parkedReasons(t, d.broker, d.topics.Parked))
	d.tell(d.write(refusalOf("f", "r")))
	d.says(events.ByGrant)
}

// Clause 2.6: a request is accepted by the withdrawal itself. No event takes it back:
// a refusal of that request, however good, lifts nothing any more.
func TestAnAcceptanceMakesItFinal(t *testing.T) {
	d := newDesk(t)
	d.granted()
	d.requested("r")
	d.tell(d.write(events.Event{ID: "w", Type: events.Withdrawn}))
	d.says(events.ByWithdrawal)
	d.tell(d.write(refusalOf("f", "r")))
	require.Equal(t, events.ByWithdrawal, d.guard.Check(t.Context(), d.person, "contractors").Reason)
	require.Empty(t, parkedReasons(t, d.broker, d.topics.Parked))
	d.granted() // the person alone, and anew
}
