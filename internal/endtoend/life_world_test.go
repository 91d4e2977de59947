package endtoend

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/affiliate"
	"github.com/kelisim/kelisim/consumers/marketing"
	"github.com/kelisim/kelisim/consumers/policy"
	"github.com/kelisim/kelisim/consumers/targeting"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	versions "github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/guard"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/policyfeed"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testpolicy"
	"github.com/kelisim/kelisim/internal/testservice"
	"github.com/kelisim/kelisim/schemas"
)

// clock stands where it is put.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = at
}

// life is the pipeline and the one person in it.
type life struct {
	t        *testing.T
	clock    clock
	broker   *testenv.Broker
	client   *redis.Client
	topics   testservice.Topics
	activity string
	producer *stream.Producer
	admin    *stream.Admin

	second   *versions.Catalogue
	book     *versions.Book
	services map[string]*testservice.Service
	guards   map[string]*guard.Guard
	partners []affiliate.Partner
	sweeper  *policy.Sweeper
	registry *prometheus.Registry
	person   events.Subject
	told     int         // events of the person, for their ids
	used     int         // activities
	alone    atomic.Bool // the clock runs ahead alone: Redis' stays
	today    versions.Date
	last     string
}

func newLife(t *testing.T) *life {
	t.Helper()
	w := &life{
		t: t, broker: testenv.Kafka(t), client: testenv.Redis(t).Client(t), registry: prometheus.NewRegistry(),
		services: make(map[string]*testservice.Service), guards: make(map[string]*guard.Guard),
	}
	w.today = versions.DateOf(time.Now())
	w.at(-100, "09:00")
	var err error
	w.person, err = events.ParseSubject("person-1")
	require.NoError(t, err)
	conf := stream.Config{Brokers: []string{w.broker.Addr()}}
	w.producer, err = stream.NewProducer(stream.ProducerConfig{Config: conf})
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.producer.Close(context.Background()) })
	w.admin, err = stream.NewAdmin(conf)
	require.NoError(t, err)
	topic := func(name string, partitions int, config map[string]string) string {
		return w.broker.Topic(t, testenv.TopicSpec{Name: name, Partitions: partitions, Config: config})
	}
	appended := map[string]string{"message.timestamp.type": "LogAppendTime"}
	w.topics = testservice.Topics{
		Events: topic("events", 2, appended), Parked: topic("parked", 1, appended), Receipts: topic("receipts", 1, appended),
		Policies:   topic("policies", 1, map[string]string{"retention.ms": "-1"}), // keeps the times that it is given
		Partitions: 2,
	}
	w.activity = topic("activity", 2, appended)
	w.editions()
	w.run(conf)
	return w
}

// editions makes two versions of the policy and publishes the first: the seed with a
// border for each partner. The second widens research.
func (w *life) editions() {
	borders := func(c *versions.Catalogue) {
		for i, partner := range []string{"nordkino", "bosfor"} {
			border, _ := c.Purpose("cross-border")
			border.Code, border.Name = events.Code(14+i), events.Purpose("cross-border-"+partner)
			border.Recipients, border.CrossBorder = []string{partner}, []string{"NO"}
			c.Purposes = append(c.Purposes, border)
		}
	}
	first := testpolicy.Version(w.t, "1", w.clock.Now(), borders)
	w.second = testpolicy.Version(w.t, "2", w.moment(-60, "09:00"), func(c *versions.Catalogue) {
		borders(c)
		testpolicy.CoveredFrom(c, "1")
		testpolicy.Widen(c, "research")
	})
	w.book = new(versions.Book)
	w.append(first)
}

// append publishes a version now, by the test's clock also as people could read it.
func (w *life) append(c *versions.Catalogue) {
	w.t.Helper()
	m := testpolicy.Message(w.t, w.topics.Policies, c)
	m.Time = w.clock.Now()
	_, err := w.producer.Publish(w.t.Context(), m)
	require.NoError(w.t, err)
	w.book, err = w.book.With(c)
	require.NoError(w.t, err)
}

// run starts the four services, and the role's sweep and intake.
func (w *life) run(conf stream.Config) {
	t := w.t
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	follower, err := policyfeed.New(policyfeed.Config{Kafka: conf, Topic: w.topics.Policies, Now: w.clock.Now})
	require.NoError(t, err)
	running.Go(func() { _ = follower.Run(ctx) })
	require.NoError(t, follower.CatchUp(ctx))
	rules := func() *events.Rules { return follower.Current().Rules }

	for i, id := range []string{"nordkino", "bosfor"} {
		key, err := affiliate.NewKey(bytes.Repeat([]byte{byte(i + 1)}, 32))
		require.NoError(t, err)
		w.partners = append(w.partners, affiliate.Partner{
			ID: id, Country: "NO", Border: events.Purpose("cross-border-" + id), Purposes: []events.Purpose{"contractors"}, Current: key,
		})
	}
	market, err := marketing.New(w.client, rules(), nil)
	require.NoError(t, err)
	target, err := targeting.New(w.client, rules(), nil)
	require.NoError(t, err)
	partner, err := affiliate.New(w.client, rules(), w.partners, nil)
	require.NoError(t, err)
	role, err := policy.New(w.client, policy.Config{
		Rules: rules, Key: w.key(), Publisher: w.producer, Receipts: w.topics.Receipts, Now: w.clock.Now,
	})
	require.NoError(t, err)
	for _, s := range []consumers.Service{marketing.Service(market), targeting.Service(target), affiliate.Service(partner), policy.Service(role)} {
		service := testservice.Start(t, testservice.Config{
			Service: s, Kafka: w.broker.Addr(), Redis: w.client, Topics: w.topics, Buckets: 4, Now: w.clock.Now,
		})
		t.Cleanup(func() { service.Stop(t) })
		w.services[s.Name], w.guards[s.Name] = service, guard.New(w.client, s.Name, guard.WithDeadline(5*time.Second))
		service.Wait(t, 0)
	}

	shared := policy.Shared{
		States: carried{cache.NewReader(w.client, policy.Name), w}, Publications: follower, Publisher: w.producer, Events: w.topics.Events,
		Rules: rules, Now: w.clock.Now, Metrics: policy.NewMetrics(w.registry),
	}
	w.sweeper = policy.NewSweeper(w.client, time.Hour, shared)
	log, err := stream.NewConsumer(stream.ConsumerConfig{Config: conf, Group: "activity-" + w.activity, Topic: w.activity})
	require.NoError(t, err)
	running.Go(func() { _ = policy.NewIntake(w.activity, policy.Mapping{}, shared).Run(ctx, log) })
}

// carried is the role's cache with Redis' clock carried to where the test's stands: no
// server can be told what time it is.
type carried struct {
	*cache.Reader
	w *life
}

func (c carried) Lookup(ctx context.Context, s events.Subject) (cache.View, error) {
	v, err := c.Reader.Lookup(ctx, s)
	if by := events.MillisOf(c.w.clock.Now()) - v.Now; err == nil && !c.w.alone.Load() {
		v.Now, v.Fresh = v.Now+by, v.Fresh+by
	}
	return v, err
}

func (w *life) key() policy.Key {
	k, err := policy.NewKey(bytes.Repeat([]byte{9}, 32))
	require.NoError(w.t, err)
	return k
}

// moment returns a minute of a day so many days from today, in Almaty.
func (w *life) moment(days int, minute string) time.Time {
	at, err := time.Parse("15:04", minute)
	require.NoError(w.t, err)
	return w.today.Add(days).Start().Add(time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute)
}

// at, now and then put the clock.
func (w *life) at(days int, minute string) *life { return w.then(w.moment(days, minute)) }
func (w *life) now() *life                       { return w.then(time.Now()) }
func (w *life) then(at time.Time) *life {
	w.clock.set(at)
	return w
}

// decided is when something happens that happens now: nobody can decide behind the
// log's own clock, so from today on only the calendar is ahead.
func (w *life) decided() events.Millis { return events.MillisOf(earlier(w.clock.Now(), time.Now())) }

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func (w *life) rules() *events.Rules { return w.book.RulesAt(w.clock.Now()) }

func (w *life) set(names ...events.Purpose) events.PurposeSet {
	w.t.Helper()
	s, err := w.rules().Set(names...)
	require.NoError(w.t, err)
	return s
}

// tell publishes an event of the person, decided now.
func (w *life) tell(what, source string, e events.Event) {
	w.t.Helper()
	w.told++
	e.Source, e.Subject, e.Decided, e.Data = source, w.person, w.decided(), []byte(`{"channel":"app"}`)
	if e.ID == "" {
		e.ID = fmt.Sprint(w.told)
	}
	if e.Method == 0 {
		e.Method = events.ByPerson
	}
	if !e.Type.Restricts() {
		e.Evidence = "urn:test:evidence:1"
	}
	m, err := cloudevent.Encoder{Rules: w.rules(), Data: schemas.Data}.Encode(&e)
	require.NoError(w.t, err)
	m.Topic = w.topics.Events
	_, err = w.producer.Publish(w.t.Context(), m)
	require.NoError(w.t, err)
	w.settle(what)
}

// publish publishes a version of the policy.
func (w *life) publish(what string, c *versions.Catalogue) {
	w.t.Helper()
	w.append(c)
	w.settle(what)
}

// uses tells that the person used the service, and waits until that was judged.
func (w *life) uses(what string) {
	w.t.Helper()
	w.used++
	m := cloudevent.EncodeActivity(fmt.Sprint(w.used), "/player", cloudevent.Activity{Subject: w.person, At: w.decided()})
	m.Topic = w.activity
	_, err := w.producer.Publish(w.t.Context(), m)
	require.NoError(w.t, err)
	require.Eventually(w.t, func() bool { return w.judged() >= w.used }, patient, breath)
	w.settle(what)
}

// judged returns how many activities were read.
func (w *life) judged() (n int) {
	all, err := w.registry.Gather()
	require.NoError(w.t, err)
	for _, family := range all {
		for _, m := range family.Metric {
			if family.GetName() == "consent_activities_total" {
				n += int(m.Counter.GetValue())
			}
		}
	}
	return n
}

// sweep has the role go through its calendar, when its cache is fresh as it is but on
// a machine that is busy with others, and waits for what that publishes.
func (w *life) sweep(what string) policy.Swept {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		view, err := cache.NewReader(w.client, policy.Name).Lookup(w.t.Context(), w.person)
		return err == nil && view.Known && view.Now-view.Fresh < 1_000
	}, patient, breath)
	swept, err := w.sweeper.Sweep(w.t.Context())
	require.NoError(w.t, err)
	w.settle(what)
	return swept
}

// settle waits until every service has decided by, and acted on, all of the log.
func (w *life) settle(what string) {
	w.t.Helper()
	offsets, err := w.admin.Offsets(w.t.Context(), w.topics.Events)
	require.NoError(w.t, err)
	n := int64(0)
	for _, o := range offsets {
		n += o.End
	}
	for _, s := range w.services {
		s.Wait(w.t, n)
	}
	w.last = what
}

// signs say why an answer is as it is.
var signs = map[events.Reason]byte{
	events.ByGrant: '+', events.ByContract: 'C', events.ByLaw: 'L',
	events.UnknownSubject: '.', events.NeverGranted: '.', events.NoAgreement: '.', events.ByWithdrawal: 'w', events.ByRequest: 'r',
	events.ByBlock: 'b', events.ByErasure: 'e', events.AgreementOver: 'a', events.Suspended: 's', events.PolicyOutdated: 'o',
}

// legend prints the purposes, in the order of their codes, and the signs.
func (w *life) legend(t *testing.T) {
	for i, p := range w.rules().Names(w.rules().All()) {
		t.Logf("%57s%s %s", "", strings.Repeat("|", i), p)
	}
	t.Log("+ granted, C contract, L law; . never, w withdrawn, r requested, b blocked, e erased, a agreement ended, s suspended, o policy outdated")
}

// want prints a line and holds every guard to it.
func (w *life) want(answers string) {
	w.t.Helper()
	require.EventuallyWithT(w.t, func(c *assert.CollectT) {
		for name := range w.services {
			require.Equal(c, answers, w.answers(name), "%s after %q", name, w.last)
		}
	}, patient, breath)
	w.t.Logf("%s  %-38s %s", w.clock.Now().In(w.today.Start().Location()).Format("2006-01-02 15:04"), w.last, answers)
}

// answers asks the guard of a service for every purpose.
func (w *life) answers(service string) string {
	var out strings.Builder
	for _, p := range w.rules().Names(w.rules().All()) {
		d := w.guards[service].Check(w.t.Context(), w.person, p)
		sign, known := signs[d.Reason]
		if !known {
			sign = '?'
		}
		out.WriteByte(sign)
	}
	return out.String()
}

// accepted says which version the person accepted last, and how.
func (w *life) accepted(v events.PolicyVersion, explicit bool) {
	w.t.Helper()
	view, err := cache.NewReader(w.client, policy.Name).Lookup(w.t.Context(), w.person)
	require.NoError(w.t, err)
	last, inWords := w.rules().Accepted(view.State, v)
	require.True(w.t, last)
	require.Equal(w.t, explicit, inWords)
}

// ended returns when the log has it that the agreement ended.
func (w *life) ended() time.Time {
	view, err := cache.NewReader(w.client, policy.Name).Lookup(w.t.Context(), w.person)
	require.NoError(w.t, err)
	return w.rules().Agreement(view.State).Ended.Time()
}
