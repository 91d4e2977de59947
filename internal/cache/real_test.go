//go:build real

package cache_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/cache/cachetest"
	"github.com/kelisim/kelisim/internal/testenv"
)

// TestRedisCluster runs the whole suite on three masters: every script must keep
// to one slot, and every node must have the scripts.
func TestRedisCluster(t *testing.T) {
	admin := testenv.RedisCluster(t)
	flush := func() {
		require.NoError(t, admin.ForEachMaster(context.Background(), func(ctx context.Context, node *redis.Client) error {
			if err := node.FlushAll(ctx).Err(); err != nil {
				return err
			}
			return node.ScriptFlush(ctx).Err()
		}))
	}
	cachetest.Run(t, func(ctx context.Context) (cachetest.Fixture, error) {
		if err := admin.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
			return testenv.Disconnect(ctx, node)
		}); err != nil {
			return cachetest.Fixture{}, err
		}
		flush()
		return fixture(ctx, cache.Options{Addrs: admin.Options().Addrs, Cluster: true}, flush)
	})
}

func TestMenderKeepsToOneSlotOfACluster(t *testing.T) {
	client, err := cache.Connect(cache.Options{Addrs: testenv.RedisCluster(t).Options().Addrs, Cluster: true})
	require.NoError(t, err)
	defer client.Close()
	o := own(t, open(t, client), 40)
	o.grow(events.Granted)
	o.catchUp()
	mender, err := cache.OpenMender(t.Context(), client, "marketing", silent())
	require.NoError(t, err)
	i := slices.IndexFunc(o.log.Subjects, func(s events.Subject) bool { return strings.HasPrefix(s.Reveal(), "s-") }) // whose field is the id
	who := o.log.Subjects[i]
	for bucket := range cachetest.Layout().Buckets {
		require.NoError(t, client.HDel(t.Context(), cachetest.Layout().Prefix(partition)+"s:"+strconv.Itoa(int(bucket)), who.Reveal()).Err())
	}
	sight, err := mender.Look(t.Context(), partition, o.log.Subjects)
	require.NoError(t, err)
	require.Empty(t, sight.States[i])
	verdicts, err := mender.Mend(t.Context(), partition, 40, 40, []cache.Mend{{Subject: who, Right: o.states[who], Act: true}})
	require.NoError(t, err)
	require.Equal(t, []cache.Verdict{cache.Mended}, verdicts)
	ok, err := mender.Redigest(t.Context(), partition)
	require.NoError(t, err)
	require.True(t, ok)
	require.NoError(t, mender.Hold(t.Context(), who, o.log.At(3)))
	held, err := mender.Holding(t.Context(), who)
	require.NoError(t, err)
	require.Len(t, held.By, 1)
	o.claim()
	o.isTheFold()
}

func TestForgottenScriptsAreLoadedAgain(t *testing.T) {
	server := testenv.Redis(t)
	o := own(t, open(t, connect(t, server.Addr())), 450)
	admin := server.Client(t)
	forget := func() { require.NoError(t, admin.ScriptFlush(t.Context()).Err()) }
	for range 3 {
		o.grow(events.Granted)
		forget()
		o.catchUp()
		forget()
		o.isTheFold()
		forget()
		waiting, err := o.store.Pending(t.Context(), partition, 1000)
		require.NoError(t, err)
		forget()
		_, err = o.store.Done(t.Context(), partition, o.mark.Epoch, waiting)
		require.NoError(t, err)
		forget()
		proof := cache.Proof{Partition: partition, Epoch: o.mark.Epoch, Next: o.mark.Next, Proved: time.Now()}
		require.NoError(t, o.store.Refresh(t.Context(), []cache.Proof{proof})[0].Err)
		forget()
		_, err = o.store.Lookup(t.Context(), o.log.Subjects[0])
		require.NoError(t, err)
		forget()
		o.claim()
	}
}

// switched returns a client whose next connection goes where at says.
func switched(t *testing.T, at *atomic.Pointer[string]) *redis.Client {
	client := redis.NewClient(&redis.Options{
		Addr: "failover", Protocol: 2, DisableIdentity: true, ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1,
		Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, *at.Load())
		},
	})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// TestFailoverThatLosesWritesIsSeenAndRepaired: the replica no longer hears the
// primary, which goes on acknowledging, and dies. What was acknowledged is gone:
// the very next write must find out, and the log repairs it.
func TestFailoverThatLosesWritesIsSeenAndRepaired(t *testing.T) {
	primary := testenv.Redis(t)
	replica := primary.Replica(t)
	addr := primary.Addr()
	var at atomic.Pointer[string]
	at.Store(&addr)
	o := own(t, open(t, switched(t, &at)), 30)
	o.grow(events.Granted)
	o.catchUp()
	kept, err := primary.Client(t).Do(t.Context(), "wait", 1, 5000).Int()
	require.NoError(t, err)
	require.Equal(t, 1, kept)

	replica.Promote(t)
	o.grow(events.Withdrawn)
	o.catchUp()
	o.isTheFold()
	primary.Stop(t)
	promoted := replica.Addr()
	at.Store(&promoted)

	lost, err := o.store.Lookup(t.Context(), o.log.Subjects[0])
	if err != nil { // the first command may meet the old connection
		lost, err = o.store.Lookup(t.Context(), o.log.Subjects[0])
	}
	require.NoError(t, err)
	require.Equal(t, int64(30), lost.Next, "the withdrawals are gone")

	o.grow(events.Granted)
	moved := o.write(o.batch())
	require.ErrorIs(t, moved.Err, cache.ErrMoved)
	require.True(t, moved.Mark.Known)
	require.Equal(t, int64(30), moved.Mark.Next)
	o.mark = moved.Mark
	o.load()
	o.catchUp()
	o.isTheFold()
}

func TestReplicaRefusesToBeWritten(t *testing.T) {
	primary := testenv.Redis(t)
	o := own(t, open(t, connect(t, primary.Addr())), 3)
	replica := primary.Replica(t)
	o.store = open(t, connect(t, replica.Addr()))
	o.grow(events.Granted)
	result := o.write(o.batch())
	require.ErrorIs(t, result.Err, cache.ErrUnavailable)
	require.ErrorContains(t, result.Err, "READONLY")
}

func TestRedisThatMayEvictIsRefused(t *testing.T) {
	for _, policy := range []string{"allkeys-lru", "volatile-ttl", "allkeys-random"} {
		client := connect(t, testenv.RedisWith(t, map[string]string{"maxmemory-policy": policy}).Addr())
		_, err := cache.NewRedis(t.Context(), client, cachetest.Layout(), silent())
		require.ErrorIs(t, err, cache.ErrEvicting)
		require.ErrorContains(t, err, policy)
	}
	server := testenv.Redis(t)
	store := open(t, connect(t, server.Addr()))
	require.NoError(t, server.Client(t).ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err())
	_, err := store.Claim(t.Context(), partition)
	require.ErrorIs(t, err, cache.ErrEvicting, "whoever takes a partition over looks again")
}

func TestManagedRedisThatHidesItsSettingsIsCheckedToo(t *testing.T) {
	server := testenv.Redis(t)
	admin := server.Client(t)
	require.NoError(t, admin.Do(t.Context(), "acl", "setuser", "app", "on", ">secret", "~consent:*", "+@all", "-config").Err())
	client, err := cache.Connect(cache.Options{Addrs: []string{server.Addr()}, Username: "app", Password: "secret"})
	require.NoError(t, err)
	defer client.Close()
	o := own(t, open(t, client), 3)
	o.grow(events.Granted)
	o.catchUp()
	require.NoError(t, admin.ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lfu").Err())
	_, err = cache.NewRedis(t.Context(), client, cachetest.Layout(), silent())
	require.ErrorIs(t, err, cache.ErrEvicting)
}

// TestUserWithTheDocumentedPermissionsMayWrite holds the permissions that
// docs/cache.md names for a consumer.
func TestUserWithTheDocumentedPermissionsMayWrite(t *testing.T) {
	server := testenv.Redis(t)
	require.NoError(t, server.Client(t).Do(t.Context(), "acl", "setuser", "marketing", "on", ">secret", "resetkeys",
		"~consent:{marketing}:*", "~consent:{marketing/*", "-@all", "+@read", "+@write", "+@scripting", "+@transaction", "+@connection",
		"+time", "+config|get", "+info", "+cluster").Err())
	client, err := cache.Connect(cache.Options{Addrs: []string{server.Addr()}, Username: "marketing", Password: "secret"})
	require.NoError(t, err)
	defer client.Close()
	o := own(t, open(t, client), 450)
	o.grow(events.Granted)
	o.catchUp()
	o.begin(0)
	o.catchUp()
	o.isTheFold()
	o.grow(events.Withdrawn)
	require.NoError(t, server.Client(t).ConfigResetStat(t.Context()).Err())
	require.NoError(t, o.write(o.wide()).Err)
	o.isTheFold()
	require.Contains(t, server.Client(t).Info(t.Context(), "commandstats").Val(), "cmdstat_exec", "in transactions")
	waiting, err := o.store.Pending(t.Context(), partition, 1000)
	require.NoError(t, err)
	_, err = o.store.Done(t.Context(), partition, o.mark.Epoch, waiting)
	require.NoError(t, err)
	require.NoError(t, o.store.Hold(t.Context(), o.log.Subjects[0], o.log.At(3)))
	require.Error(t, client.Set(t.Context(), "consent:{targeting}:layout", "x", 0).Err(), "but not what is another service's")
}

func TestSettingsThatWasteMemoryAreWarnedOf(t *testing.T) {
	server := testenv.RedisWith(t, map[string]string{"hash-max-listpack-value": "64"})
	var said bytes.Buffer
	_, err := cache.NewRedis(t.Context(), connect(t, server.Addr()), cachetest.Layout(), slog.New(slog.NewTextHandler(&said, nil)))
	require.NoError(t, err)
	require.Contains(t, said.String(), "hash-max-listpack-value")
	require.NotContains(t, said.String(), "hash-max-listpack-entries")
}

// TestFullRedisStopsThePositionAndNothingElse fills Redis until it refuses: the
// batch that did not fit is neither half there nor passed over, and goes through
// when there is room again.
func TestFullRedisStopsThePositionAndNothingElse(t *testing.T) {
	for _, wide := range []bool{false, true} {
		fillUp(t, wide)
	}
}

func fillUp(t *testing.T, wide bool) {
	subjects, half := 900, 0 // five scripts
	if wide {
		subjects = bulk // three transactions
	}
	for room := 20_000; room < 300_000; room += 40_000 {
		server := testenv.Redis(t)
		admin := server.Client(t)
		o := own(t, open(t, connect(t, server.Addr())), subjects)
		used, err := strconv.Atoi(admin.InfoMap(t.Context(), "memory").Item("Memory", "used_memory"))
		require.NoError(t, err)
		require.NoError(t, admin.ConfigSet(t.Context(), "maxmemory", strconv.Itoa(used+room)).Err())
		o.grow(events.Granted)
		full := o.batch()
		full.Wide = wide
		if err := o.write(full).Err; err != nil {
			require.ErrorIs(t, err, cache.ErrFull)
			require.ErrorIs(t, o.write(full).Err, cache.ErrFull)
			view, err := o.store.Lookup(t.Context(), o.log.Subjects[0])
			require.NoError(t, err)
			require.True(t, view.Known)
			require.Zero(t, view.Next)
			if admin.DBSize(t.Context()).Val() > 2 {
				half++
			}
		}
		require.NoError(t, admin.ConfigSet(t.Context(), "maxmemory", "0").Err())
		require.NoError(t, o.write(full).Err)
		o.isTheFold()
	}
	require.Positive(t, half, "none of them was caught in the middle")
}

// TestBucketsStayCompact: deploy/redis.conf keeps the buckets of this layout in
// their compact form.
func TestBucketsStayCompact(t *testing.T) {
	server := testenv.Redis(t)
	o := own(t, open(t, connect(t, server.Addr())), 400)
	for range 5 {
		o.grow(events.Granted)
		o.grow(events.Withdrawn)
	}
	o.catchUp()
	admin := server.Client(t)
	for _, key := range admin.Keys(t.Context(), "*}:s:*").Val() {
		require.Equal(t, "listpack", admin.ObjectEncoding(t.Context(), key).Val(), key)
	}
}
