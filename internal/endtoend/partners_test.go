package endtoend

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers/affiliate"
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

// partnersFile names a purpose and a border that the seed does not have.
const partnersFile = `
partners:
  - {id: airline, country: KZ, purposes: [contractors, loyalty], keys: {current: {env: AIRLINE}}}
  - {id: nordkino, country: "NO", border: cross-border-nordkino, purposes: [loyalty], keys: {current: {env: NORDKINO}}}
  - {id: helpers, country: KZ, purposes: [contractors], keys: {current: {env: HELPERS}}}
`

// harbour is affiliate with its partners, their desk and their queues, and a guard.
type harbour struct {
	*town
	book     *policy.Book
	partners map[string]affiliate.Partner
	service  *testservice.Service
	team     *affiliate.Desk
	queues   map[string]*affiliate.Queue
}

func newHarbour(t *testing.T) *harbour {
	broker := testenv.Kafka(t)
	w := &harbour{
		town:     &town{t: t, broker: broker, client: testenv.Redis(t).Client(t), topics: testservice.NewTopics(t, broker, 2)},
		partners: make(map[string]affiliate.Partner), queues: make(map[string]*affiliate.Queue),
	}
	var err error
	w.book, err = new(policy.Book).With(testpolicy.Seed(t))
	require.NoError(t, err)
	w.producer, err = stream.NewProducer(stream.ProducerConfig{Config: stream.Config{Brokers: []string{broker.Addr()}}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.producer.Close(context.Background()) })

	path := filepath.Join(t.TempDir(), "partners.yaml")
	require.NoError(t, os.WriteFile(path, []byte(partnersFile), 0o600))
	all, err := affiliate.LoadPartners(path, func(name string) string {
		return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte(name[:1]), 32))
	})
	require.NoError(t, err)
	action, err := affiliate.New(w.client, events.SeedRules(), all, nil)
	require.NoError(t, err)
	w.service = testservice.Start(t, testservice.Config{
		Service: affiliate.Service(action), Kafka: broker.Addr(), Redis: w.client, Topics: w.topics, Buckets: 16,
	})
	t.Cleanup(func() { w.service.Stop(t) })
	w.tell(events.Granted, 0, events.SeedPolicy, "contractors")
	w.ask = guard.New(w.client, affiliate.Name, guard.WithDeadline(5*time.Second))
	slots, err := affiliate.Slots(t.Context(), w.client)
	require.NoError(t, err)
	w.team, err = affiliate.Open(w.client, slots, all)
	require.NoError(t, err)
	for _, p := range all {
		w.partners[p.ID] = p
		w.queues[p.ID], err = affiliate.OpenQueue(w.client, slots, p.ID, time.Minute)
		require.NoError(t, err)
	}
	return w
}

// loyalty is the seed with a purpose that no program knows, for partners, and a border
// for one of them; the given services act on both.
func (w *harbour) loyalty(name events.PolicyVersion, published time.Time, coveredFrom events.PolicyVersion, services ...string) *policy.Catalogue {
	return testpolicy.Version(w.t, name, published, func(c *policy.Catalogue) {
		use, border := c.Purposes[1], c.Purposes[12]
		use.Code, use.Name, border.Code, border.Name = 20, "loyalty", 21, "cross-border-nordkino"
		c.Purposes = append(c.Purposes, use, border)
		testpolicy.CoveredFrom(c, coveredFrom)
		for i := range c.Purposes[:13] {
			c.Purposes[i].CoveredFrom = events.SeedPolicy
		}
		c.Purposes[13].Services, c.Purposes[14].Services = services, services
	})
}

func (w *harbour) publish(c *policy.Catalogue) {
	w.t.Helper()
	var err error
	w.book, err = w.book.With(c)
	require.NoError(w.t, err)
	testpolicy.Publish(w.t, w.broker, w.topics.Policies, c)
}

// tell publishes that somebody decides.
func (w *harbour) tell(kind events.Type, n int, under events.PolicyVersion, purposes ...events.Purpose) {
	w.t.Helper()
	set, err := w.book.Rules().Set(purposes...)
	require.NoError(w.t, err)
	w.told++
	m, err := cloudevent.Encoder{Rules: w.book.Rules(), Data: schemas.Data}.Encode(&events.Event{
		Method: events.ByPerson, Evidence: "https://evidence.example/1", ID: fmt.Sprint(w.told), Source: "/web", Type: kind, Subject: w.person(n),
		Policy: under, Purposes: set, Decided: w.later(), Data: []byte(`{"channel":"app"}`),
	})
	require.NoError(w.t, err)
	m.Topic = w.topics.Events
	_, err = w.producer.Publish(w.t.Context(), m)
	require.NoError(w.t, err)
	w.service.Wait(w.t, int64(w.told))
}

// shares waits until a partner may be given somebody's pseudonym, or may not.
func (w *harbour) shares(partner string, purpose events.Purpose, n int, want bool) {
	w.t.Helper()
	p := w.partners[partner]
	expect := affiliate.Share{Subject: w.person(n), Closed: !want}
	if want {
		expect.Pseudonym = p.Current.Pseudonym(w.person(n))
	}
	require.Eventually(w.t, func() bool {
		got, err := w.team.Share(w.t.Context(), partner, purpose, w.person(n))
		return err == nil && got[0] == expect
	}, patient, breath, "%s for %s: %v", partner, purpose, want)
}

// delivers waits for a partner's stop about somebody, acknowledges it, and holds
// that nothing else waits.
func (w *harbour) delivers(partner string, n int, purposes ...events.Purpose) {
	w.t.Helper()
	q, p := w.queues[partner], w.partners[partner]
	var stops []affiliate.Stop
	require.Eventually(w.t, func() bool {
		for partition := range w.topics.Partitions {
			some, err := q.Next(w.t.Context(), partition, time.Now(), 100)
			require.NoError(w.t, err)
			stops = append(stops, some...)
		}
		return len(stops) > 0
	}, patient, breath, "%s is told nothing", partner)
	require.Len(w.t, stops, 1)
	require.Equal(w.t, []affiliate.Pseudonym{p.Current.Pseudonym(w.person(n))}, stops[0].Pseudonyms)
	require.Equal(w.t, purposes, stops[0].Purposes)
	require.NoError(w.t, q.Ack(w.t.Context(), stops...))
	w.waits(partner, 0)
}

// waits holds how many stops wait for a partner.
func (w *harbour) waits(partner string, want int) {
	w.t.Helper()
	n, err := w.queues[partner].Len(w.t.Context())
	require.NoError(w.t, err)
	require.EqualValues(w.t, want, n, partner)
}

// A change of the policy is a new catalogue and not a release: a purpose of partners
// that no program knows is published, granted, used, withdrawn, and told.
func TestAPurposeThatOnlyTheCatalogueKnowsIsStoppedAtPartners(t *testing.T) {
	w := newHarbour(t)
	w.publish(w.loyalty("loyal-1", time.Now(), "", affiliate.Name))
	w.becomes(1, "loyalty", events.UnknownSubject)
	w.tell(events.Granted, 1, "loyal-1", "loyalty", "cross-border-nordkino", "contractors")
	w.becomes(1, "loyalty", events.ByGrant)
	for _, partner := range []string{"airline", "nordkino"} {
		w.shares(partner, "loyalty", 1, true)
		w.waits(partner, 0)
	}

	w.tell(events.Withdrawn, 1, "", "loyalty")
	w.becomes(1, "loyalty", events.ByWithdrawal)
	for _, partner := range []string{"airline", "nordkino"} {
		w.shares(partner, "loyalty", 1, false)
		w.delivers(partner, 1, "loyalty")
	}
	w.waits("helpers", 0)
	w.shares("airline", "contractors", 1, true)

	w.tell(events.Granted, 1, "loyal-1", "loyalty")
	w.shares("nordkino", "loyalty", 1, true)
	w.tell(events.Withdrawn, 1, "", "cross-border-nordkino")
	w.shares("nordkino", "loyalty", 1, false)
	w.delivers("nordkino", 1, "loyalty")
	w.shares("airline", "loyalty", 1, true)
}

// People decided on the purpose while it was nobody's at partners: nobody was put into
// the outbox for it.
func TestWhoeverWithdrewBeforeAVersionGaveAffiliateThePurposeIsStoppedWhenItComes(t *testing.T) {
	w := newHarbour(t)
	w.publish(w.loyalty("loyal-1", time.Now().Add(-24*time.Hour), ""))
	w.becomes(1, "loyalty", events.UnknownSubject)
	for n := 1; n <= 3; n++ {
		w.tell(events.Granted, n, "loyal-1", "loyalty", "cross-border-nordkino")
	}
	w.tell(events.Withdrawn, 1, "", "loyalty")
	w.tell(events.Withdrawn, 2, "", "cross-border-nordkino")
	w.becomes(1, "loyalty", events.ByWithdrawal)
	w.becomes(3, "loyalty", events.ByGrant)
	_, err := w.team.Share(t.Context(), "airline", "loyalty", w.person(3))
	require.ErrorIs(t, err, affiliate.ErrUnserved)
	for partner := range w.partners {
		w.waits(partner, 0)
	}

	w.publish(w.loyalty("loyal-2", time.Now(), "loyal-1", affiliate.Name))
	var given affiliate.Pseudonym
	require.Eventually(t, func() bool {
		got, err := w.team.Share(t.Context(), "airline", "loyalty", w.person(1))
		if err != nil {
			return false
		}
		given = max(given, got[0].Pseudonym)
		return got[0] == affiliate.Share{Subject: w.person(1), Closed: true}
	}, patient, time.Millisecond)
	require.Empty(t, given, "in doubt until closed, and never open")
	w.delivers("airline", 1, "loyalty")
	w.shares("nordkino", "loyalty", 1, false)
	w.shares("nordkino", "loyalty", 2, false)
	w.waits("nordkino", 2)
	w.shares("airline", "loyalty", 2, true)
	w.shares("airline", "loyalty", 3, true)
	w.shares("nordkino", "loyalty", 3, true)
	w.waits("helpers", 0)
}

// The file may come before the version: the service starts, serves what the policy
// has, gives nothing for what it has not, and needs no restart when it comes.
func TestAPartnersFileThatNamesWhatNoVersionKnowsDeniesUntilOneComes(t *testing.T) {
	w := newHarbour(t)
	w.tell(events.Granted, 1, events.SeedPolicy, "contractors")
	w.shares("airline", "contractors", 1, true)
	for _, partner := range []string{"airline", "nordkino"} {
		_, err := w.team.Share(t.Context(), partner, "loyalty", w.person(1))
		require.ErrorIs(t, err, affiliate.ErrUnserved)
	}
	w.becomes(1, "loyalty", events.UnknownPurpose)
	w.tell(events.Withdrawn, 1, "", "contractors")
	w.shares("airline", "contractors", 1, false)
	w.delivers("airline", 1, "contractors")
	w.delivers("helpers", 1, "contractors")
	w.waits("nordkino", 0)

	w.publish(w.loyalty("loyal-1", time.Now(), "", affiliate.Name))
	w.tell(events.Granted, 2, "loyal-1", "loyalty", "cross-border-nordkino")
	w.shares("airline", "loyalty", 2, true)
	w.shares("nordkino", "loyalty", 2, true)
	w.waits("airline", 0)
}
