package cache_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/cache/cachetest"
	"github.com/kelisim/kelisim/internal/testenv"
)

// mending is an owner of forty granted subjects, and a mender beside it.
type mending struct {
	*owner
	server *testenv.RedisServer
	mender *cache.Mender
}

func newMending(t *testing.T) *mending {
	server := testenv.Redis(t)
	client := connect(t, server.Addr())
	o := own(t, open(t, client), 40)
	o.grow(events.Granted)
	o.catchUp()
	mender, err := cache.OpenMender(t.Context(), client, "marketing", silent())
	require.NoError(t, err)
	require.Equal(t, cachetest.Layout(), mender.Layout())
	return &mending{o, server, mender}
}

// spoil overwrites the stored state of a subject, or deletes it.
func (m *mending) spoil(i int, with string) {
	client, s := m.server.Client(m.t), m.log.Subjects[i]
	for _, key := range client.Keys(m.t.Context(), cachetest.Layout().Prefix(partition)+"s:*").Val() {
		for field, value := range client.HGetAll(m.t.Context(), key).Val() {
			if value != m.states[s].Encoded() {
				continue
			}
			if with == "" {
				require.NoError(m.t, client.HDel(m.t.Context(), key, field).Err())
			} else {
				require.NoError(m.t, client.HSet(m.t.Context(), key, field, with).Err())
			}
			return
		}
	}
	require.Fail(m.t, "no such state")
}

func (m *mending) look() cache.Sight {
	sight, err := m.mender.Look(m.t.Context(), partition, m.log.Subjects)
	require.NoError(m.t, err)
	return sight
}

// mends are what the look asks for.
func (m *mending) mends(sight cache.Sight, act bool) (mends []cache.Mend) {
	for i, s := range m.log.Subjects {
		if sight.States[i] != m.states[s].Encoded() {
			mends = append(mends, cache.Mend{Subject: s, Stored: sight.States[i], Right: m.states[s], Act: act})
		}
	}
	return mends
}

func TestMendPutsBackWhatWasLostAndMakesTheOwnerReadAnew(t *testing.T) {
	m := newMending(t)
	m.spoil(3, "")
	m.spoil(7, "garbage")
	m.spoil(9, m.states[m.log.Subjects[10]].Encoded())
	sight := m.look()
	require.True(t, sight.Known && sight.Owned)
	require.EqualValues(t, 40, sight.Next)
	_, err := m.mender.StateOf(partition, sight.States[7])
	require.ErrorIs(t, err, events.ErrState)
	_, err = m.mender.StateOf(partition+1, sight.States[10])
	require.ErrorIs(t, err, events.ErrState, "of another partition")

	mends := m.mends(sight, false)
	require.Len(t, mends, 3)
	verdicts, err := m.mender.Mend(t.Context(), partition, 40, 40, mends)
	require.NoError(t, err)
	require.Equal(t, []cache.Verdict{cache.Mended, cache.Mended, cache.Mended}, verdicts)
	pending, err := m.store.Pending(t.Context(), partition, 100)
	require.NoError(t, err)
	require.Len(t, pending, 40, "only what the owner put there")

	// The owner's memory may be of the fault: what it folded from that is refused.
	m.grow(events.Withdrawn)
	require.ErrorIs(t, m.write(m.batch()).Err, cache.ErrMoved)
	require.False(t, m.look().Owned)
	epoch := m.mark.Epoch
	m.claim()
	require.Greater(t, m.mark.Epoch, epoch)
	require.EqualValues(t, 40, m.mark.Next, "the position did not move")
	m.catchUp()
	m.isTheFold()
}

func TestMendThatHasNothingToWriteLeavesEveryByteAlone(t *testing.T) {
	m := newMending(t)
	before := dump(t, m.server)
	mends := []cache.Mend{{Subject: m.log.Subjects[0], Stored: "whatever", Right: m.states[m.log.Subjects[0]], Act: true}}
	verdicts, err := m.mender.Mend(t.Context(), partition, 40, 40, mends)
	require.NoError(t, err)
	require.Equal(t, []cache.Verdict{cache.Settled}, verdicts)
	require.Equal(t, before, dump(t, m.server))
	m.grow(events.Withdrawn)
	m.catchUp()
}

func TestMendNeverTouchesWhatItDidNotJudge(t *testing.T) {
	m := newMending(t)
	m.spoil(3, "")
	mends := m.mends(m.look(), false)
	for _, at := range [][2]int64{{0, 39}, {41, 50}} {
		_, err := m.mender.Mend(t.Context(), partition, at[0], at[1], mends)
		require.ErrorIs(t, err, cache.ErrMoved)
	}
	m.spoil(4, "garbage")
	mends = append(mends, cache.Mend{Subject: m.log.Subjects[4], Right: m.states[m.log.Subjects[4]]})
	verdicts, err := m.mender.Mend(t.Context(), partition, 30, 50, mends)
	require.NoError(t, err)
	require.Equal(t, []cache.Verdict{cache.Mended, cache.Overtook}, verdicts, "judged as absent, and now it is something")
	require.Equal(t, "garbage", m.look().States[4])

	require.NoError(t, m.server.Client(t).Del(t.Context(), cachetest.Layout().Prefix(partition)+"pos").Err())
	_, err = m.mender.Mend(t.Context(), partition, 0, 50, mends)
	require.ErrorIs(t, err, cache.ErrMoved, "nothing is mended where nothing is known")
	require.False(t, m.look().Known)
}

func TestMendCanRemoveAndCanAct(t *testing.T) {
	m := newMending(t)
	lot := m.look()
	pending, err := m.store.Pending(t.Context(), partition, 100)
	require.NoError(t, err)
	_, err = m.store.Done(t.Context(), partition, m.mark.Epoch, pending)
	require.NoError(t, err)
	m.spoil(5, "")
	_, err = m.mender.Mend(t.Context(), partition, 40, 40, []cache.Mend{
		{Subject: m.log.Subjects[2], Stored: lot.States[2]},
		{Subject: m.log.Subjects[5], Right: m.states[m.log.Subjects[5]], Act: true},
	})
	require.NoError(t, err)
	require.Empty(t, m.look().States[2])
	pending, err = m.store.Pending(t.Context(), partition, 100)
	require.NoError(t, err)
	require.Equal(t, []cache.Pending{{Subject: m.log.Subjects[5], State: m.states[m.log.Subjects[5]], Offset: 5}}, pending)
}

// The epoch that a mend takes away is remembered: a clock that went back must not
// give it to a second owner while the first still believes in it.
func TestEpochThatWasTakenAwayNeverComesAgain(t *testing.T) {
	m := newMending(t)
	pos := cachetest.Layout().Prefix(partition) + "pos"
	far := time.Now().Add(time.Hour).UnixMicro()
	require.NoError(t, m.server.Client(t).HSet(t.Context(), pos, "epoch", far).Err())
	m.spoil(3, "")
	_, err := m.mender.Mend(t.Context(), partition, 40, 40, m.mends(m.look(), false))
	require.NoError(t, err)
	m.claim()
	require.Greater(t, m.mark.Epoch, far)
}

func TestDigestIsWorkedOutAnewWhenNobodyWrites(t *testing.T) {
	m := newMending(t)
	pos := cachetest.Layout().Prefix(partition) + "pos"
	client := m.server.Client(t)
	right := client.HGet(t.Context(), pos, "digest").Val()
	before := dump(t, m.server)
	ok, err := m.mender.Redigest(t.Context(), partition)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, before, dump(t, m.server))
	require.NoError(t, client.HSet(t.Context(), pos, "digest", "5").Err())
	ok, err = m.mender.Redigest(t.Context(), partition)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, right, client.HGet(t.Context(), pos, "digest").Val())
	ok, err = m.mender.Redigest(t.Context(), partition+1)
	require.NoError(t, err)
	require.False(t, ok, "a partition without a position has none")
}

func TestHoldsAreToldApart(t *testing.T) {
	m := newMending(t)
	s := m.log.Subjects[1]
	require.NoError(t, m.mender.Hold(t.Context(), s, m.log.At(3)))
	require.NoError(t, m.mender.Hold(t.Context(), s, m.log.At(4)))
	require.NoError(t, m.mender.Release(t.Context(), s, m.log.At(3)))
	h, err := m.mender.Holding(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, cache.Holding{By: []events.Position{m.log.At(4)}, Released: []events.Position{m.log.At(3)}}, h)
	h, err = m.mender.Holding(t.Context(), m.log.Subjects[2])
	require.NoError(t, err)
	require.Zero(t, h)
	require.NoError(t, m.server.Client(t).HSet(t.Context(), cachetest.Layout().Prefix(partition)+"held", s.Reveal(), "* what").Err())
	h, err = m.mender.Holding(t.Context(), s)
	require.NoError(t, err)
	require.True(t, h.Overflow)
}

func TestMenderNeedsALayout(t *testing.T) {
	_, err := cache.OpenMender(t.Context(), connect(t, testenv.Redis(t).Addr()), "marketing", nil)
	require.ErrorIs(t, err, cache.ErrNoLayout)
}

// dump is every key with its whole content.
func dump(t testing.TB, server *testenv.RedisServer) map[string]any {
	client := server.Client(t)
	all := make(map[string]any)
	for _, key := range client.Keys(t.Context(), "*").Val() {
		switch client.Type(t.Context(), key).Val() {
		case "hash":
			all[key] = client.HGetAll(t.Context(), key).Val()
		case "zset":
			all[key] = client.ZRangeWithScores(t.Context(), key, 0, -1).Val()
		}
	}
	return all
}
