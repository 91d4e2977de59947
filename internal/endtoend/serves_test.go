package endtoend

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/internal/testpolicy"
	"github.com/kelisim/kelisim/schemas"
)

// A change of the policy is a new catalogue and not a release: a purpose that no
// program knows is published, granted, used and withdrawn.
func TestAPurposeThatOnlyTheCatalogueKnowsIsServedByMarketing(t *testing.T) {
	w := newTown(t)
	require.ErrorContains(t, w.desk.Register(t.Context(), "digest", "letters"), "is not marketing's")
	version := testpolicy.Version(t, "letters-1", time.Now(), func(c *policy.Catalogue) {
		testpolicy.CoveredFrom(c, events.SeedPolicy)
		p := c.Purposes[3]
		p.Code, p.Name, p.CoveredFrom, p.Services = 20, "letters", "", []string{"marketing"}
		c.Purposes = append(c.Purposes, p)
	})
	testpolicy.Publish(t, w.broker, w.topics.Policies, version)
	w.becomes(0, "letters", events.NeverGranted)
	require.NoError(t, w.desk.Register(t.Context(), "digest", "letters"))

	book, err := new(policy.Book).With(version)
	require.NoError(t, err)
	letters, err := book.Rules().Set("letters")
	require.NoError(t, err)
	decide := func(kind events.Type, n int) {
		m, err := cloudevent.Encoder{Rules: book.Rules(), Data: schemas.Data}.Encode(&events.Event{
			Method: events.ByPerson, Evidence: "https://evidence.example/1", ID: kind.String(), Source: "/letters", Type: kind, Subject: w.person(n),
			Policy: version.Version, Purposes: letters, Decided: w.later(), Data: []byte(`{"channel":"app"}`),
		})
		require.NoError(t, err)
		m.Topic = w.topics.Events
		_, err = w.producer.Publish(t.Context(), m)
		require.NoError(t, err)
	}
	decide(events.Granted, 1)
	w.becomes(1, "letters", events.ByGrant)
	require.Eventually(t, func() bool {
		_, err := w.desk.Admit(t.Context(), "digest", w.person(1))
		require.NoError(t, err)
		return w.audience("digest") == 1
	}, 30*time.Second, 10*time.Millisecond)

	decide(events.Withdrawn, 1)
	w.becomes(1, "letters", events.ByWithdrawal)
	require.Eventually(t, func() bool {
		m, err := w.desk.Member(t.Context(), "digest", w.person(1))
		require.NoError(t, err)
		return !m.In && m.Suppressed
	}, 30*time.Second, 10*time.Millisecond, "still in the audience")
	w.becomes(1, "promotion", events.ByGrant)
}
