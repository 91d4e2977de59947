package cache_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/cache/cachetest"
	"github.com/kelisim/kelisim/internal/testenv"
)

// TestDamageIsSeenAndHealedFromTheLog spoils keys behind the store's back. What
// the next write cannot trust is reported, and beginning from the start of the
// log makes everything whole.
func TestDamageIsSeenAndHealedFromTheLog(t *testing.T) {
	server := testenv.Redis(t)
	client := server.Client(t)
	prefix := cachetest.Layout().Prefix(partition)
	buckets := func(t *testing.T) []string { return client.Keys(t.Context(), prefix+"s:*").Val() }
	for name, c := range map[string]struct {
		spoil func(t *testing.T) error
		want  error
	}{
		"a bucket was deleted": {func(t *testing.T) error { return client.Del(t.Context(), buckets(t)[0]).Err() }, cache.ErrDamaged},
		"a state was deleted": {func(t *testing.T) error {
			key := buckets(t)[0]
			return client.HDel(t.Context(), key, client.HKeys(t.Context(), key).Val()[0]).Err()
		}, cache.ErrDamaged},
		"a bucket is no hash":  {func(t *testing.T) error { return client.Set(t.Context(), buckets(t)[0], "text", 0).Err() }, cache.ErrDamaged},
		"the outbox is no set": {func(t *testing.T) error { return client.Set(t.Context(), prefix+"outbox", "text", 0).Err() }, cache.ErrDamaged},
		"the position is gone": {func(t *testing.T) error { return client.Del(t.Context(), prefix+"pos").Err() }, cache.ErrMoved},
		"the position is no hash": {func(t *testing.T) error {
			return client.Set(t.Context(), prefix+"pos", "text", 0).Err()
		}, cache.ErrDamaged},
	} {
		for _, wide := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, wide %v", name, wide), func(t *testing.T) {
				server.Flush(t)
				o := own(t, open(t, connect(t, server.Addr())), 40)
				o.grow(events.Granted)
				o.catchUp()
				require.NoError(t, c.spoil(t))
				o.grow(events.Withdrawn)
				b := o.batch()
				b.Wide = wide
				for i := range b.Changes {
					b.Changes[i].Act = true
				}
				for range 2 { // and it does not go away
					result := o.write(b)
					require.ErrorIs(t, result.Err, c.want)
					require.NotErrorIs(t, result.Err, cache.ErrUnavailable)
				}
				view, err := o.store.Lookup(t.Context(), o.log.Subjects[0])
				require.False(t, err == nil && view.Known && view.Next == int64(len(o.log.Events)), "nobody says that it was applied")
				o.claim()
				o.begin(0)
				o.catchUp()
				o.isTheFold()
			})
		}
	}
}

func TestLostStateIsSeenWhenVersionsAreCompared(t *testing.T) {
	server := testenv.Redis(t)
	o := own(t, open(t, connect(t, server.Addr())), 40)
	o.grow(events.Granted)
	o.catchUp()
	before := o.states
	o.grow(events.Withdrawn)
	o.begin(40) // below what is stored, perhaps: the careful way
	require.NoError(t, server.Client(t).Del(t.Context(), server.Client(t).Keys(t.Context(), "*}:s:*").Val()...).Err())
	o.states = before
	late := o.batch()
	late.From--
	late.To = late.From + 41
	o.begin(39)
	late.Epoch = o.mark.Epoch
	require.ErrorIs(t, o.write(late).Err, cache.ErrDamaged)
}

// TestBeginRemovesWhatIsNoState puts strange fields into the buckets: they would
// block the fold, or count in the digest for ever.
func TestBeginRemovesWhatIsNoState(t *testing.T) {
	server := testenv.Redis(t)
	client := server.Client(t)
	o := own(t, open(t, connect(t, server.Addr())), 40)
	o.grow(events.Granted)
	o.catchUp()
	keys := client.Keys(t.Context(), cachetest.Layout().Prefix(partition)+"s:*").Val()
	other := cachetest.NewLog(cachetest.Layout(), 2, 1)
	other.Append(events.Granted, 0, "promotion")
	foreign := other.Fold(map[events.Subject]events.State{}, 0, 1)[0]
	for field, value := range map[string]string{
		"no subject!":             o.states[o.log.Subjects[0]].Encoded(),
		"s-garbage":               "garbage",
		"s-empty":                 "",
		foreign.Subject.Reveal():  foreign.State.Encoded(),
		"s-of-another-bucket-or2": o.states[o.log.Subjects[0]].Encoded(),
	} {
		require.NoError(t, client.HSet(t.Context(), keys[0], field, value).Err())
	}
	o.begin(o.mark.Next)
	o.isTheFold()
	require.Equal(t, int64(40), fields(t, client, keys))
}

func fields(t *testing.T, client *redis.Client, keys []string) (n int64) {
	for _, key := range keys {
		n += client.HLen(t.Context(), key).Val()
	}
	return n
}

func TestStrangeOutboxEntryIsDropped(t *testing.T) {
	server := testenv.Redis(t)
	o := own(t, open(t, connect(t, server.Addr())), 2)
	o.grow(events.Granted)
	outbox := cachetest.Layout().Prefix(partition) + "outbox"
	require.NoError(t, server.Client(t).ZAdd(t.Context(), outbox, redis.Z{Score: 0, Member: "+77011234567"}).Err())
	o.catchUp()
	waiting, err := o.store.Pending(t.Context(), partition, 10)
	require.NoError(t, err)
	require.Len(t, waiting, 2)
	require.Equal(t, int64(2), server.Client(t).ZCard(t.Context(), outbox).Val())
}

func TestAnotherLayoutIsRefused(t *testing.T) {
	server := testenv.Redis(t)
	client := connect(t, server.Addr())
	own(t, open(t, client), 1)
	for name, change := range map[string]func(l *cache.Layout){
		"generation": func(l *cache.Layout) { l.Generation = 2 },
		"topic":      func(l *cache.Layout) { l.Topic = "other" },
		"partitions": func(l *cache.Layout) { l.Partitions = 8 },
		"buckets":    func(l *cache.Layout) { l.Buckets = 9 },
	} {
		l := cachetest.Layout()
		change(&l)
		store, err := cache.NewRedis(t.Context(), client, l, silent())
		require.NoError(t, err)
		_, err = store.Claim(t.Context(), partition)
		require.ErrorIs(t, err, cache.ErrLayout, name)
	}
	key := "consent:{marketing}:layout"
	require.NoError(t, server.Client(t).HSet(t.Context(), key, "format", "2").Err())
	_, err := open(t, client).Claim(t.Context(), partition)
	require.ErrorIs(t, err, cache.ErrLayout)
	_, err = cache.NewReader(client, "marketing").Lookup(t.Context(), cachetest.Subjects(cachetest.Layout(), 1, 1)[0])
	require.ErrorContains(t, err, `format "2"`)
}

func TestReaderLearnsTheLayoutAndLearnsItAgain(t *testing.T) {
	server := testenv.Redis(t)
	client := connect(t, server.Addr())
	reader := cache.NewReader(client, "marketing")
	who := cachetest.Subjects(cachetest.Layout(), partition, 1)[0]
	_, err := reader.Lookup(t.Context(), who)
	require.ErrorIs(t, err, cache.ErrNoLayout)
	own(t, open(t, client), 1)
	view, err := reader.Lookup(t.Context(), who)
	require.NoError(t, err)
	require.True(t, view.Known)
	changed, err := reader.Relearn(t.Context())
	require.NoError(t, err)
	require.False(t, changed)
	require.NoError(t, server.Client(t).HSet(t.Context(), "consent:{marketing}:layout", "generation", "2").Err())
	changed, err = reader.Relearn(context.Background())
	require.NoError(t, err)
	require.True(t, changed)
	view, err = reader.Lookup(t.Context(), who)
	require.NoError(t, err)
	require.False(t, view.Known)
	require.Equal(t, uint32(2), view.Generation)
}

// TestFreshnessOfAnotherClockIsNotBelieved: after a failover the new node's clock
// may be behind the one that freshness was measured by.
func TestFreshnessOfAnotherClockIsNotBelieved(t *testing.T) {
	server := testenv.Redis(t)
	client := server.Client(t)
	o := own(t, open(t, connect(t, server.Addr())), 1)
	for ahead, believed := range map[time.Duration]bool{400 * time.Millisecond: true, time.Minute: false} {
		now := client.Time(t.Context()).Val()
		fresh := now.Add(ahead).UnixMilli()
		require.NoError(t, client.HSet(t.Context(), cachetest.Layout().Prefix(partition)+"pos", "fresh", fresh).Err())
		result := o.store.Refresh(t.Context(), []cache.Proof{{Partition: partition, Epoch: o.mark.Epoch}})[0]
		require.NoError(t, result.Err)
		require.Less(t, int64(result.Mark.Fresh), fresh)
		require.Equal(t, believed, result.Mark.Fresh.Time().After(now.Add(-time.Second)), "%v ahead", ahead)
	}
}
