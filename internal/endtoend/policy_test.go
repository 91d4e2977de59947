package endtoend

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers/marketing"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/guard"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testpolicy"
	"github.com/kelisim/kelisim/internal/testservice"
	"github.com/kelisim/kelisim/schemas"
)

// town is marketing with its desk and a guard, and people who decide.
type town struct {
	t        *testing.T
	broker   *testenv.Broker
	client   *redis.Client
	topics   testservice.Topics
	producer *stream.Producer
	desk     *marketing.Desk
	ask      *guard.Guard
	told     int
	last     events.Millis // when people decided last
}

const inTown = 120

func newTown(t *testing.T) *town {
	broker, server := testenv.Kafka(t), testenv.Redis(t)
	w := &town{t: t, broker: broker, topics: testservice.NewTopics(t, broker, 4)}
	var err error
	w.producer, err = stream.NewProducer(stream.ProducerConfig{Config: stream.Config{Brokers: []string{broker.Addr()}}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.producer.Close(context.Background()) })
	client := server.Client(t)
	w.client = client
	action, err := marketing.New(client, events.SeedRules(), nil)
	require.NoError(t, err)
	service := testservice.Start(t, testservice.Config{
		Service: marketing.Service(action), Kafka: broker.Addr(), Redis: client, Topics: w.topics, Buckets: 64,
	})
	t.Cleanup(func() { service.Stop(t) })
	w.ask = guard.New(client, marketing.Name, guard.WithDeadline(5*time.Second))
	w.decide(events.Granted, events.SeedPolicy, everybody()...)
	service.Wait(t, inTown)
	all, err := marketing.Slots(t.Context(), client)
	require.NoError(t, err)
	w.desk, err = marketing.Open(client, all)
	require.NoError(t, err)
	require.NoError(t, w.desk.Register(t.Context(), "spring", "promotion"))
	require.NoError(t, w.desk.Register(t.Context(), "study", "research"))
	return w
}

func everybody() []int {
	all := make([]int, inTown)
	for i := range all {
		all[i] = i
	}
	return all
}

func (w *town) person(n int) events.Subject {
	s, err := events.ParseSubject(fmt.Sprintf("town-%d", n))
	require.NoError(w.t, err)
	return s
}

// later returns a moment after every one that it returned before: who decides
// twice within a millisecond gets the safer of the two.
func (w *town) later() events.Millis {
	require.Eventually(w.t, func() bool { return events.MillisOf(w.producer.Now()) > w.last }, 30*time.Second, time.Millisecond)
	w.last = events.MillisOf(w.producer.Now())
	return w.last
}

// decide publishes that people decide on promotion and research.
func (w *town) decide(kind events.Type, under events.PolicyVersion, who ...int) {
	rules := events.SeedRules()
	var purposes events.PurposeSet
	if kind != events.PolicyAccepted {
		purposes, _ = rules.Set("promotion", "research")
	}
	messages, decided := make([]stream.Message, len(who)), w.later()
	for i, n := range who {
		w.told++
		m, err := cloudevent.Encoder{Rules: rules, Data: schemas.Data}.Encode(&events.Event{
			Method: events.ByPerson, Evidence: "https://evidence.example/1", ID: fmt.Sprint(w.told), Source: "/web", Type: kind, Subject: w.person(n),
			Policy: under, Purposes: purposes, Decided: decided, Data: []byte(`{"channel":"app"}`),
		})
		require.NoError(w.t, err)
		m.Topic = w.topics.Events
		messages[i] = m
	}
	_, err := w.producer.PublishAll(w.t.Context(), messages)
	require.NoError(w.t, err)
}

// becomes waits for an answer about somebody.
func (w *town) becomes(n int, p events.Purpose, want events.Reason) {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return w.ask.Check(w.t.Context(), w.person(n), p).Reason == want }, 30*time.Second, 2*time.Millisecond,
		"%v %s is not %v", w.person(n), p, want)
}

// audience counts who is in a campaign's audience.
func (w *town) audience(campaign string) (n int) {
	for i := range inTown {
		m, err := w.desk.Member(w.t.Context(), campaign, w.person(i))
		require.NoError(w.t, err)
		if m.In {
			n++
		}
	}
	return n
}

// A version that asks for more is published while all is running: no release, no
// restart. Guards deny, audiences are emptied, and who accepts is back.
func TestAWiderPolicyIsActedOnWhileRunning(t *testing.T) {
	w := newTown(t)
	for n := range inTown {
		w.becomes(n, "promotion", events.ByGrant)
	}
	people := make([]events.Subject, inTown)
	for n := range people {
		people[n] = w.person(n)
	}
	for _, campaign := range []string{"spring", "study"} {
		require.Eventually(t, func() bool {
			_, err := w.desk.Admit(t.Context(), campaign, people...)
			require.NoError(t, err)
			return w.audience(campaign) == inTown
		}, 30*time.Second, 10*time.Millisecond)
	}

	wider := testpolicy.Version(t, "wider", time.Now(), func(c *policy.Catalogue) {
		testpolicy.CoveredFrom(c, events.SeedPolicy)
		testpolicy.Widen(c, "promotion")
	})
	began := time.Now()
	testpolicy.Publish(t, w.broker, w.topics.Policies, wider)
	w.becomes(0, "promotion", events.PolicyOutdated)
	t.Logf("published to denied: %v", time.Since(began))
	require.Eventually(t, func() bool { return w.audience("spring") == 0 }, 30*time.Second, 10*time.Millisecond, "still in the audience")
	t.Logf("published to emptied: %v", time.Since(began))
	for n := range inTown {
		w.becomes(n, "promotion", events.PolicyOutdated)
		w.becomes(n, "research", events.ByGrant)
	}
	require.Equal(t, inTown, w.audience("study"), "research asks for no more than before")

	w.decide(events.PolicyAccepted, "wider", 7)
	w.becomes(7, "promotion", events.ByGrant)
	w.becomes(8, "promotion", events.PolicyOutdated)
	require.Eventually(t, func() bool {
		_, err := w.desk.Admit(t.Context(), "spring", people...)
		require.NoError(t, err)
		return w.audience("spring") == 1
	}, 30*time.Second, 10*time.Millisecond)
}

// Somebody consents to a version before anybody knows it.
func TestConsentToAVersionThatComesLateStandsOnceItArrives(t *testing.T) {
	w := newTown(t)
	w.decide(events.Withdrawn, "", 1)
	w.decide(events.Granted, "late", 1)
	w.becomes(1, "promotion", events.PolicyUnknown)
	late := testpolicy.Version(t, "late", time.Now(), nil)
	testpolicy.Publish(t, w.broker, w.topics.Policies, late, late)
	w.becomes(1, "promotion", events.ByGrant)
	w.becomes(2, "promotion", events.PolicyOutdated)
}

func TestWithoutTheTopicOfPoliciesEverybodyIsDenied(t *testing.T) {
	broker, server := testenv.Kafka(t), testenv.Redis(t)
	topics := testservice.NewTopics(t, broker, 1)
	topics.Policies = "policies-that-nobody-made"
	client := server.Client(t)
	action, err := marketing.New(client, events.SeedRules(), nil)
	require.NoError(t, err)
	service := testservice.Start(t, testservice.Config{Service: marketing.Service(action), Kafka: broker.Addr(), Redis: client, Topics: topics, Buckets: 8})
	defer service.Stop(t)
	ask := guard.New(client, marketing.Name, guard.WithDeadline(5*time.Second))
	w := &town{t: t}
	for range 100 {
		require.Equal(t, events.Stale, ask.Check(t.Context(), w.person(1), "promotion").Reason)
	}
}
