package targeting_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers/internal/slots/slotstest"
	"github.com/kelisim/kelisim/consumers/targeting"
	"github.com/kelisim/kelisim/events"
)

func TestNothingIsLearnedOfASubjectOnTheDefault(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	said, silent := slotstest.Subject(1), slotstest.Subject(2)
	w.refuses(t, said)
	w.Drain(t, w.action)
	got, err := w.desk.Join(ctx(), "night-owls", said, silent)
	require.NoError(t, err)
	require.Equal(t, targeting.Joining{Joined: 1, Defaulted: 1}, got)
	learned, err := w.desk.Learn(ctx(), "personalisation", said, map[string]string{"seen": "1"})
	require.NoError(t, err)
	require.False(t, learned)
	require.False(t, w.knows(t, "personalisation", said))
}

func TestDoubtMeansTheDefaultUntilTheActionIsDone(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	s := slotstest.Subject(1)
	w.know(t, s)
	w.refuses(t, s)
	require.True(t, w.knows(t, "personalisation", s), "not acted on yet")
	require.Equal(t, targeting.Profile{Doubted: true, Features: map[string]string{}}, w.profile(t, "personalisation", s))
	m, err := w.desk.Member(ctx(), "night-owls", s)
	require.NoError(t, err)
	require.Equal(t, targeting.Membership{In: true, Doubted: true}, m)
	got, err := w.desk.Join(ctx(), "car-buyers", s)
	require.NoError(t, err)
	require.Equal(t, targeting.Joining{Doubted: 1}, got)
	learned, err := w.desk.Learn(ctx(), "personalisation", s, map[string]string{"seen": "1"})
	require.NoError(t, err)
	require.False(t, learned)
	key := w.Slot.Prefix + "features:personalisation:" + s.Reveal()
	require.Equal(t, "42", w.client.HGet(ctx(), key, "seen").Val(), "as before")

	w.Drain(t, w.action)
	require.Equal(t, targeting.Profile{Defaulted: true, Features: map[string]string{}}, w.profile(t, "personalisation", s))
}

func TestHeldSubjectGetsTheDefault(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	s := slotstest.Subject(1)
	w.know(t, s)
	require.NoError(t, w.client.HSet(ctx(), w.Slot.Prefix+"held", s.Reveal(), "1/0@7").Err())
	require.False(t, w.profile(t, "personalisation", s).Personal)
	require.NoError(t, w.client.HSet(ctx(), w.Slot.Prefix+"held", s.Reveal(), "-1/0@7").Err())
	require.True(t, w.profile(t, "personalisation", s).Personal)
}

func TestUnknownProfileIsPersonalAndEmpty(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	require.Equal(t, targeting.Profile{Personal: true, Features: map[string]string{}}, w.profile(t, "targeted-ads", slotstest.Subject(9)))
	require.False(t, targeting.Profile{}.Personal)
}

func TestOtherServicesPurposesAreRefused(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	require.Error(t, w.desk.Register(ctx(), "sale", "promotion"))
	_, err := w.desk.Learn(ctx(), "promotion", slotstest.Subject(1), map[string]string{"a": "b"})
	require.Error(t, err)
	_, err = w.desk.Profile(ctx(), "promotion", slotstest.Subject(1))
	require.Error(t, err)
}

func TestFeaturesAreBounded(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	many := make(map[string]string)
	for i := range targeting.MaxFeatures {
		many[fmt.Sprint("f", i)] = "v"
	}
	learned, err := w.desk.Learn(ctx(), "personalisation", slotstest.Subject(1), many)
	require.NoError(t, err)
	require.True(t, learned)
	require.Equal(t, many, w.profile(t, "personalisation", slotstest.Subject(1)).Features)
	many["one more"] = "v"
	_, err = w.desk.Learn(ctx(), "personalisation", slotstest.Subject(1), many)
	require.Error(t, err)
	_, err = w.desk.Learn(ctx(), "personalisation", slotstest.Subject(1), nil)
	require.Error(t, err)
}

func TestSegmentKeepsItsPurpose(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	require.NoError(t, w.desk.Register(ctx(), "car-buyers", "targeted-ads"))
	require.ErrorIs(t, w.desk.Register(ctx(), "car-buyers", "new-services"), targeting.ErrPurpose)
	require.Error(t, w.desk.Register(ctx(), "Car Buyers", "targeted-ads"))
	got, err := w.desk.Segments(ctx())
	require.NoError(t, err)
	require.Equal(t, segments, got)
}

func TestUnregisteredSegmentTakesNobody(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	w.know(t, slotstest.Subject(1))
	require.NoError(t, w.desk.Remove(ctx(), "car-buyers"))
	_, err := w.desk.Join(ctx(), "car-buyers", slotstest.Subject(1))
	require.ErrorIs(t, err, targeting.ErrSegment)
	require.Zero(t, w.client.Exists(ctx(), w.Slot.Prefix+"segment:car-buyers").Val())
}

func TestSegmentsAreBounded(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	for n := len(segments); n < targeting.MaxSegments; n++ {
		require.NoError(t, w.client.HSet(ctx(), w.Slot.Prefix+"segments", fmt.Sprint("s-", n), "targeted-ads").Err())
	}
	require.ErrorIs(t, w.desk.Register(ctx(), "one-more", "targeted-ads"), targeting.ErrFull)
}

func TestMembersSpreadOverTheSlotsOfTheirPartitions(t *testing.T) {
	client := slotstest.Redis(t)
	all := slotstest.Slots(targeting.Name, 4)
	desk, err := targeting.Open(client, all)
	require.NoError(t, err)
	require.NoError(t, desk.Register(ctx(), "night-owls", "personalisation"))
	people := slotstest.Subjects(100)
	_, err = desk.Join(ctx(), "night-owls", people...)
	require.NoError(t, err)
	for _, s := range people {
		key := all[events.PartitionOf(s.Reveal(), 4)].Prefix + "segment:night-owls"
		require.True(t, client.SIsMember(ctx(), key, s.Reveal()).Val())
	}
}
