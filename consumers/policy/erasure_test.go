package policy_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/internal/slots/slotstest"
	"github.com/kelisim/kelisim/consumers/policy"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
)

var erased = events.Event{Type: events.SubjectErased}

func (w *world) suppressed(t testing.TB, current, previous policy.Key, s events.Subject) bool {
	t.Helper()
	found, err := w.calendar.Suppressed(ctx(), current, previous, s)
	require.NoError(t, err)
	return found[0]
}

func TestAnErasedSubjectIsSuppressedUnderAKeyedHashThatNoImportUndoes(t *testing.T) {
	w := newWorld(t)
	s, k := slotstest.Subject(1), key(t, 1)
	w.tell(t, s, started)
	require.False(t, w.suppressed(t, k, policy.Key{}, s))
	w.tell(t, s, erased)
	require.True(t, w.suppressed(t, k, policy.Key{}, s))
	require.False(t, w.suppressed(t, key(t, 2), policy.Key{}, s), "another key finds nobody")
	noted, err := w.client.HGetAll(ctx(), w.Slot.Prefix+"suppressed").Result()
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprint(noted), s.Reveal())

	w.now = w.now.AddDate(0, 1, 0)
	for name, e := range map[string]events.Event{
		"an import":          {Type: events.Granted, Method: events.ByImport, Policy: events.SeedPolicy, Purposes: w.Rules.All()},
		"a merge":            {Type: events.AgreementStarted, Method: events.ByMerge},
		"an import's stop":   {Type: events.Withdrawn, Method: events.ByImport, Purposes: w.Rules.All()},
		"going on to use it": {Type: events.PolicyAccepted, Method: events.ContinuedUse, Policy: events.SeedPolicy},
	} {
		w.tell(t, s, e)
		require.True(t, w.suppressed(t, k, policy.Key{}, s), name)
	}
	w.tell(t, s, started)
	require.False(t, w.suppressed(t, k, policy.Key{}, s), "the person came back")
}

func TestSuppressionOutlivesARotationOfItsKey(t *testing.T) {
	w := newWorld(t)
	before, after := slotstest.Subject(1), slotstest.Subject(2)
	w.tell(t, before, erased)
	w.start(t, key(t, 2), key(t, 1))
	w.tell(t, after, erased)
	for _, s := range []events.Subject{before, after} {
		require.True(t, w.suppressed(t, key(t, 2), key(t, 1), s))
	}
	w.now = w.now.AddDate(0, 1, 0)
	w.tell(t, before, started)
	require.False(t, w.suppressed(t, key(t, 2), key(t, 1), before), "lifted under both")
	w.act(t, after) // as when the log is folded again
	require.True(t, w.suppressed(t, key(t, 2), policy.Key{}, after))
}

func TestAnErasureIsProvedAmongTheReceipts(t *testing.T) {
	w := newWorld(t)
	s := slotstest.Subject(1)
	w.tell(t, s, started)
	require.Empty(t, w.published.of("consent.receipts.v1"))
	w.tell(t, s, erased)
	w.act(t, s)
	proofs := w.published.of("consent.receipts.v1")
	require.Len(t, proofs, 2)
	require.Equal(t, header(proofs[0], "ce_id"), header(proofs[1], "ce_id"), "the second is a copy")
	require.Equal(t, policy.ProofType, header(proofs[0], "ce_type"))
	require.NotContains(t, string(proofs[0].Value)+fmt.Sprint(proofs[0].Headers), s.Reveal())
	proof, err := policy.ReadProof(proofs[0].Value)
	require.NoError(t, err)
	require.Equal(t, events.Position{Generation: 1, Offset: 2}, proof.Erased)
	require.Equal(t, key(t, 1).Hasher()(s), proof.Hash)

	first, second := w.now.Add(time.Second), w.now.Add(time.Minute)
	receipt := func(service string, partition int32, acted int64, at time.Time) consumers.Receipt {
		return consumers.Receipt{Service: service, Generation: 1, Partition: partition, Acted: acted, At: at}
	}
	removed := proof.RemovedBy([]consumers.Receipt{
		receipt("marketing", 0, 2, w.now), receipt("marketing", 0, 9, second), receipt("marketing", 0, 3, first),
		receipt("targeting", 1, 9, first), receipt("affiliate", 0, 3, second),
	})
	require.Equal(t, map[string]time.Time{"marketing": first, "affiliate": second}, removed)
}

func TestAProofThatCouldNotBePublishedIsPublishedByTheRepeat(t *testing.T) {
	w := newWorld(t)
	s := slotstest.Subject(1)
	w.fold(s, erased)
	turn := w.Decide(t, s, w.Rules.Standing(w.states[s]))
	turn.State = w.states[s]
	w.published.fails = 1
	require.ErrorIs(t, w.action.Act(ctx(), w.Slot, []consumers.Turn{turn}), errBroker)
	require.NoError(t, w.action.Act(ctx(), w.Slot, []consumers.Turn{turn}))
	require.Len(t, w.published.of("consent.receipts.v1"), 1)
}

func header(m stream.Message, name string) string {
	for _, h := range m.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}

func TestALateTurnUndoesNothing(t *testing.T) {
	w := newWorld(t)
	s := slotstest.Subject(1)
	w.fold(s, started)
	late := w.Decide(t, s, events.Standing{})
	late.State = w.states[s]
	w.tell(t, s, ended)
	require.NoError(t, w.action.Act(ctx(), w.Slot, []consumers.Turn{late}))
	require.EqualValues(t, 1, w.count(t).Retentions)
}

func TestAllKeysAreInTheSlot(t *testing.T) {
	w := newWorld(t)
	w.tell(t, slotstest.Subject(1), ended)
	w.tell(t, slotstest.Subject(2), erased)
	slotstest.RequireOneSlot(t, w.client, w.Slot.Prefix, "consent:{policy}:")
}

func TestWithoutAKeyThereIsNoService(t *testing.T) {
	_, err := policy.New(slotstest.Redis(t), policy.Config{})
	require.ErrorContains(t, err, "key")
	_, err = policy.New(slotstest.Redis(t), policy.Config{Key: key(t, 1), Previous: key(t, 1)})
	require.ErrorContains(t, err, "same")
	_, err = policy.LoadKey("/does/not/exist")
	require.Error(t, err)
	none, err := policy.LoadKey("")
	require.NoError(t, err)
	require.True(t, none.IsZero())
}
