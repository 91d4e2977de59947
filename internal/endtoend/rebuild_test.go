package endtoend

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/rebuild"
	"github.com/kelisim/kelisim/internal/testenv"
)

func TestRebuildHealsADamagedCacheUnderLiveTraffic(t *testing.T) {
	testenv.Parallel(t)
	for name, fromLog := range map[string]bool{"from snapshots": false, "from the whole log": true} {
		t.Run(name, func(t *testing.T) {
			w := newWard(t, true)
			want := foldLog(t, w.broker.Addr(), w.topics.Events, rebuildPartitions)
			hurt := w.damage(want)
			require.Greater(t, len(hurt), 15)
			v := w.keepVigil(want, hurt)
			load := startLoad(t, w.producer, w.topics.Events)

			r, err := rebuild.Prepare(t.Context(), w.config(fromLog))
			require.NoError(t, err)
			plan := r.Plan()
			require.EqualValues(t, len(hurt), plan.WouldAllow+plan.WouldDeny+plan.Otherwise)
			require.Positive(t, plan.WouldAllow, "what was deleted is allowed again")
			require.GreaterOrEqual(t, plan.Unchanged, int64(len(kept(want.states))-len(hurt)))
			for _, p := range plan.Partitions {
				require.Equal(t, map[bool]string{false: rebuild.FromSnapshots, true: rebuild.FromLog}[fromLog], p.Source, p.Why)
				require.NotEmpty(t, p.Verified)
			}
			require.ErrorContains(t, plan.Refuse(rebuild.Permit{}), "--permit-grants")
			require.NoError(t, r.Swap(t.Context()))
			require.NoError(t, r.Close(t.Context()))
			w.published += load.stop()
			w.healthy("after the swap")
			require.Positive(t, v.end())
		})
	}
}

func TestRebuildOfAHealthyCacheChangesNothing(t *testing.T) {
	w := newWard(t, true)
	load := startLoad(t, w.producer, w.topics.Events)
	r, err := rebuild.Prepare(t.Context(), w.config(false))
	require.NoError(t, err)
	plan := r.Plan()
	require.Zero(t, plan.WouldAllow+plan.WouldDeny+plan.Otherwise)
	require.NoError(t, plan.Refuse(rebuild.Permit{}))
	require.NoError(t, r.Swap(t.Context()))
	require.NoError(t, r.Close(t.Context()))
	w.published += load.stop()
	w.healthy("after the swap")
}

// Everything of the service's is lost, and it has begun to build from the log when
// the rebuild overtakes it. Whom the log's parked events hold is held.
func TestRebuildOvertakesAServiceThatStartsFromNothing(t *testing.T) {
	w := newWard(t, true)
	w.rubbish(20)
	w.marketing.Wait(t, int64(w.published))
	w.writer.Wait(t, int64(w.published))
	load := startLoad(t, w.producer, w.topics.Events)
	keys, err := w.client.Keys(t.Context(), "consent:{marketing/*").Result()
	require.NoError(t, err)
	require.NoError(t, w.client.Del(t.Context(), keys...).Err())
	var r *rebuild.Rebuild
	for r == nil { // refused until the service has claimed what is not there
		if r, err = rebuild.Prepare(t.Context(), w.config(false)); err != nil {
			require.Equal(t, exit.Refused, exit.Code(err), "%v", err)
		}
	}
	require.NoError(t, r.Swap(t.Context()))
	require.NoError(t, r.Close(t.Context()))
	w.published += load.stop()
	w.healthy("after the swap")
}

// A plan that is not carried out leaves nothing behind.
func TestPlanOfARebuildTouchesNothing(t *testing.T) {
	w := newWard(t, true)
	hurt := w.damage(foldLog(t, w.broker.Addr(), w.topics.Events, rebuildPartitions))
	before := w.dump()
	r, err := rebuild.Prepare(t.Context(), w.config(false), 1, 2)
	require.NoError(t, err)
	require.Len(t, r.Plan().Partitions, 2)
	require.Positive(t, r.Plan().WouldAllow+r.Plan().WouldDeny+r.Plan().Otherwise)
	require.NoError(t, r.Close(t.Context()))
	require.Equal(t, before, w.dump())
	require.NotEmpty(t, hurt)
}

func TestRebuildWithoutSnapshotsReadsTheLogAndSaysSo(t *testing.T) {
	testenv.Parallel(t)
	w := newWard(t, false)
	w.damage(foldLog(t, w.broker.Addr(), w.topics.Events, rebuildPartitions))
	r, err := rebuild.Prepare(t.Context(), w.config(false))
	require.NoError(t, err)
	for _, p := range r.Plan().Partitions {
		require.Equal(t, rebuild.FromLog, p.Source)
		require.Equal(t, "the state topic has no checkpoint", p.Why)
		require.Equal(t, []string{"marketing"}, p.Verified)
	}
	require.NoError(t, r.Swap(t.Context()))
	require.NoError(t, r.Close(t.Context()))
	w.healthy("after the swap")
}
