package endtoend

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kelisim/kelisim/consumers/targeting"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/guard"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/rebuild"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testservice"
	"github.com/kelisim/kelisim/schemas"
)

// remnant is a ward whose log has lost its beginning, and with it a block. Of the
// person who was blocked it has a permission, decided later.
type remnant struct {
	*ward
	targeting *testservice.Service
	blocked   events.Subject
	want      *told // of the whole log
	ask       *guard.Guard
}

func newRemnant(t *testing.T, snapshots bool) *remnant {
	r := &remnant{ward: newWard(t, snapshots)}
	action, err := targeting.New(r.client, events.SeedRules(), nil)
	require.NoError(t, err)
	r.targeting = testservice.Start(t, testservice.Config{
		Service: targeting.Service(action), Kafka: r.broker.Addr(), Redis: r.client, Topics: r.topics, Buckets: 64,
	})
	t.Cleanup(func() { r.targeting.Stop(t) })
	r.blocked, err = events.ParseSubject("blocked")
	require.NoError(t, err)
	r.ask = guard.New(r.client, "marketing", guard.WithDeadline(5*time.Second))
	r.tell(events.Event{ID: "granted", Type: events.Granted})
	r.tell(events.Event{ID: "blocked", Type: events.Blocked})
	before := r.ends()
	r.tell(events.Event{ID: "granted again", Type: events.Granted})
	r.publish(77, 50, 200)
	r.settle()
	r.want = foldLog(t, r.broker.Addr(), r.topics.Events, rebuildPartitions)
	if r.writer != nil {
		r.copied(before)
	}
	at := make(kadm.Offsets)
	for p, end := range before {
		at.Add(kadm.Offset{Topic: r.topics.Events, Partition: p, At: end})
	}
	_, err = r.broker.Admin(t).DeleteRecords(t.Context(), at)
	require.NoError(t, err)
	return r
}

func (r *remnant) ends() map[int32]int64 {
	return foldLog(r.t, r.broker.Addr(), r.topics.Events, rebuildPartitions).ends
}

// tell publishes an event of the person who is blocked.
func (r *remnant) tell(e events.Event) {
	rule, _ := events.SeedRules().Rule("promotion")
	e.Source, e.Subject, e.Decided, e.Method = "/test", r.blocked, events.MillisOf(time.Now()), events.ByPerson
	if e.Type == events.Granted {
		e.Purposes, e.Policy, e.Evidence = events.SetOf(rule.Code), events.SeedPolicy, "urn:test:evidence:1"
	}
	e.Data = []byte(`{"channel":"app"}`)
	m, err := cloudevent.Encoder{Rules: events.SeedRules(), Data: schemas.Data}.Encode(&e)
	require.NoError(r.t, err)
	m.Topic = r.topics.Events
	_, err = r.producer.Publish(r.t.Context(), m)
	require.NoError(r.t, err)
	r.published++
}

// copied waits until the snapshots reach to where the log is to begin.
func (r *remnant) copied(to map[int32]int64) {
	require.Eventually(r.t, func() bool {
		_, all := readState(r.t, r.broker, r.state, rebuildPartitions)
		for p, end := range to {
			if c := all[p]; c == nil || c.Acted < end {
				return false
			}
		}
		return true
	}, time.Minute, 100*time.Millisecond)
}

// settle waits until everybody has applied the log.
func (r *remnant) settle() {
	r.marketing.Wait(r.t, int64(r.published))
	r.targeting.Wait(r.t, int64(r.published))
	if r.writer != nil {
		r.writer.Wait(r.t, int64(r.published))
	}
}

// lose deletes all keys of services, and waits until marketing has built what it can.
func (r *remnant) lose(services ...string) {
	for _, service := range services {
		keys, err := r.client.Keys(r.t.Context(), "consent:{"+service+"*").Result()
		require.NoError(r.t, err)
		require.NoError(r.t, r.client.Del(r.t.Context(), keys...).Err())
	}
	live := cache.NewInspector(r.client, r.marketing.Layout)
	require.Eventually(r.t, func() bool {
		all, err := live.Spots(r.t.Context(), 0, 1, 2, 3)
		require.NoError(r.t, err)
		next := int64(0)
		for _, s := range all {
			if !s.Torso {
				return false
			}
			next += s.Next
		}
		return next == int64(r.published)
	}, time.Minute, 20*time.Millisecond)
}

func (r *remnant) config() rebuild.Config {
	cfg := r.ward.config(false)
	cfg.Patience = 5 * time.Second // who does not come is not waited for
	cfg.Witnesses = append(cfg.Witnesses, cache.NewInspector(r.client, r.targeting.Layout))
	return cfg
}

func (r *remnant) staged(cfg rebuild.Config) *rebuild.Rebuild {
	r.t.Helper()
	staged, err := rebuild.Prepare(r.t.Context(), cfg)
	require.NoError(r.t, err)
	return staged
}

func (r *remnant) refuses(staged *rebuild.Rebuild) {
	r.t.Helper()
	require.Equal(r.t, exit.Refused, exit.Code(staged.Swap(r.t.Context())))
	require.NoError(r.t, staged.Close(r.t.Context()))
}

func (r *remnant) swaps(staged *rebuild.Rebuild) {
	r.t.Helper()
	require.NoError(r.t, staged.Swap(r.t.Context()))
	require.NoError(r.t, staged.Close(r.t.Context()))
}

// denies says that nobody is allowed anything, whatever time passes.
func (r *remnant) denies() {
	r.t.Helper()
	for range 3 {
		for s := range r.want.states {
			require.Equal(r.t, events.Stale, r.ask.Check(r.t.Context(), s, "promotion").Reason)
		}
		proved := r.refreshed()
		require.Eventually(r.t, func() bool { return r.refreshed() != proved }, time.Minute, 20*time.Millisecond)
	}
}

// refreshed is a moment up to which the other service is known to be current: it
// moves when the log was asked once more.
func (r *remnant) refreshed() string {
	all, err := r.client.HGet(r.t.Context(), r.targeting.Layout.Prefix(0)+"pos", "fresh").Result()
	require.NoError(r.t, err)
	return all
}

// whole says that marketing holds what the whole log gave, and answers by it.
func (r *remnant) whole() {
	r.t.Helper()
	got, _ := r.stored()
	requireSame(r.t, r.want.states, got, "after the swap")
	after := answers(r.t, r.ask, r.want)
	require.Positive(r.t, after.allowed())
	require.Equal(r.t, events.ByBlock, after[r.blocked].Reason)
}

func TestFlushedCacheOfALogThatLostItsBeginningDeniesUntilItIsRebuiltFromSnapshots(t *testing.T) {
	testenv.Parallel(t)
	r := newRemnant(t, true)
	require.Equal(t, events.ByBlock, answers(t, r.ask, r.want)[r.blocked].Reason)
	r.lose("marketing")
	r.denies()

	staged := r.staged(r.config())
	for _, p := range staged.Plan().Partitions {
		require.Equal(t, rebuild.FromSnapshots, p.Source, p.Why)
		require.Empty(t, p.Unverified)
		require.Contains(t, p.Verified, "targeting")
		require.NotContains(t, p.Verified, "marketing", "what is left of the log bears nothing out")
	}
	r.swaps(staged)
	r.whole()
}

// Nobody is left who could bear the snapshots out: people have to say so.
func TestSnapshotsWithoutAWitnessAreSwappedOnlyOnOrder(t *testing.T) {
	testenv.Parallel(t)
	r := newRemnant(t, true)
	r.lose("targeting", "snapshots", "marketing")
	cfg := r.config()
	cfg.Patience = 2 * time.Second // there is nobody
	staged := r.staged(cfg)
	for _, p := range staged.Plan().Partitions {
		require.Equal(t, rebuild.FromSnapshots, p.Source, "whoever wrote them writes no more: %s", p.Why)
		require.Equal(t, "no other cache stood at the same position", p.Unverified)
	}
	r.refuses(staged)

	cfg.Unverified = true
	staged = r.staged(cfg)
	r.swaps(staged)
	r.whole()
}

func TestRebuildFromALogThatLostItsBeginningNeedsAnOrderOfItsOwn(t *testing.T) {
	testenv.Parallel(t)
	r := newRemnant(t, false)
	for _, fromLog := range []bool{false, true} {
		cfg := r.config()
		cfg.FromLog = fromLog
		_, err := rebuild.Prepare(t.Context(), cfg)
		require.Equal(t, exit.Refused, exit.Code(err), "%v", err)
		require.ErrorContains(t, err, "--from-remains")
	}
	cfg := r.config()
	cfg.Remains = true
	staged := r.staged(cfg)
	require.Positive(t, staged.Plan().Changes(), "what stood before is gone, and it says so")
	contradicted := 0
	for _, p := range staged.Plan().Partitions {
		require.Equal(t, rebuild.FromLog, p.Source)
		if strings.Contains(p.Unverified, "that of targeting is") {
			contradicted++
		}
	}
	require.Positive(t, contradicted)
	r.refuses(staged)
	r.whole()
}

// spoil gives every partition of a service a digest of nothing that it folded.
func (r *remnant) spoil(service *testservice.Service) {
	for p := range int32(rebuildPartitions) {
		require.NoError(r.t, r.client.HSet(r.t.Context(), service.Layout.Prefix(p)+"pos", "digest", "12345").Err())
	}
}

// The live cache agrees with what was built, and another service does not.
func TestWhatOneCacheContradictsIsNotSwapped(t *testing.T) {
	testenv.Parallel(t)
	r := newRemnant(t, true)
	r.spoil(r.targeting)
	staged := r.staged(r.config())
	for _, p := range staged.Plan().Partitions {
		require.Contains(t, p.Unverified, "that of targeting is 000000003039")
		require.Empty(t, p.Verified)
	}
	r.refuses(staged)
	r.whole()
}

// The live cache is what is to be mended: that it differs is no veto where others agree.
func TestLiveCacheDoesNotVetoItsOwnRebuild(t *testing.T) {
	testenv.Parallel(t)
	r := newRemnant(t, true)
	r.spoil(r.marketing)
	staged := r.staged(r.config())
	for _, p := range staged.Plan().Partitions {
		require.Empty(t, p.Unverified)
		require.Contains(t, p.Verified, "targeting")
	}
	r.swaps(staged)
	r.whole()
}
