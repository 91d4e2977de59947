package parked_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/parked"
	"github.com/kelisim/kelisim/internal/testenv"
)

// concealed is a withdrawal under the key of something else, which is a subject's id
// by its form.
func (s *scene) concealed(who events.Subject) (at events.Position, key events.Subject) {
	key = s.person(0, "order")
	m := s.message(who, events.Withdrawn, time.Now(), "promotion")
	m.Key = []byte(key.Reveal())
	at = s.publish(m)
	s.settle()
	return at, key
}

func (s *scene) held(who events.Subject) (services int) {
	for _, c := range s.desk.Caches {
		h, err := c.Holding(s.t.Context(), who)
		require.NoError(s.t, err)
		if len(h.By) > 0 {
			services++
		}
	}
	return services
}

// Whoever is named under the key of something else is held, is found, and is released.
func TestConcealedPersonIsHeldUntilTheEventIsDismissed(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t)
	who := s.person(2, "person")
	at, key := s.concealed(who)
	require.Equal(t, 2, s.held(who))
	require.Equal(t, 2, s.held(key), "who the key says, too: nobody knows which of the two is right")
	c := s.only()
	require.Equal(t, at, c.First)
	require.Equal(t, key, c.Subject)
	require.Equal(t, who, c.Named)
	require.Equal(t, both, c.Held)
	for _, is := range []events.Subject{who, key} {
		require.Len(t, (&parked.Filter{Subject: is}).Choose(s.cases()), 1)
		require.Contains(t, text(&parked.List{Cases: s.cases()}), is.String())
	}

	plan, err := s.desk.PlanDismissal(t.Context(), s.cases(), "published anew under the right key")
	require.NoError(t, err)
	require.NoError(t, s.desk.Dismiss(t.Context(), plan))
	require.Zero(t, s.held(who))
	require.Zero(t, s.held(key))
	require.Equal(t, parked.Closed, s.only().State())
}

// A redrive under the right key ends what the wrong one and earlier attempts left.
func TestMendedRedriveReleasesEverybodyOfTheCase(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t)
	who := s.person(1, "person")
	at, key := s.concealed(who)
	plan := s.plan(false)
	require.Equal(t, "would be parked again: key-mismatch", plan.Items[0].Why)
	s.apply(s.plan(true))
	s.settle()
	require.Equal(t, parked.Open, s.only().State(), "parked again, and held twice")

	m := s.message(who, events.Withdrawn, time.Now(), "promotion")
	m.Headers = append(m.Headers, stream.Header{Key: "ce_firstposition", Value: []byte(at.String())},
		stream.Header{Key: "ce_firsttime", Value: []byte(time.Now().UTC().Format(time.RFC3339Nano))})
	s.publish(m)
	s.settle()
	require.Equal(t, 2, s.held(key))
	mended := s.plan(true)
	require.Equal(t, parked.Note, mended.Items[0].Step, "it is in the log")
	s.apply(mended)
	require.NoError(t, s.desk.Await(t.Context(), mended))
	require.Zero(t, s.held(who))
	require.Zero(t, s.held(key))
}

// A hold outlives the copies of its event, and so does its end.
func TestHoldIsDismissedAfterRetentionTookTheCopies(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t)
	who := s.person(1, "person")
	s.tell(who, events.Granted, "promotion")
	m := s.message(who, events.Withdrawn, time.Now(), "promotion")
	m.Value = nil
	at := s.publish(m)
	s.settle()
	require.Equal(t, 2, s.held(who))
	s.forget()
	require.Empty(t, s.cases())

	c, err := s.desk.Expired(t.Context(), at)
	require.NoError(t, err)
	require.Equal(t, who, c.Subject)
	require.Equal(t, both, c.Held)
	plan, err := s.desk.PlanDismissal(t.Context(), []*parked.Case{c}, "the person was asked")
	require.NoError(t, err)
	require.Contains(t, text(plan), at.String())
	require.Contains(t, text(plan), who.String())
	require.Contains(t, text(plan), "no-longer-parked")
	require.NoError(t, s.desk.Dismiss(t.Context(), plan))
	require.Zero(t, s.held(who))

	_, err = s.desk.Expired(t.Context(), at)
	require.ErrorContains(t, err, "holds nobody")
	_, err = s.desk.Expired(t.Context(), events.Position{Generation: 1, Partition: 1, Offset: 99})
	require.ErrorContains(t, err, "no record at 1/1@99")
	_, err = s.desk.Expired(t.Context(), events.Position{Generation: 2, Partition: 1})
	require.ErrorContains(t, err, "no record at 2/1@0")
}

// And whoever has mended the cause redrives it from the log of events.
func TestEventIsRedrivenAfterRetentionTookTheCopies(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t)
	who, at := s.frozen()
	s.tell(who, events.Unblocked)
	s.settle()
	s.forget()
	c, err := s.desk.Find(t.Context(), nil, at)
	require.NoError(t, err)
	again, err := s.desk.Find(t.Context(), []*parked.Case{c}, at)
	require.NoError(t, err)
	require.Same(t, c, again, "who names it twice means it once")
	plan, err := s.desk.PlanRedrive(t.Context(), []*parked.Case{c}, "a test", false)
	require.NoError(t, err)
	require.Equal(t, parked.Publish, plan.Items[0].Step)
	s.apply(plan)
	require.NoError(t, s.desk.Await(t.Context(), plan))
	require.Equal(t, at.String(), s.redriven()[0].header("ce_firstposition"))
	require.Zero(t, s.held(who))
}

// What was too large to be copied is shown, and redriven, from the log of events.
func TestCopyWithoutItsBytesIsShownFromTheLogOfEvents(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t, "2000")
	who := s.person(2, "person")
	s.tell(who, events.Blocked)
	m := s.message(who, events.SubjectErased, time.Now())
	m.Value = append([]byte(`{"note":"`), make([]byte, 5000)...)
	for i := 9; i < len(m.Value); i++ {
		m.Value[i] = 'x'
	}
	m.Value = append(m.Value, `"}`...)
	at := s.publish(m)
	s.settle()
	c := s.only()
	require.Equal(t, at, c.First)
	require.Equal(t, who, c.Subject)
	require.Equal(t, events.SubjectErased.String(), c.Type)
	require.Greater(t, c.Copies[0].LeftOut, 5000)
	require.Equal(t, both, c.Held)
	detail, err := s.desk.Show(t.Context(), c, false)
	require.NoError(t, err)
	require.Equal(t, len(m.Value), detail.Bytes)
	require.Equal(t, events.ReasonFrozen, detail.Fault)
	require.Contains(t, text(detail), "kept without")

	s.tell(who, events.Unblocked)
	s.settle()
	plan := s.plan(false)
	s.apply(plan)
	require.NoError(t, s.desk.Await(t.Context(), plan))
	require.Equal(t, string(m.Value), s.redriven()[0].value)
	require.Equal(t, parked.Sent, s.only().State())
}

// forget takes away everything that is parked, as retention does.
func (s *scene) forget() {
	ends, err := s.broker.Admin(s.t).ListEndOffsets(s.t.Context(), s.topics.Parked)
	require.NoError(s.t, err)
	_, err = s.broker.Admin(s.t).DeleteRecords(context.Background(), ends.Offsets())
	require.NoError(s.t, err)
	var left kadm.ListedOffsets
	require.Eventually(s.t, func() bool {
		left, err = s.broker.Admin(s.t).ListStartOffsets(s.t.Context(), s.topics.Parked)
		return err == nil && left.Error() == nil && left.Offsets()[s.topics.Parked][0].At == ends.Offsets()[s.topics.Parked][0].At
	}, 30*time.Second, 20*time.Millisecond)
}
