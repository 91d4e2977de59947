package policy_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers/internal/slots/slotstest"
	"github.com/kelisim/kelisim/consumers/policy"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	versions "github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/testenv"
)

// reader runs an intake over a topic of its own.
type reader struct {
	*world
	topic    string
	brokers  []string
	producer *stream.Producer
	registry *prometheus.Registry
	read     int // activities so far
}

// newReader returns a reader whose topic keeps the times that its producer gives,
// so that the log's clock is where the test puts it too.
func newReader(t *testing.T) *reader {
	t.Helper()
	broker := testenv.Kafka(t)
	r := &reader{world: newWorld(t), brokers: broker.Addrs(), registry: prometheus.NewRegistry()}
	r.shared.Metrics = policy.NewMetrics(r.registry)
	r.topic = broker.Topic(t, testenv.TopicSpec{Name: "activity", Partitions: 2, Config: map[string]string{
		"message.timestamp.type": "CreateTime", "message.timestamp.after.max.ms": "9223372036854775807", "retention.ms": "-1",
	}})
	var err error
	r.producer, err = stream.NewProducer(stream.ProducerConfig{Config: stream.Config{Brokers: r.brokers}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.producer.Close(context.Background())) })
	return r
}

// run runs the intake, as one process after another, until f returns.
func (r *reader) run(t *testing.T, m policy.Mapping, f func()) {
	t.Helper()
	log, err := stream.NewConsumer(stream.ConsumerConfig{
		Config: stream.Config{Brokers: r.brokers}, Group: "consent-policy-" + r.topic, Topic: r.topic, CommitInterval: 200 * time.Millisecond,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- policy.NewIntake(r.topic, m, r.shared).Run(ctx, log) }()
	defer func() {
		cancel()
		require.NoError(t, <-ended)
	}()
	f()
}

// uses appends an activity now.
func (r *reader) uses(t *testing.T, s events.Subject) {
	t.Helper()
	m := cloudevent.EncodeActivity(fmt.Sprint(r.read), "/player", cloudevent.Activity{Subject: s, At: events.MillisOf(r.now)})
	r.append(t, m)
}

func (r *reader) append(t *testing.T, m stream.Message) {
	t.Helper()
	m.Topic, m.Time = r.topic, r.now.Add(3*time.Millisecond)
	_, err := r.producer.Publish(t.Context(), m)
	require.NoError(t, err)
	r.read++
}

// wait returns when everything appended so far was read.
func (r *reader) wait(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		total := 0.0
		for _, outcome := range []string{"accepted", "already", "early", "no-agreement", "unreadable"} {
			total += r.counted(t, outcome)
		}
		return int(total) >= r.read
	}, 30*time.Second, 5*time.Millisecond)
}

func (r *reader) counted(t *testing.T, outcome string) float64 {
	t.Helper()
	return r.counter(t, "consent_activities_total", outcome)
}

// counter reads a counter with one label.
func (r *reader) counter(t *testing.T, name, label string) float64 {
	t.Helper()
	all, err := r.registry.Gather()
	require.NoError(t, err)
	for _, family := range all {
		for _, m := range family.Metric {
			if family.GetName() == name && m.Label[0].GetValue() == label {
				return m.Counter.GetValue()
			}
		}
	}
	return 0
}

func TestTheFirstUseAfterSevenDaysAcceptsOnceAndNamesWhatProvesIt(t *testing.T) {
	r := newReader(t)
	s := slotstest.Subject(1)
	r.tell(t, s, started)
	r.run(t, policy.Mapping{}, func() {
		r.now = at(t, "2026-11-08 23:59")
		r.uses(t, s)
		r.wait(t)
		require.Empty(t, r.published.events(t), "the seventh day is not over")
		require.EqualValues(t, 1, r.counted(t, "early"))

		r.now = at(t, "2026-11-09 00:00")
		r.uses(t, s)
		r.wait(t)
		r.uses(t, s)
		r.wait(t)
	})
	acceptances := r.published.events(t)
	require.Len(t, acceptances, 1)
	e := acceptances[0]
	require.Equal(t, events.PolicyAccepted, e.Type)
	require.Equal(t, events.ContinuedUse, e.Method)
	require.Equal(t, events.SeedPolicy, e.Policy)
	require.Equal(t, events.MillisOf(r.now), e.Decided)
	require.Equal(t, fmt.Sprintf("urn:kelisim:record:%s/%d@1", r.topic, events.PartitionOf(s.Reveal(), 2)), e.Evidence)
	require.Contains(t, string(e.Data), versions.Seed().Hash())
	requireSchema(t, "policy.accepted.v1", e)
	before := r.states[s]
	r.obey(t)
	require.Equal(t, r.Rules.Standing(before), r.Rules.Standing(r.states[s]), "nothing is allowed by it")
	last, explicit := r.Rules.Accepted(r.states[s], events.SeedPolicy)
	require.True(t, last && !explicit)

	r.run(t, policy.Mapping{}, func() { // another process, that remembers nobody
		r.now = r.now.Add(time.Hour)
		r.uses(t, s)
		r.wait(t)
	})
	require.Empty(t, r.published.events(t), "the state says that it was accepted")
}

func TestUseAcceptsOnlyForWhomItIsAChange(t *testing.T) {
	r := newReader(t)
	r.now = at(t, "2026-11-02 10:00")
	stranger, gone, spoken, suspended, back := slotstest.Subject(1), slotstest.Subject(2), slotstest.Subject(3), slotstest.Subject(4), slotstest.Subject(5)
	r.tell(t, gone, started)
	r.tell(t, gone, ended)
	r.tell(t, spoken, started)
	r.tell(t, spoken, events.Event{Type: events.PolicyAccepted, Policy: events.SeedPolicy})
	r.tell(t, suspended, started)
	r.tell(t, suspended, events.Event{Type: events.AgreementSuspended})
	r.tell(t, back, started)
	r.tell(t, back, erased)
	r.run(t, policy.Mapping{}, func() {
		r.now = at(t, "2026-11-20 10:00")
		for _, s := range []events.Subject{stranger, gone, spoken, suspended, back} {
			r.uses(t, s)
		}
		r.wait(t)
	})
	require.EqualValues(t, 3, r.counted(t, "no-agreement"))
	require.EqualValues(t, 1, r.counted(t, "already"))
	all := r.published.events(t)
	require.Len(t, all, 1)
	require.Equal(t, suspended, all[0].Subject, "a suspended agreement binds")
}

// What is published twice, because a process died in between or the broker did not
// answer, has one id and one decision.
func TestARepeatedAcceptanceIsACopy(t *testing.T) {
	r := newReader(t)
	s := slotstest.Subject(1)
	r.tell(t, s, started)
	r.now = at(t, "2026-11-20 10:00")
	r.uses(t, s)
	r.published.fails = 2
	r.run(t, policy.Mapping{}, func() { r.wait(t) })
	first := r.published.events(t)
	require.Len(t, first, 1)
	r.run(t, policy.Mapping{}, func() { // the state does not know it yet
		r.now = r.now.Add(time.Minute)
		r.uses(t, s)
		r.wait(t)
	})
	both := r.published.events(t)
	require.Len(t, both, 2)
	require.Equal(t, first[0].ID, both[1].ID)
}

func TestActivitiesWaitForACacheThatIsBehind(t *testing.T) {
	r := newReader(t)
	s := slotstest.Subject(1)
	r.tell(t, s, started)
	r.now = at(t, "2026-11-20 10:00")
	r.stale = true
	r.uses(t, s)
	r.run(t, policy.Mapping{}, func() {
		require.Eventually(t, func() bool {
			return r.counter(t, "consent_policy_failures_total", "activity") > 0
		}, 30*time.Second, 5*time.Millisecond)
		require.Zero(t, r.counted(t, "accepted"))
		r.mu.Lock()
		r.stale = false
		r.mu.Unlock()
		r.wait(t)
	})
	require.Len(t, r.published.events(t), 1)
}

// An existing topic of clicks serves as it is; what it cannot be read from is
// counted, and stops nobody.
func TestAClickstreamTellsOfUseByAMapping(t *testing.T) {
	r := newReader(t)
	s := slotstest.Subject(1)
	r.tell(t, s, started)
	m, err := policy.ParseMapping("value:user.id", "value:ts")
	require.NoError(t, err)
	click := func(value string) {
		r.append(t, stream.Message{Partition: 0, Key: []byte("session-1"), Value: []byte(value)})
	}
	r.run(t, m, func() {
		r.now = at(t, "2026-11-20 10:00")
		click(`{"user":{"id":"77011234567"},"ts":1}`)
		click(`{"user":{},"ts":1}`)
		click(`not JSON`)
		click(`{"user":{"id":"person-1"}}`)
		click(fmt.Sprintf(`{"user":{"id":"person-1"},"page":"/films","ts":%d}`, at(t, "2026-11-03 10:00").UnixMilli()))
		click(`{"user":{"id":"person-1"},"ts":"2036-01-01T00:00:00Z"}`)
		r.wait(t)
	})
	require.EqualValues(t, 4, r.counted(t, "unreadable"))
	require.EqualValues(t, 1, r.counted(t, "early"))
	all := r.published.events(t)
	require.Len(t, all, 1)
	require.Equal(t, events.MillisOf(r.now), all[0].Decided, "a clock that runs ahead gains nothing")
}

// A topic that is not there yet is waited for, and ends nothing.
func TestATopicThatIsNotThereIsWaitedFor(t *testing.T) {
	r := newReader(t)
	r.topic = "activity-that-nobody-made-" + r.topic
	r.run(t, policy.Mapping{}, func() {
		swept := r.sweep(t)
		require.Equal(t, policy.Swept{}, swept, "the sweep goes on meanwhile")
	})
}
