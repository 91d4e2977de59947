package events

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fold applies the events in order and returns the last outcome.
func fold(r *Rules, s State, log ...*Event) (State, Outcome) {
	var out Outcome
	for _, e := range log {
		s, out = r.Apply(s, e)
	}
	return s, out
}

// redriven returns e as it stands after a redrive: elsewhere and later, with
// the place it first had.
func redriven(e *Event, offset int64, appended Millis) *Event {
	again := *e
	again.First = e.Logged
	again.Logged = Stamp{Position{e.Logged.Position.Generation, e.Logged.Position.Partition, offset}, appended}
	return &again
}

// copied returns a late copy of e.
func copied(e *Event, offset int64, appended Millis) *Event {
	again := *e
	again.Logged = Stamp{Position{e.Logged.Position.Generation, e.Logged.Position.Partition, offset}, appended}
	return &again
}

var promotion = SetOf(4)

// An open gate without any restriction must not wipe out what an erasure joins.
func TestErasureKeepsWhatWasWithdrawnBeforeIt(t *testing.T) {
	r := SeedRules()
	grant := told(Granted, "web", "g", promotion, 5, 70_000, 70_001)
	erasure := told(SubjectErased, "web", "e", 0, 3, 1_000, 1_001)
	s, _ := fold(r, State{},
		told(AgreementStarted, "shop", "a", 0, 4, 60_000, 60_001),
		told(Withdrawn, "web", "w", promotion, 6, 75_000, 75_001),
		redriven(erasure, 7, 90_000),
		redriven(grant, 8, 91_000))
	require.False(t, r.Decide(s, "promotion").Allowed, "granted before it was withdrawn")
}

func TestErasureLeavesNothingAllowedUntilNewlyGranted(t *testing.T) {
	r := SeedRules()
	s, _ := fold(r, State{},
		told(AgreementStarted, "web", "1", 0, 0, 1_000, 1_001),
		told(Granted, "web", "2", r.All(), 1, 2_000, 2_001),
		told(SubjectErased, "web", "3", 0, 2, 3_000, 3_001))
	require.Equal(t, Standing{Stopped: r.All()}, r.Standing(s))
	require.Equal(t, Answer{Reason: ByErasure, Basis: Law, By: Version{1, 0, 2}}, r.Decide(s, "legal"))

	s, _ = r.Apply(s, told(Granted, "web", "4", promotion, 3, 4_000, 4_001))
	require.Equal(t, promotion|SetOf(3), r.Standing(s).Allowed, "known again: the law asks no consent")
	s, _ = r.Apply(s, told(Withdrawn, "web", "5", promotion, 4, 5_000, 5_001))
	require.Equal(t, SetOf(3), r.Standing(s).Allowed, "a withdrawal does not stop the law")
}

var partners = SetOf(2)

// A request restricts also a grant that comes soon after it. When it is refused,
// that grant stands, and so its copy has nothing left to open.
func TestRefusalLiftsWhatItsRequestHeldBack(t *testing.T) {
	r := SeedRules()
	request := told(WithdrawalRequested, "web", "r", partners, 0, 1_000, 1_001)
	grant := told(Granted, "shop", "g", partners, 1, 1_200, 1_201)
	refusal := told(WithdrawalRefused, "desk", "f", partners, 2, 9_000, 9_001)
	refusal.Request = Ref{"web", "r"}

	s, out := fold(r, State{}, request, grant)
	require.Equal(t, Superseded, out.Verdict)
	require.Equal(t, ByRequest, r.Decide(s, "partner-contracts").Reason)
	s, _ = r.Apply(s, refusal)
	require.Equal(t, Answer{Allowed: true, Reason: ByGrant, Basis: Consent, By: Version{1, 0, 1}}, r.Decide(s, "partner-contracts"))
	again, out := r.Apply(s, copied(grant, 3, 20_000))
	require.Equal(t, Duplicate, out.Verdict)
	require.Equal(t, s, again)

	s, _ = fold(r, State{}, request, grant, told(Withdrawn, "desk", "w", partners, 2, 5_000, 5_001), copied(refusal, 3, 9_001))
	require.Equal(t, ByWithdrawal, r.Decide(s, "partner-contracts").Reason, "no refusal lifts a withdrawal")
}

// A request is accepted by the withdrawal itself: before or after it, first seen or
// redriven, its refusal then lifts nothing.
func TestAWithdrawalMakesARequestFinal(t *testing.T) {
	r := SeedRules()
	grant := told(Granted, "web", "g", partners, 0, 1_000, 1_001)
	request := told(WithdrawalRequested, "web", "r", partners, 1, 2_000, 2_001)
	refusal := func(offset int64) *Event {
		e := told(WithdrawalRefused, "desk", "f", partners, offset, 9_000, 9_001)
		e.Request = Ref{"web", "r"}
		return e
	}
	accepted := func(offset int64) *Event { return told(Withdrawn, "desk", "w", partners, offset, 5_000, 5_001) }
	for name, story := range map[string][]*Event{
		"accepted, and refused after that": {grant, request, accepted(2), refusal(3)},
		"refused, and accepted after that": {grant, request, refusal(2), accepted(3)},
		"accepted before the request came": {grant, accepted(1), told(WithdrawalRequested, "web", "r", partners, 2, 2_000, 6_001), refusal(3)},
		"and the refusal redriven":         {grant, request, accepted(2), refusal(3), redriven(refusal(1), 4, 20_000)},
		"and the request redriven":         {grant, accepted(1), refusal(2), redriven(request, 3, 20_000)},
	} {
		s, _ := fold(r, State{}, story...)
		require.False(t, r.Decide(s, "partner-contracts").Allowed, name)
	}
}

func TestRefusalRedrivenAfterItsRequestLiftsIt(t *testing.T) {
	r := SeedRules()
	refusal := told(WithdrawalRefused, "desk", "f", partners, 1, 9_000, 9_001)
	refusal.Request = Ref{"web", "r"}
	s, out := fold(r, State{},
		told(Granted, "web", "g", partners, 0, 1_000, 1_001),
		refusal,
		told(WithdrawalRequested, "web", "r", partners, 2, 8_000, 9_500))
	require.Equal(t, Applied, out.Verdict)
	require.Equal(t, ByRequest, r.Decide(s, "partner-contracts").Reason)
	s, _ = r.Apply(s, redriven(refusal, 3, 20_000))
	require.True(t, r.Decide(s, "partner-contracts").Allowed)
}

func TestCopyOfUnblockDoesNotLiftALaterBlock(t *testing.T) {
	r := SeedRules()
	unblock := told(Unblocked, "desk", "u", 0, 1, 5_000, 5_001)
	s, _ := fold(r, State{},
		told(Granted, "web", "g", promotion, 0, 1_000, 1_001),
		unblock,
		told(Blocked, "desk", "b", 0, 2, 4_000, 6_000),
		copied(unblock, 3, 9_000))
	require.Equal(t, ByBlock, r.Decide(s, "promotion").Reason)
	s, _ = r.Apply(s, told(Unblocked, "desk", "u2", 0, 4, 10_000, 10_001))
	require.True(t, r.Decide(s, "promotion").Allowed)
}

func TestUnblockNeedsTwoKeys(t *testing.T) {
	r := SeedRules()
	blocked, _ := fold(r, State{},
		told(Granted, "web", "g", promotion, 0, 1_000, 1_001),
		told(Blocked, "desk", "b", promotion, 5, 5_000, 5_001))
	for name, unblock := range map[string]*Event{
		"decided before it":           told(Unblocked, "desk", "u", promotion, 6, 4_999, 6_000),
		"within the uncertainty":      told(Unblocked, "web", "u", promotion, 6, 5_400, 5_401),
		"before it in the log":        redriven(told(Unblocked, "desk", "u", promotion, 4, 5_400, 5_000), 6, 9_000),
		"of all, when one is blocked": told(Unblocked, "desk", "u", 0, 6, 9_000, 9_001),
	} {
		s, _ := r.Apply(blocked, unblock)
		require.Equal(t, ByBlock, r.Decide(s, "promotion").Reason, name)
	}
	s, _ := r.Apply(blocked, told(Unblocked, "web", "u", promotion, 6, 5_502, 5_503))
	require.True(t, r.Decide(s, "promotion").Allowed)
}

func TestCopyOfErasureDoesNotHoldABlockedSubject(t *testing.T) {
	r := SeedRules()
	erasure := told(SubjectErased, "desk", "e", 0, 0, 1_000, 1_001)
	s, _ := fold(r, State{}, erasure, told(Blocked, "desk", "b", 0, 1, 2_000, 2_001))
	_, out := r.Apply(s, copied(erasure, 2, 3_000))
	require.Equal(t, Duplicate, out.Verdict)
	_, out = r.Apply(s, told(SubjectErased, "desk", "e2", 0, 2, 3_000, 3_001))
	require.Equal(t, Outcome{Verdict: Park, Reason: ReasonFrozen}, out)
}

// What an unreadable or endless text could do to a state must not happen: a
// state that cannot be read back would forget its withdrawals.
func TestOddTextsAndTimesKeepTheStateReadable(t *testing.T) {
	r := SeedRules()
	closed, _ := fold(r, State{},
		told(Granted, "web", "g", promotion, 0, 1_000, 1_001),
		told(Withdrawn, "web", "w", promotion, 1, 2_000, 2_001))
	odd := map[string]*Event{
		"long policy version":   told(PolicyAccepted, "web", "p", 0, 2, 3_000, 3_001),
		"granted before 1970":   told(Granted, "web", "o", SetOf(11), 2, -62_135_596_800_000, 3_001),
		"withdrawn in 9999":     told(Withdrawn, "web", "o", promotion, 2, 253_402_300_799_999, 3_001),
		"withdrawn before 1970": told(Withdrawn, "web", "o", promotion, 2, -62_135_596_800_000, 3_001),
		"erased before 1970":    told(SubjectErased, "web", "o", 0, 2, -62_135_596_800_000, 3_001),
		"no append time":        told(Withdrawn, "web", "o", promotion, 2, 3_000, -1),
	}
	odd["long policy version"].Policy = PolicyVersion(strings.Repeat("9", 100))
	for name, e := range odd {
		s, _ := r.Apply(closed, e)
		back, err := ParseState(s.Bytes())
		require.NoError(t, err, name)
		require.Equal(t, s, back, name)
		s, _ = r.Apply(s, copied(told(Granted, "web", "g", promotion, 0, 1_000, 1_001), 3, 9_000))
		require.False(t, r.Decide(s, "promotion").Allowed, name)
		s, _ = r.Apply(s, told(Granted, "web", "later", SetOf(11), 4, 10_000, 10_001))
		s, _ = r.Apply(s, told(Withdrawn, "web", "latest", SetOf(11), 5, 11_000, 11_001))
		s, _ = r.Apply(s, told(Granted, "web", "last", SetOf(11), 6, 12_000, 12_001))
		require.True(t, r.Decide(s, "research").Allowed, "%s: nothing is closed for good", name)
	}
}

// A withdrawal by a clock that runs ahead closes at once, and keeps closed what
// the same clock had stamped before it. It does not close for ever.
func TestWithdrawalFromTheFutureClosesForMinutesNotForYears(t *testing.T) {
	r := SeedRules()
	early := told(Granted, "web", "g", promotion, 2, 19_000, 30_000) // ten seconds ahead, and delayed
	s, out := r.Apply(State{}, told(Withdrawn, "web", "w", promotion, 1, 20_000, 10_000))
	require.Equal(t, AlarmFutureStop, out.Alarm)
	s, _ = r.Apply(s, early)
	require.False(t, r.Decide(s, "promotion").Allowed, "decided before it, by the same clock")

	const year9999, at = 253_402_300_799_999, 1_000_000
	s, _ = r.Apply(s, told(Withdrawn, "web", "w2", promotion, 3, year9999, at))
	require.Equal(t, ByWithdrawal, r.Decide(s, "promotion").Reason)
	soon, _ := r.Apply(s, told(Granted, "shop", "g2", promotion, 4, at+maxAhead, at+maxAhead+1))
	require.False(t, r.Decide(soon, "promotion").Allowed)
	for _, source := range []string{"web", "shop"} {
		later, _ := r.Apply(s, told(Granted, source, "g3", promotion, 5, at+maxAhead+501, at+maxAhead+502))
		require.True(t, r.Decide(later, "promotion").Allowed, source)
	}
}

func TestPermissionFromTheFutureIsParked(t *testing.T) {
	r := SeedRules()
	for _, typ := range []Type{Granted, Unblocked, AgreementStarted, PolicyAccepted} {
		e := told(typ, "web", "g", promotion, 0, 1_000+r.Uncertainty()+1, 1_000)
		e.Policy = "2"
		s, out := r.Apply(State{}, e)
		require.Equal(t, Outcome{Verdict: Park, Reason: ReasonFuture}, out, typ)
		require.True(t, s.IsZero())
		e.Decided--
		_, out = r.Apply(State{}, e)
		require.Equal(t, Applied, out.Verdict, typ)
	}
}

func TestIDUsedAgainForAnotherMomentStillCloses(t *testing.T) {
	r := SeedRules()
	withdrawal := told(Withdrawn, "web", "form-7", promotion, 1, 2_000, 2_001)
	s, _ := fold(r, State{},
		told(Granted, "web", "form-7", promotion, 0, 1_000, 1_001),
		withdrawal,
		told(Granted, "web", "form-7", promotion, 2, 3_000, 3_001))
	require.True(t, r.Decide(s, "promotion").Allowed)
	_, out := r.Apply(s, copied(withdrawal, 3, 4_001))
	require.Equal(t, Duplicate, out.Verdict)
	s, _ = r.Apply(s, told(Withdrawn, "web", "form-7", promotion, 3, 4_000, 4_001))
	require.False(t, r.Decide(s, "promotion").Allowed)
}

// More sources than a state can name: those beyond count as mixed, which only
// ever denies more.
func TestMoreSourcesThanAStateCanNameDenyRatherThanForget(t *testing.T) {
	var file strings.Builder
	file.WriteString(`{"clockUncertaintyMs": 500, "purposes": [`)
	for c := range MaxPurposes {
		fmt.Fprintf(&file, `{"code": %d, "name": "p%d", "clause": "1", "basis": "consent", "withdrawable": "yes"},`, c, c)
	}
	r, err := ParseRules([]byte(strings.TrimSuffix(file.String(), ",") + "]}"))
	require.NoError(t, err)
	r, err = r.Covering(map[PolicyVersion]PurposeSet{SeedPolicy: r.All()})
	require.NoError(t, err)
	var s State
	at, offset := Millis(1_000), int64(0)
	say := func(typ Type, c Code) *Event {
		at, offset = at+1_000, offset+1
		e := told(typ, fmt.Sprint(typ, c), "1", SetOf(c), offset, at, at+1)
		var out Outcome
		s, out = r.Apply(s, e)
		require.Equal(t, Applied, out.Verdict)
		back, err := ParseState(s.Bytes())
		require.NoError(t, err)
		require.Equal(t, s, back)
		return e
	}
	var grants []*Event
	for c := range Code(MaxPurposes) {
		grants = append(grants, say(Granted, c))
	}
	require.Equal(t, r.All(), r.Standing(s).Allowed)
	for c := range Code(MaxPurposes) {
		say(Withdrawn, c)
	}
	for _, e := range grants {
		offset++
		s, _ = r.Apply(s, copied(e, offset, at+10_000))
	}
	require.Zero(t, r.Standing(s).Allowed)
	for c := range Code(MaxPurposes) {
		say(Granted, c)
	}
	require.Equal(t, r.All(), r.Standing(s).Allowed)
}

// A damaged state must be refused or fold on; it must never panic a consumer.
func TestDamagedStateIsRefusedOrFoldsOn(t *testing.T) {
	r := SeedRules()
	refusable := told(WithdrawalRequested, "web", "r", partners, 1, 2_000, 2_001)
	accepted := told(PolicyAccepted, "web", "p", 0, 2, 3_000, 3_001)
	accepted.Policy = "2"
	whole, _ := fold(r, State{}, told(Granted, "web", "g", partners|promotion, 0, 1_000, 1_001), refusable, accepted,
		told(Withdrawn, "desk", "w", promotion, 3, 4_000, 4_001), told(Granted, "web", "g2", promotion, 4, 5_000, 5_001),
		told(Withdrawn, "desk", "w2", promotion, 5, 6_000, 6_001))
	next := []*Event{
		told(Granted, "web", "g3", partners|promotion, 1<<40, 9_000, 9_001),
		told(Blocked, "web", "b", 0, 1<<40, 9_000, 9_001),
	}
	try := func(bytes []byte) {
		s, err := ParseState(bytes)
		if err != nil {
			require.Zero(t, r.Standing(s).Allowed)
			return
		}
		for _, e := range next {
			after, out := r.Apply(s, e)
			if out.Changed {
				_, err = ParseState(after.Bytes())
				require.NoError(t, err)
			}
		}
	}
	good := whole.Bytes()
	for i := range good {
		try(good[:i])
		for _, b := range []byte{0, 1, 0x7f, 0x80, 0xff, good[i] ^ 1, good[i] ^ 0x40} {
			for width := range min(9, len(good)-i) { // 8 in a row wipe out an id
				bad := append([]byte{}, good...)
				for j := range width + 1 {
					bad[i+j] = b
				}
				try(bad)
			}
		}
	}
}
