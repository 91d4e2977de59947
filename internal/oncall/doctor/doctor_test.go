package doctor_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers/marketing"
	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/daemon"
	"github.com/kelisim/kelisim/internal/oncall/cluster"
	"github.com/kelisim/kelisim/internal/oncall/doctor"
	"github.com/kelisim/kelisim/internal/oncall/topics"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testpolicy"
	"github.com/kelisim/kelisim/internal/testservice"
)

// clinic is a whole pipeline with one service, on servers of its own.
type clinic struct {
	*testing.T
	broker   *testenv.Broker
	redis    *testenv.RedisServer
	env      func() *doctor.Env // a new one for each examination
	admin    *stream.Admin
	producer *stream.Producer
	service  *testservice.Service
}

const partitions = 4

func newClinic(t *testing.T) *clinic { return newClinicOf(t, false) }

// newClinicOf makes a clinic, and one without a policy if that is wanted.
func newClinicOf(t *testing.T, without bool) *clinic {
	c := &clinic{T: t, broker: testenv.StartKafka(t, testenv.KafkaConfig{}), redis: testenv.Redis(t)}
	layout, err := deploy.Topics()
	require.NoError(t, err)
	for i := range layout.Topics {
		if layout.Topics[i].Partitions > partitions {
			layout.Topics[i].Partitions = partitions
		}
	}
	kafka := stream.Config{Brokers: c.broker.Addrs()}
	c.env = func() *doctor.Env {
		k, err := cluster.New(cluster.Config{
			Kafka: kafka, Topics: daemon.Defaults().Topics,
			Connect: func() (redis.UniversalClient, error) { return c.redis.Client(t), nil },
		})
		require.NoError(t, err)
		t.Cleanup(func() { _ = k.Close() })
		return &doctor.Env{
			Cluster: k, Layout: layout, Services: []doctor.Service{{Name: "marketing", Group: "consent-marketing"}},
			Links: []doctor.Link{{Name: "kafka", Addrs: c.broker.Addrs()}, {Name: "redis", Addrs: []string{c.redis.Addr()}}},
			Pause: 300 * time.Millisecond,
		}
	}
	c.admin, err = stream.NewAdmin(kafka)
	require.NoError(t, err)
	wanted, err := topics.Wanted(t.Context(), c.admin, layout, nil)
	require.NoError(t, err)
	require.NoError(t, topics.Create(t.Context(), c.admin, wanted))
	if !without {
		testpolicy.Publish(t, c.broker, deploy.PoliciesTopic, testpolicy.Seed(t))
	}
	c.producer, err = stream.NewProducer(stream.ProducerConfig{Config: kafka})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.producer.Close(context.Background()) })
	return c
}

// serve runs the service until the test ends or stop is called.
func (c *clinic) serve() (stop func()) {
	client := c.redis.Client(c.T)
	action, err := marketing.New(client, events.SeedRules(), nil)
	require.NoError(c, err)
	c.service = testservice.Start(c, testservice.Config{
		Service: marketing.Service(action), Kafka: c.broker.Addr(), Redis: client, Group: "consent-marketing", Buckets: 16,
		Topics: testservice.Topics{Events: deploy.EventsTopic, Policies: deploy.PoliciesTopic, Parked: deploy.ParkedTopic, Receipts: deploy.ReceiptsTopic, Partitions: partitions},
	})
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			c.service.Stop(c)
		}
	}
	c.Cleanup(stop)
	return stop
}

// grant publishes a good grant of some subject, changed before it is sent.
func (c *clinic) grant(id string, change func(*events.Event, *stream.Message)) {
	rules := events.SeedRules()
	subject, err := events.ParseSubject(id)
	require.NoError(c, err)
	set, err := rules.Set("promotion")
	require.NoError(c, err)
	e := events.Event{
		ID: id, Source: "/web", Type: events.Granted, Method: events.ByPerson, Subject: subject, Purposes: set, Policy: events.SeedPolicy,
		Decided: events.MillisOf(time.Now()), Evidence: "urn:x:1", Data: []byte(`{"channel":"web"}`),
	}
	m := stream.Message{}
	change(&e, &m)
	encoded, err := cloudevent.Encoder{Rules: rules, AnyData: true}.Encode(&e) // as producers do that have no encoder of ours
	require.NoError(c, err)
	encoded.Topic = deploy.EventsTopic
	change(&e, &encoded)
	_, err = c.producer.Publish(c.Context(), encoded)
	require.NoError(c, err)
}

func asItIs(*events.Event, *stream.Message) {}

// examine runs the named checks, all when none is named.
func (c *clinic) examine(names ...string) []doctor.Finding {
	var checks []doctor.Check
	for _, check := range doctor.Checks() {
		for _, name := range names {
			if check.Name == name {
				checks = append(checks, check)
			}
		}
	}
	if len(names) == 0 {
		checks = doctor.Checks()
	}
	require.True(c, len(names) == 0 || len(checks) == len(names), "%v", names)
	return doctor.Run(c.Context(), c.env(), checks)
}

// requireOne expects one finding of each of some checks and returns it.
func (c *clinic) requireOne(check string) doctor.Finding {
	c.Helper()
	found := c.examine(check)
	require.Len(c, found, 1, "%+v", found)
	require.Equal(c, check, found[0].Check)
	require.NotEmpty(c, found[0].Fix)
	require.NotEmpty(c, found[0].Object)
	return found[0]
}

// excused is what a healthy pipeline of tests has against it: nobody set rules of
// access, and its Redis keeps nothing.
var excused = map[string]bool{"acls": true, "redis-persistence": true}

// mute is what the embedded Redis does not say.
var mute = map[string]bool{"redis-version": true, "redis-memory": true, "redis-compact": true}

func TestHealthyPipelineHasNothing(t *testing.T) {
	testenv.Parallel(t)
	c := newClinic(t)
	c.serve()
	c.grant("person-1", asItIs)
	c.service.Wait(t, 1)
	require.Eventually(t, func() bool { // until it is proved fresh, and proves what it did
		left := 0
		for _, f := range c.examine() {
			if excused[f.Check] || mute[f.Check] && !testenv.Real() {
				continue
			}
			t.Logf("%+v", f)
			left++
		}
		return left == 0
	}, time.Minute, 10*time.Millisecond)
}

func TestTopicsThatChangedOrAreMissingAreFound(t *testing.T) {
	testenv.Parallel(t)
	c := newClinic(t)
	require.Empty(t, c.examine("topics", "stray-topics", "replicas"))
	set := map[string]string{"unclean.leader.election.enable": "true"}
	require.NoError(t, c.admin.SetTopicSettings(t.Context(), deploy.EventsTopic, set, false))
	f := c.requireOne("topics")
	require.Equal(t, doctor.Critical, f.Severity)
	require.Contains(t, f.Found, "unclean.leader.election.enable is true")
	require.Contains(t, f.Fix, "consentctl topics align")

	_, err := c.broker.Admin(t).DeleteTopics(t.Context(), deploy.AuditTopic)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(c.examine("topics")) == 2 }, 30*time.Second, 50*time.Millisecond)

	stray := stream.TopicSpec{Name: "consent-events", Partitions: 1, Replicas: 1}
	require.NoError(t, c.admin.CreateTopics(t.Context(), []stream.TopicSpec{stray}))
	require.Empty(t, c.examine("stray-topics"), "nothing is lost in it yet")
	_, err = c.producer.Publish(t.Context(), stream.Message{Topic: stray.Name, Value: []byte("{}")})
	require.NoError(t, err)
	require.Equal(t, stray.Name, c.requireOne("stray-topics").Object)
}

func TestProducersThatHarmAreNamed(t *testing.T) {
	testenv.Parallel(t)
	c := newClinic(t)
	for i := range 40 {
		c.grant("person-"+string(rune('a'+i%26))+string(rune('a'+i/26)), asItIs)
	}
	require.Empty(t, c.examine("append-time", "placement", "schemas", "producer-clocks", "broker-clocks"))

	c.grant("person-1", func(e *events.Event, m *stream.Message) {
		e.Source = "/kiosk"
		m.Partition = (events.PartitionOf("person-1", partitions) + 1) % partitions
	})
	f := c.requireOne("placement")
	require.Equal(t, doctor.Critical, f.Severity)
	require.Equal(t, "source /kiosk", f.Object)
	require.Contains(t, f.Found, "1 of its 1 newest events")
	require.Contains(t, f.Fix, "murmur2")

	c.grant("person-2", func(e *events.Event, _ *stream.Message) {
		e.Source, e.Data = "/crm", []byte(`{"channel":"web","phone":"+77010000000"}`)
	})
	f = c.requireOne("schemas")
	require.Equal(t, doctor.Warning, f.Severity)
	require.Equal(t, "source /crm", f.Object)
	require.Contains(t, f.Found, "data.phone: unknown")
	require.NotContains(t, f.Found, "7701", "no value is shown")

	c.grant("person-3", func(e *events.Event, m *stream.Message) {
		e.Source = "/crm"
		if m.Key != nil {
			m.Value = []byte("not json")
		}
	})
	require.Len(t, c.examine("schemas"), 2)

	c.grant("person-4", func(e *events.Event, _ *stream.Message) {
		e.Source, e.Decided = "/tv", events.MillisOf(time.Now().Add(time.Hour))
	})
	f = c.requireOne("producer-clocks")
	require.Equal(t, "source /tv", f.Object)
	require.Regexp(t, `ahead by up to (1h0m0|59m59\.\d*)s`, f.Found)
}

func TestRecordsWithoutTheBrokersTimeAreFound(t *testing.T) {
	testenv.Parallel(t)
	c := newClinic(t)
	set := map[string]string{"message.timestamp.type": "CreateTime"}
	require.NoError(t, c.admin.SetTopicSettings(t.Context(), deploy.EventsTopic, set, false))
	c.grant("person-1", asItIs)
	require.Equal(t, doctor.Critical, c.requireOne("append-time").Severity)
}

func TestServicesThatDoNotFollowTheLogAreFound(t *testing.T) {
	testenv.Parallel(t)
	c := newClinic(t)
	require.Contains(t, c.requireOne("applying").Found, "no cache")
	require.Contains(t, c.requireOne("groups").Found, "not there")
	stop := c.serve()
	c.grant("person-1", asItIs)
	c.service.Wait(t, 1)
	require.Eventually(t, func() bool { return len(c.examine("groups", "applying", "receipts", "layout")) == 0 }, time.Minute, 50*time.Millisecond)

	stop()
	c.grant("person-1", asItIs)
	require.Contains(t, c.requireOne("groups").Found, "no member")
	at := events.PartitionOf("person-1", partitions)
	require.Eventually(t, func() bool { // it has to be stale first
		found := c.examine("applying")
		still := 0
		for _, f := range found {
			if f.Severity == doctor.Critical && f.Object == "marketing/"+string(rune('0'+at)) && f.Found[:12] == "stands still" {
				still++
			}
		}
		return len(found) == partitions && still == 1
	}, time.Minute, 100*time.Millisecond)

	// Somebody moves the group's offset, or a fault in the service does.
	require.NoError(t, c.admin.SetCommittedOffsets(t.Context(), "consent-marketing", deploy.EventsTopic, map[int32]int64{at: 2}))
	acknowledged := 0
	for _, f := range c.examine("applying") {
		if strings.Contains(f.Found, "its group has acknowledged 2, which is not applied") {
			acknowledged++
		}
	}
	require.Equal(t, 1, acknowledged)

	// The cache goes back behind what was receipted, and nobody repairs it.
	client := c.redis.Client(t)
	key := "consent:{marketing/1/" + string(rune('0'+at)) + "}:pos"
	require.NoError(t, client.HSet(t.Context(), key, "next", "0").Err())
	require.Contains(t, c.requireOne("receipts").Found, "acknowledged what is not applied")

	require.NoError(t, client.HSet(t.Context(), key, "next", "1000").Err())
	ahead := 0
	for _, f := range c.examine("applying") {
		if f.Object == "marketing/"+string(rune('0'+at)) {
			require.Contains(t, f.Found, "the topic was made anew")
			ahead++
		}
	}
	require.Equal(t, 1, ahead)

	require.NoError(t, client.HSet(t.Context(), "consent:{marketing}:layout", "generation", "7").Err())
	require.Contains(t, c.requireOne("layout").Found, "generation 7")
}

func TestPolicyThatIsNotInForceIsFound(t *testing.T) {
	testenv.Parallel(t)
	c := newClinicOf(t, true)
	f := c.requireOne("policies")
	require.Equal(t, doctor.Critical, f.Severity)
	require.Contains(t, f.Found, "no version of the policy is published")
	testpolicy.Publish(t, c.broker, deploy.PoliciesTopic, testpolicy.Version(t, "2099-01", time.Now().AddDate(1, 0, 0), nil))
	require.Contains(t, c.requireOne("policies").Found, "none is in force yet")
	testpolicy.Publish(t, c.broker, deploy.PoliciesTopic, testpolicy.Seed(t))
	require.Empty(t, c.examine("policies"))
	c.grant("person-1", func(e *events.Event, _ *stream.Message) { e.Source, e.Policy = "/old-app", "2019-05" })
	f = c.requireOne("policies")
	require.Equal(t, "source /old-app", f.Object)
	require.Contains(t, f.Found, "policy version 2019-05, which is not published")
}

// What is no version stops no look at anything else, and is a finding of its own.
func TestRecordsThatAreNoVersionsAreFoundAndStopNothing(t *testing.T) {
	testenv.Parallel(t)
	c := newClinic(t)
	c.grant("person-1", asItIs)
	needPolicies := []string{"append-time", "placement", "schemas", "producer-clocks", "policies", "parked"}
	require.Empty(t, c.examine(needPolicies...))
	for range 5 {
		_, err := c.producer.Publish(t.Context(), stream.Message{Topic: deploy.PoliciesTopic, Key: []byte("x"), Value: []byte("+77010000000")})
		require.NoError(t, err)
	}
	found := c.examine(needPolicies...)
	require.Len(t, found, 1, "%+v", found)
	require.Equal(t, doctor.Warning, found[0].Severity)
	require.Equal(t, "policies", found[0].Check)
	require.Contains(t, found[0].Found, "5 records are no versions, and everybody skips them (malformed, offset 1, 2, 3, …)")
	require.NotContains(t, found[0].Found, "7701")

	other := testpolicy.Version(t, events.SeedPolicy, time.Now(), func(k *policy.Catalogue) { testpolicy.Widen(k, "promotion") })
	testpolicy.Append(t, c.broker, testpolicy.Message(t, deploy.PoliciesTopic, other))
	found = c.examine(needPolicies...)
	require.Len(t, found, 2, "%+v", found)
	require.Equal(t, doctor.Critical, found[0].Severity)
	require.Contains(t, found[0].Found, "republished")
}

func TestParkedEventsAreCountedByReason(t *testing.T) {
	testenv.Parallel(t)
	c := newClinic(t)
	c.serve()
	c.grant("person-1", func(e *events.Event, m *stream.Message) {
		if m.Key != nil {
			m.Value = []byte("not json")
		}
	})
	c.service.Wait(t, 1)
	require.Eventually(t, func() bool { return len(c.examine("parked")) == 1 }, time.Minute, 50*time.Millisecond)
	f := c.requireOne("parked")
	require.Equal(t, "marketing", f.Object)
	require.Contains(t, f.Found, "1 parked for data-not-object and still open")
}

func TestWhatCannotBeLookedAtIsNotWell(t *testing.T) {
	testenv.Parallel(t)
	c := newClinic(t)
	c.redis.Stop(t)
	for _, check := range []string{"applying", "receipts", "outbox", "layout", "redis-eviction", "redis-clocks"} {
		f := c.requireOne(check)
		require.Equal(t, doctor.Unknown, f.Severity)
		require.Contains(t, f.Found, "redis is unavailable", check)
	}
	require.Equal(t, 6, doctor.Faults(c.examine("applying", "receipts", "outbox", "layout", "redis-eviction", "redis-clocks")))
}

func TestClearTextBeyondTheHostIsFound(t *testing.T) {
	testenv.Parallel(t)
	c := newClinic(t)
	env := c.env()
	env.Links = []doctor.Link{{Name: "redis", Addrs: []string{"192.0.2.7:6379", "redis.internal:6379", "127.0.0.1:1", "[::1]:1", "localhost:1"}}}
	for _, check := range doctor.Checks() {
		if check.Name == "links" {
			found := doctor.Run(t.Context(), env, []doctor.Check{check})
			require.Len(t, found, 2, "%+v", found)
			require.Equal(t, doctor.Critical, found[0].Severity)
		}
	}
}
