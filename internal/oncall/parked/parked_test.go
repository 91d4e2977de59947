package parked_test

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/output"
	"github.com/kelisim/kelisim/internal/oncall/parked"
	"github.com/kelisim/kelisim/internal/testenv"
)

var both = []string{"marketing", "targeting"}

// frozen is an erasure that a block keeps from being applied.
func (s *scene) frozen() (who events.Subject, at events.Position) {
	who = s.person(0, "frozen")
	s.tell(who, events.Granted, "promotion")
	s.tell(who, events.Blocked)
	at = s.tell(who, events.SubjectErased)
	s.settle()
	return who, at
}

func TestParkedEventIsRedrivenOnceForAllServices(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t)
	who, at := s.frozen()
	c := s.only()
	require.Equal(t, at, c.First)
	require.Equal(t, who, c.Subject)
	require.Equal(t, parked.Open, c.State())
	require.Equal(t, both, c.Services())
	require.Equal(t, both, c.Held)
	require.Equal(t, []string{events.ReasonFrozen}, c.Reasons())
	require.Equal(t, events.SubjectErased.String(), c.Type)

	plan := s.plan(false)
	require.Equal(t, parked.Refuse, plan.Items[0].Step)
	require.Equal(t, "would be parked again: frozen-by-block", plan.Items[0].Why)
	s.apply(plan)
	require.Empty(t, s.redriven(), "what is refused is not published")

	s.tell(who, events.Unblocked)
	s.settle()
	plan = s.plan(false)
	require.Equal(t, parked.Publish, plan.Items[0].Step)
	require.Empty(t, s.redriven(), "a plan publishes nothing")
	s.apply(plan)
	require.NoError(t, s.desk.Await(t.Context(), plan))

	c = s.only()
	require.Equal(t, parked.Sent, c.State())
	require.Empty(t, c.Held, "both services have applied it")
	require.Equal(t, 1, c.Attempts())
	out := s.redriven()
	require.Len(t, out, 1, "once, and not once for every service")
	require.Equal(t, at.String(), out[0].header("ce_firstposition"))
	require.Equal(t, c.Appended.Time().Format(time.RFC3339Nano), out[0].header("ce_firsttime"))
	require.Equal(t, "1", out[0].header("kelisim_attempt"))
	require.Empty(t, out[0].header("kelisim_reason"))
	require.Equal(t, "/web", out[0].header("ce_source"))
	require.Equal(t, `{"channel":"web"}`, out[0].value)

	plan = s.plan(false)
	require.Equal(t, parked.Skip, plan.Items[0].Step)
	s.apply(plan)
	require.Len(t, s.redriven(), 1, "never twice")
}

func TestRedriveThatDiedBeforeItSaidSoIsFoundInTheLog(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t)
	who, _ := s.frozen()
	s.tell(who, events.Unblocked)
	s.settle()
	whole := s.desk.Publisher
	s.desk.Publisher = mute{whole, s.topics.Parked}
	err := s.desk.Apply(t.Context(), s.plan(false), 0, func(*parked.Item) {})
	require.ErrorIs(t, err, errDown)
	require.Equal(t, exit.Partly, exit.Code(err))
	require.Len(t, s.redriven(), 1)
	s.settle()

	s.desk.Publisher = whole
	plan := s.plan(false)
	require.Equal(t, parked.Note, plan.Items[0].Step)
	require.Equal(t, s.redriven()[0].at.String(), plan.Items[0].At)
	s.apply(plan)
	require.Len(t, s.redriven(), 1)
	require.Equal(t, parked.Sent, s.only().State())
	require.Equal(t, parked.Skip, s.plan(false).Items[0].Step)
}

func TestEventThatIsParkedAgainIsOpenAgainAndCounted(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t)
	who := s.person(1, "future")
	at := s.publish(s.message(who, events.Granted, time.Now().Add(time.Hour), "promotion"))
	s.settle()
	require.Equal(t, "would be parked again: from-the-future", s.plan(false).Items[0].Why)
	plan := s.plan(true)
	require.Equal(t, parked.Publish, plan.Items[0].Step)
	s.apply(plan)
	s.settle()
	require.ErrorContains(t, s.desk.Await(t.Context(), plan), "was parked again by")
	c := s.only()
	require.Equal(t, at, c.First, "one case, whatever is parked of it")
	require.Equal(t, parked.Open, c.State())
	require.Equal(t, 1, c.Attempts())
	require.Len(t, c.Copies, 4)
	require.Equal(t, 1, c.Copies[3].Attempt)
	require.Equal(t, both, c.Held)

	s.apply(s.plan(true))
	s.settle()
	require.Equal(t, 2, s.only().Attempts())
	out := s.redriven()
	require.Equal(t, "2", out[1].header("kelisim_attempt"))
	require.Equal(t, at.String(), out[1].header("ce_firstposition"), "the first place, not the second")
	require.Len(t, out[1].headers, len(out[0].headers), "no header twice")
}

func TestEventIsRedrivenWithCorrectedBytesAndKeepsWhatItIs(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t)
	who := s.person(1, "corrected")
	s.tell(who, events.Granted, "promotion")
	right := s.message(who, events.Withdrawn, time.Now(), "promotion")
	wrong := right
	wrong.Value = []byte("no object")
	wrong.Headers = append(right.Headers[:len(right.Headers):len(right.Headers)], stream.Header{Key: "traceparent", Value: []byte("00-1")})
	at := s.publish(wrong)
	s.settle()
	require.Equal(t, both, s.only().Held)
	forged := right
	forged.Headers = append(right.Headers[:len(right.Headers):len(right.Headers)],
		stream.Header{Key: "ce_firstposition", Value: []byte("1/1@0")}, stream.Header{Key: "ce_firsttime", Value: []byte("2020-01-01T00:00:00Z")})
	plan, err := s.desk.PlanCorrected(t.Context(), s.only(), forged, "a test", false)
	require.NoError(t, err)
	require.Equal(t, parked.Publish, plan.Items[0].Step)
	require.NoError(t, plan.Permit(parked.Permit{Operator: "aigerim"}))
	s.apply(plan)
	require.NoError(t, s.desk.Await(t.Context(), plan))
	c, out := s.only(), s.redriven()
	require.Empty(t, c.Held)
	require.Len(t, out, 1)
	require.Equal(t, at.String(), out[0].header("ce_firstposition"), "nobody corrects where it first stood")
	require.Equal(t, string(right.Value), out[0].value)
	require.Equal(t, "00-1", out[0].header("traceparent"))
	require.NotNil(t, c.Markers[0].Correction)
	require.Len(t, c.Markers[0].Correction.Was, 64)
	require.NotEqual(t, c.Markers[0].Correction.Was, c.Markers[0].Correction.Is)
}

func TestCorrectionOfAnotherEventIsRefused(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t)
	who := s.person(1, "corrected")
	right := s.message(who, events.Granted, time.Now(), "promotion")
	wrong := right
	wrong.Value = []byte("no object")
	s.publish(wrong)
	s.settle()
	change := func(of stream.Message, name, value string) stream.Message {
		m := of
		m.Headers = nil
		for _, h := range of.Headers {
			if h.Key == name {
				h.Value = []byte(value)
			}
			m.Headers = append(m.Headers, h)
		}
		return m
	}
	id := ""
	for _, h := range right.Headers {
		if h.Key == "ce_id" {
			id = string(h.Value)
		}
	}
	for text, m := range map[string]stream.Message{
		"another id": change(right, "ce_id", "other"), "another source": change(right, "ce_source", "/other"),
		"another type":    change(s.message(who, events.Withdrawn, time.Now(), "promotion"), "ce_id", id),
		"another subject": s.message(s.person(1, "other"), events.Granted, time.Now(), "promotion"),
		"would be parked as well: data-not-object": wrong,
	} {
		_, err := s.desk.PlanCorrected(t.Context(), s.only(), m, "a test", false)
		require.ErrorContains(t, err, text)
		require.Equal(t, exit.Refused, exit.Code(err))
		require.NotContains(t, err.Error(), who.Reveal())
	}
	plan, err := s.desk.PlanCorrected(t.Context(), s.only(), right, "a test", false)
	require.NoError(t, err)
	for text, second := range map[string]string{"a second operator must agree": "", "another person than aigerim": "Aigerim"} {
		require.ErrorContains(t, plan.Permit(parked.Permit{Grants: true, Operator: "aigerim", Second: second}), text)
	}
	require.ErrorContains(t, plan.Permit(parked.Permit{Operator: "aigerim", Second: "dana"}), "needs --permit-grants")
	require.NoError(t, plan.Permit(parked.Permit{Grants: true, Operator: "aigerim", Second: "dana"}))
}

func TestMisplacedEventIsRedrivenToWhereItBelongs(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t)
	who := s.person(2, "astray")
	m := s.message(who, events.Withdrawn, time.Now(), "promotion")
	m.Partition = 0
	at := s.publish(m)
	s.settle()
	c := s.only()
	require.Equal(t, at, c.First)
	require.Equal(t, both, c.Held)
	plan := s.plan(false)
	s.apply(plan)
	require.NoError(t, s.desk.Await(t.Context(), plan))
	require.EqualValues(t, 2, s.redriven()[0].at.Partition)
}

func TestStructuredEventKeepsItsBytesAndItsFirstPlace(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t)
	who := s.person(0, "structured")
	s.tell(who, events.Blocked)
	body := `{ "specversion":"1.0","id":"7","source":"/crm","type":"io.kelisim.subject.erased.v1","time":"` +
		time.Now().UTC().Format(time.RFC3339) + `","datacontenttype":"application/json","subject":"` + who.Reveal() +
		`","partitionkey":"` + who.Reveal() + `","data":{"note":"{"}}`
	at := s.publish(stream.Message{
		Topic: s.topics.Events, Partition: stream.AnyPartition, Key: []byte(who.Reveal()), Value: []byte(body),
		Headers: []stream.Header{{Key: "content-type", Value: []byte("application/cloudevents+json; charset=UTF-8")}},
	})
	s.settle()
	require.Equal(t, []string{events.ReasonFrozen}, s.only().Reasons())
	s.tell(who, events.Unblocked)
	s.settle()
	plan := s.plan(false)
	s.apply(plan)
	require.NoError(t, s.desk.Await(t.Context(), plan))
	out := s.redriven()
	require.Len(t, out, 1)
	require.Contains(t, out[0].value, `{"firstposition":"`+at.String()+`","firsttime":"`)
	require.Contains(t, out[0].value, body[1:])
	require.Equal(t, parked.Skip, s.plan(false).Items[0].Step, "found by what is in its value")
}

func TestDismissalReleasesEveryServiceForGood(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t)
	who := s.person(1, "dismissed")
	s.tell(who, events.Granted, "promotion")
	m := s.message(who, events.Withdrawn, time.Now(), "promotion")
	m.Value = nil
	s.publish(m)
	s.settle()
	require.Equal(t, both, s.only().Held)

	_, err := s.desk.PlanDismissal(t.Context(), s.cases(), "")
	require.Equal(t, exit.Usage, exit.Code(err))
	dismiss := func() int {
		plan, err := s.desk.PlanDismissal(t.Context(), s.cases(), "the person was asked")
		require.NoError(t, err)
		require.NoError(t, s.desk.Dismiss(t.Context(), plan))
		return len(plan.Items)
	}
	require.Equal(t, 1, dismiss())
	c := s.only()
	require.Equal(t, parked.Closed, c.State())
	require.Empty(t, c.Held)
	require.Equal(t, "the person was asked", c.Markers[0].Reason)
	require.Equal(t, "aigerim", c.Markers[0].Operator)
	require.Zero(t, dismiss(), "nothing is left to dismiss")
	require.Equal(t, parked.Refuse, s.plan(false).Items[0].Step)

	// Who loses Redis loses the release too: the event holds again, and is open again.
	s.server.Flush(t)
	require.Eventually(t, func() bool { return len(s.only().Held) == 2 }, time.Minute, 50*time.Millisecond)
	require.Equal(t, parked.Open, s.only().State())
	require.Equal(t, 1, dismiss())
	require.Equal(t, parked.Closed, s.only().State())
}

func TestInterruptedDismissalGoesOn(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t)
	s.frozen()
	plan, err := s.desk.PlanDismissal(t.Context(), s.cases(), "closed by mistake")
	require.NoError(t, err)
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, exit.Partly, exit.Code(s.desk.Dismiss(stopped, plan)))
	require.Equal(t, parked.Open, s.only().State())
	whole := s.desk.Publisher
	s.desk.Publisher = mute{whole, s.topics.Parked}
	require.ErrorIs(t, s.desk.Dismiss(t.Context(), plan), errDown)
	require.Equal(t, both, s.only().Held, "nothing is released that is not written down")
	s.desk.Publisher = whole
	require.NoError(t, s.desk.Dismiss(t.Context(), plan))
	require.Equal(t, parked.Closed, s.only().State())
}

func TestEventOfNobodyIsListedShownAndDismissed(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t)
	const phone = "+77011234567"
	who := s.person(0, "somebody")
	m := s.message(who, events.Withdrawn, time.Now(), "promotion")
	m.Key, m.Value = []byte(phone), []byte("call "+phone)
	m.Headers = slices.DeleteFunc(m.Headers, func(h stream.Header) bool { return h.Key == "ce_subject" })
	m.Headers = append(m.Headers, stream.Header{Key: "x-note", Value: []byte(phone)})
	s.publish(m)
	s.settle()
	c := s.only()
	require.True(t, c.Subject.IsZero())
	require.Empty(t, c.Held)
	require.Equal(t, "would be parked again: "+c.Reasons()[0], s.plan(false).Items[0].Why)

	hidden, err := s.desk.Show(t.Context(), c, false)
	require.NoError(t, err)
	for _, text := range []string{text(hidden), asJSON(t, hidden), text(&parked.List{Cases: []*parked.Case{c}}), asJSON(t, &parked.List{Cases: []*parked.Case{c}})} {
		require.NotContains(t, text, phone)
		require.NotContains(t, text, who.Reveal())
		require.Contains(t, text, c.Reasons()[0])
	}
	bare, err := s.desk.Show(t.Context(), c, true)
	require.NoError(t, err)
	require.Contains(t, text(bare), "call "+phone)
	require.Equal(t, c.Reasons()[0], bare.Fault)

	plan, err := s.desk.PlanDismissal(t.Context(), s.cases(), "rubbish")
	require.NoError(t, err)
	require.NoError(t, s.desk.Dismiss(t.Context(), plan))
	require.Equal(t, parked.Closed, s.only().State())
}

func TestFilterChooses(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t)
	who, frozen := s.frozen()
	s.publish(s.message(s.person(1, "future"), events.Granted, time.Now().Add(time.Hour), "promotion"))
	s.settle()
	cases := s.cases()
	require.Len(t, cases, 2)
	now := time.Now()
	for name, f := range map[string]parked.Filter{
		"position": {Positions: []events.Position{frozen}},
		"reason":   {Reasons: []string{events.ReasonFrozen}},
		"type":     {Types: []string{events.SubjectErased.String()}},
		"subject":  {Subject: who},
		"several":  {Services: both, Sources: []string{"/web"}, States: []parked.State{parked.Open}, Reasons: []string{events.ReasonFrozen}, Since: now.Add(-time.Hour), Until: now.Add(time.Hour)},
	} {
		chosen := f.Choose(cases)
		require.Len(t, chosen, 1, name)
		require.Equal(t, frozen, chosen[0].First, name)
	}
	for name, f := range map[string]parked.Filter{
		"service": {Services: []string{"affiliate"}}, "source": {Sources: []string{"/crm"}}, "state": {States: []parked.State{parked.Closed}},
		"since": {Since: now.Add(time.Hour)}, "until": {Until: now.Add(-time.Hour)},
	} {
		require.Empty(t, f.Choose(cases), name)
	}
	list := &parked.List{Cases: cases, Now: now}
	require.Contains(t, text(list), "2 open, 0 redriven, 0 dismissed\n  open, from-the-future: 1\n  open, frozen-by-block: 1\n")
	_, err := s.desk.Find(t.Context(), cases, events.Position{Generation: 9})
	require.Error(t, err)
}

func text(r output.Result) string {
	var out bytes.Buffer
	r.Text(&out)
	return out.String()
}

func asJSON(t *testing.T, v any) string {
	out, err := json.Marshal(v)
	require.NoError(t, err)
	return string(out)
}
