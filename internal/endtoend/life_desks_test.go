package endtoend

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/affiliate"
	"github.com/kelisim/kelisim/consumers/marketing"
	"github.com/kelisim/kelisim/consumers/policy"
	"github.com/kelisim/kelisim/consumers/targeting"
	"github.com/kelisim/kelisim/events/stream"
)

// desks are the teams' sides of the services.
type desks struct {
	marketing *marketing.Desk
	targeting *targeting.Desk
	affiliate *affiliate.Desk
	calendar  *policy.Calendar
}

func (w *life) desks(t *testing.T) (d desks) {
	t.Helper()
	slots, err := marketing.Slots(t.Context(), w.client)
	require.NoError(t, err)
	d.marketing, err = marketing.Open(w.client, slots)
	require.NoError(t, err)
	slots, err = targeting.Slots(t.Context(), w.client)
	require.NoError(t, err)
	d.targeting, err = targeting.Open(w.client, slots)
	require.NoError(t, err)
	slots, err = affiliate.Slots(t.Context(), w.client)
	require.NoError(t, err)
	d.affiliate, err = affiliate.Open(w.client, slots, w.partners)
	require.NoError(t, err)
	slots, err = policy.Slots(t.Context(), w.client)
	require.NoError(t, err)
	d.calendar, err = policy.Open(w.client, slots)
	require.NoError(t, err)
	return d
}

// learn has the teams do what the person agreed to: a campaign, a profile.
func (w *life) learn(t *testing.T) {
	t.Helper()
	d := w.desks(t)
	require.NoError(t, d.marketing.Register(t.Context(), "spring-sale", "promotion"))
	require.Eventually(t, func() bool {
		admitted, err := d.marketing.Admit(t.Context(), "spring-sale", w.person)
		return err == nil && admitted.Added == 1
	}, patient, breath)
	require.Eventually(t, func() bool {
		learned, err := d.targeting.Learn(t.Context(), "personalisation", w.person, map[string]string{"genre": "drama"})
		return err == nil && learned
	}, patient, breath)
}

// shares holds to whom data of the person is given: a guard that allows the purpose
// and the border, and a pseudonym that is not closed.
func (w *life) shares(t *testing.T, want map[string]bool) {
	t.Helper()
	d := w.desks(t)
	g := w.guards[affiliate.Name]
	for i := range w.partners {
		p := &w.partners[i]
		require.Eventually(t, func() bool {
			shares, err := d.affiliate.Share(t.Context(), p.ID, "contractors", w.person)
			allowed := g.Check(t.Context(), w.person, "contractors").Allowed && g.Check(t.Context(), w.person, p.Border).Allowed
			return err == nil && want[p.ID] == (allowed && shares[0].Pseudonym != "")
		}, patient, breath, "partner %s", p.ID)
	}
}

// forgotten holds every service to having forgotten the person, and to what keeps
// the person forgotten.
func (w *life) forgotten(t *testing.T) {
	t.Helper()
	d := w.desks(t)
	w.shares(t, nil)
	require.Eventually(t, func() bool {
		member, err := d.marketing.Member(t.Context(), "spring-sale", w.person)
		return err == nil && member == marketing.Membership{Suppressed: true}
	}, patient, breath)
	require.Eventually(t, func() bool {
		profile, err := d.targeting.Profile(t.Context(), "personalisation", w.person)
		return err == nil && !profile.Personal && len(profile.Features) == 0
	}, patient, breath)
	suppressed, err := d.calendar.Suppressed(t.Context(), w.key(), policy.Key{}, w.person)
	require.NoError(t, err)
	require.True(t, suppressed[0])
	keys, err := w.client.Keys(t.Context(), "*features*"+w.person.Reveal()+"*").Result()
	require.NoError(t, err)
	require.Empty(t, keys)

	require.Eventually(t, func() bool { // receipts come a moment later
		proof, receipts := w.proved(t)
		return proof.Hash == w.key().Hasher()(w.person) && len(proof.RemovedBy(receipts)) == len(w.services)
	}, patient, breath, "a proof, and a receipt of every service that covers the erasure")
}

// proved reads the receipts.
func (w *life) proved(t *testing.T) (proof policy.Proof, receipts []consumers.Receipt) {
	t.Helper()
	w.eachOf(t, w.topics.Receipts, func(kind string, value []byte) {
		switch kind {
		case policy.ProofType:
			var err error
			proof, err = policy.ReadProof(value)
			require.NoError(t, err)
		case consumers.ReceiptType:
			var r consumers.Receipt
			require.NoError(t, json.Unmarshal(value, &r))
			receipts = append(receipts, r)
		}
	})
	return proof, receipts
}

// eachOf calls each with type and value of every record of a topic.
func (w *life) eachOf(t *testing.T, topic string, each func(kind string, value []byte)) {
	t.Helper()
	readAll(t, w.broker, topic, func(r *stream.Record) {
		kind := ""
		for key, value := range r.Headers.All() {
			if string(key) == "ce_type" {
				kind = string(value)
			}
		}
		each(kind, r.Value)
	})
}
