package affiliate_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers/affiliate"
	"github.com/kelisim/kelisim/consumers/internal/slots"
	"github.com/kelisim/kelisim/consumers/internal/slots/slotstest"
)

func TestDoubtSharesNothingUntilTheActionIsDone(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	s := slotstest.Subject(1)
	w.refuses(t, s)
	require.Equal(t, affiliate.Share{Subject: s, Doubted: true}, w.share(t, "home", "contractors", s))
	w.Drain(t, w.action)
	require.Equal(t, affiliate.Share{Subject: s, Closed: true}, w.share(t, "home", "contractors", s))
	require.NoError(t, w.client.HSet(ctx(), w.Slot.Prefix+"held", s.Reveal(), "1/0@7").Err())
	require.Equal(t, affiliate.Share{Subject: s, Closed: true, Doubted: true}, w.share(t, "home", "contractors", s))
}

func TestSharesComeInTheOrderOfTheirSubjects(t *testing.T) {
	client := slotstest.Redis(t)
	partners := []affiliate.Partner{{ID: "home", Country: "KZ", Purposes: affiliate.Purposes()[:1], Current: key(t, 1)}}
	desk, err := affiliate.Open(client, slotstest.Slots(affiliate.Name, 4), partners)
	require.NoError(t, err)
	people := slotstest.Subjects(2*slots.MaxSubjects + 3)
	shares, err := desk.Share(ctx(), "home", "partner-contracts", people...)
	require.NoError(t, err)
	for i, share := range shares {
		require.Equal(t, affiliate.Share{Subject: people[i], Pseudonym: partners[0].Current.Pseudonym(people[i])}, share)
	}
}

func TestNothingIsSharedOutsideThePartnersPurposes(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	_, err := w.desk.Share(ctx(), "nobody", "contractors", slotstest.Subject(1))
	require.ErrorIs(t, err, affiliate.ErrPartner)
	_, err = w.desk.Share(ctx(), "abroad", "partner-contracts", slotstest.Subject(1))
	require.ErrorIs(t, err, affiliate.ErrPurpose)
}

func TestStopReachesBothKeysOfARotation(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	s := slotstest.Subject(1)
	old := w.partners[0].Current
	w.rotate(t, 0, 9)
	w.refuses(t, s)
	w.Drain(t, w.action)
	stops := w.due(t, "home")
	require.Len(t, stops, 1)
	require.Equal(t, []affiliate.Pseudonym{w.partners[0].Current.Pseudonym(s), old.Pseudonym(s)}, stops[0].Pseudonyms)
	for _, pseudonym := range stops[0].Pseudonyms {
		require.True(t, w.client.SIsMember(ctx(), w.Slot.Prefix+"closed:home:contractors", string(pseudonym)).Val())
	}
	w.agrees(t, s)
	w.Drain(t, w.action)
	require.Zero(t, w.client.SCard(ctx(), w.Slot.Prefix+"closed:home:contractors").Val())
}

func TestWhoWasClosedBeforeARotationStaysClosedAndIsNotToldTwice(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	s := slotstest.Subject(1)
	w.refuses(t, s)
	w.Drain(t, w.action)
	w.rotate(t, 0, 9)
	require.True(t, w.share(t, "home", "contractors", s).Closed, "by its pseudonym under the old key")

	w.refuses(t, s) // as the rebuild does that precedes dropping the old key
	w.Drain(t, w.action)
	w.rotate(t, 0, 10)
	require.True(t, w.share(t, "home", "contractors", s).Closed, "the first key is gone, the second was closed")
	require.Len(t, w.due(t, "home"), 1)
}
