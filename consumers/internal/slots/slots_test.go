package slots_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/internal/slots"
	"github.com/kelisim/kelisim/consumers/internal/slots/slotstest"
	"github.com/kelisim/kelisim/events"
)

func TestSlotsWithoutATagOfTheirOwnAreRefused(t *testing.T) {
	good := func(p int32) consumers.Slot { return slotstest.Slots("marketing", 4)[p] }
	for name, all := range map[string][]consumers.Slot{
		"none":         nil,
		"out of order": {good(1), good(0)},
		"no tag":       {{Prefix: "consent:marketing/1/0:"}},
		"empty tag":    {{Prefix: "consent:{}:"}},
		"open tag":     {{Prefix: "consent:{marketing"}},
		"tag twice":    {good(0), {Partition: 1, Prefix: "other:{marketing/1/0}:"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := slots.Of(all)
			require.Error(t, err)
		})
	}
}

func TestEverySubjectIsGroupedOnceAtHome(t *testing.T) {
	all, err := slots.Of(slotstest.Slots("marketing", 3))
	require.NoError(t, err)
	people := slotstest.Subjects(3 * slots.MaxSubjects)
	var seen []events.Subject
	for slot, some := range all.Group(people) {
		require.LessOrEqual(t, len(some), slots.MaxSubjects)
		for _, s := range some {
			require.Equal(t, events.PartitionOf(s.Reveal(), 3), slot.Partition)
		}
		seen = append(seen, some...)
	}
	require.ElementsMatch(t, people, seen)
}

func TestNewestTurnOfEachSubjectStays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		turns := rapid.SliceOf(rapid.Custom(func(t *rapid.T) consumers.Turn {
			return consumers.Turn{
				Subject: slotstest.Subject(rapid.IntRange(0, 3).Draw(t, "subject")),
				Version: events.Version{
					Generation: uint32(rapid.IntRange(1, 2).Draw(t, "generation")),
					Offset:     int64(rapid.IntRange(0, 5).Draw(t, "offset")),
				},
			}
		})).Draw(t, "turns")
		want := make(map[events.Subject]events.Version)
		for _, turn := range turns {
			v, seen := want[turn.Subject]
			if !seen || turn.Version.Generation > v.Generation || turn.Version.Generation == v.Generation && turn.Version.Offset > v.Offset {
				want[turn.Subject] = turn.Version
			}
		}
		got := make(map[events.Subject]events.Version)
		for _, turn := range slots.Newest(turns) {
			require.NotContains(t, got, turn.Subject)
			got[turn.Subject] = turn.Version
		}
		require.Equal(t, want, got)
	})
}

func TestNobodyActsOnACanary(t *testing.T) {
	canary, err := events.ParseSubject(events.CanaryPrefix + "home-1")
	require.NoError(t, err)
	person := consumers.Turn{Subject: slotstest.Subject(1)}
	require.Equal(t, []consumers.Turn{person}, slots.Newest([]consumers.Turn{{Subject: canary}, person}))
}

func TestMoreWorkPerTurnMakesSmallerScripts(t *testing.T) {
	turns := make([]consumers.Turn, 2000)
	last := len(turns) + 1
	for _, members := range []int{0, 20, 1000, 1_000_000} {
		largest, total := 0, 0
		for chunk := range slots.Chunks(turns, members) {
			largest, total = max(largest, len(chunk)), total+len(chunk)
		}
		require.Equal(t, len(turns), total)
		require.Less(t, largest, last)
		require.LessOrEqual(t, largest, slots.MaxSubjects)
		last = largest
	}
	require.Equal(t, 1, last)
}

func TestStoppedIsSpelledBeforeAllowed(t *testing.T) {
	rules := events.SeedRules()
	signs, err := slots.SignsOf(rules, []events.Purpose{"promotion", "contests", "surveys", "research"})
	require.NoError(t, err)
	set := func(names ...events.Purpose) events.PurposeSet {
		s, err := rules.Set(names...)
		require.NoError(t, err)
		return s
	}
	require.Equal(t, "+--.", signs.Spell(events.Standing{
		Allowed: set("promotion", "surveys", "service"), Stopped: set("contests", "surveys"),
	}))
	_, err = slots.SignsOf(rules, []events.Purpose{"telepathy"})
	require.Error(t, err)
}

func TestALineOfSomePurposesKeepsTheirSignsAndOrder(t *testing.T) {
	line, err := slots.LineOf(events.SeedRules(), []events.Purpose{"partner-contracts", "contractors", "cross-border"})
	require.NoError(t, err)
	some := line.Of("contractors", "telepathy", "", "partner-contracts")
	require.Equal(t, slots.Line{Purposes: []events.Purpose{"contractors", "partner-contracts"}, Signs: slots.Signs{7, 2}}, some)
	require.Equal(t, "contractors partner-contracts", some.Names())
	require.Empty(t, line.Of("telepathy").Names())
}

func TestNamesThatWouldBreakAKeyAreRefused(t *testing.T) {
	for _, name := range []string{"spring-sale", "a", "2026.q1_b"} {
		require.True(t, slots.IsName(name), name)
	}
	long := make([]byte, 65)
	for i := range long {
		long[i] = 'a'
	}
	for _, name := range []string{"", "Sale", "a b", "a:b", "{a}", string(long)} {
		require.False(t, slots.IsName(name), name)
	}
}

func TestGoodSubjectsOfABadReplyAreKept(t *testing.T) {
	got, err := slots.Subjects([]any{"person-1", "+7 701", int64(3), "person-2"})
	require.ErrorIs(t, err, events.ErrSubject)
	require.NotContains(t, err.Error(), "701")
	require.Equal(t, []events.Subject{slotstest.Subject(1), slotstest.Subject(2)}, got)
	_, err = slots.Flags([]any{int64(2)}, 1)
	require.Error(t, err)
	_, err = slots.Flags([]any{int64(1)}, 2)
	require.Error(t, err)
}
