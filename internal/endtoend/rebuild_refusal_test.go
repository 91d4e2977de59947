package endtoend

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/rebuild"
	"github.com/kelisim/kelisim/internal/testenv"
)

// Somebody's rebuild was killed: what it staged is there, and is nobody's.
func TestRebuildRemovesWhatAnInterruptedOneLeft(t *testing.T) {
	testenv.Parallel(t)
	w := newWard(t, true)
	w.damage(foldLog(t, w.broker.Addr(), w.topics.Events, rebuildPartitions))
	require.NoError(t, w.client.Set(t.Context(), "consent:{marketing}:rebuild", "the killed one", time.Second).Err())
	for p := range int32(rebuildPartitions) {
		stranger := fmt.Sprintf("%snew:s:%d", w.marketing.Layout.Prefix(p), 3)
		require.NoError(t, w.client.HSet(t.Context(), stranger, "s-nobody", "rubbish").Err())
	}
	r, err := rebuild.Prepare(t.Context(), w.config(false))
	require.NoError(t, err)
	require.NoError(t, r.Swap(t.Context()))
	require.NoError(t, r.Close(t.Context()))
	w.healthy("after the swap")
}

// A second copy would fill Redis, which then refuses what services write.
func TestRebuildWithoutRoomIsRefused(t *testing.T) {
	if !testenv.Real() {
		t.Skip("the embedded Redis (miniredis) keeps no account of its memory: INFO has none, and maxmemory cannot be set")
	}
	w := newWard(t, true)
	used, err := w.client.Info(t.Context(), "memory").Result()
	require.NoError(t, err)
	_, used, _ = strings.Cut(used, "used_memory:")
	n, err := strconv.Atoi(strings.TrimSpace(strings.SplitN(used, "\r", 2)[0]))
	require.NoError(t, err)
	require.NoError(t, w.client.ConfigSet(t.Context(), "maxmemory", strconv.Itoa(n+32<<20)).Err())
	_, err = rebuild.Prepare(t.Context(), w.config(false))
	require.Equal(t, exit.Refused, exit.Code(err), "%v", err)
	require.ErrorContains(t, err, "MB left")
	require.NoError(t, w.client.ConfigSet(t.Context(), "maxmemory", "0").Err())
	r, err := rebuild.Prepare(t.Context(), w.config(false))
	require.NoError(t, err)
	require.NoError(t, r.Close(t.Context()))
}

// A colleague's rebuild is on its way: nobody takes what it staged.
func TestRebuildThatRunsIsNotDisturbedByAnother(t *testing.T) {
	testenv.Parallel(t)
	w := newWard(t, true)
	w.damage(foldLog(t, w.broker.Addr(), w.topics.Events, rebuildPartitions))
	first, err := rebuild.Prepare(t.Context(), w.config(false))
	require.NoError(t, err)
	_, err = rebuild.Prepare(t.Context(), w.config(false))
	require.Equal(t, exit.Refused, exit.Code(err), "%v", err)
	require.ErrorContains(t, err, "another rebuild of marketing runs")
	require.NoError(t, first.Swap(t.Context()))
	require.NoError(t, first.Close(t.Context()))
	w.healthy("after the swap")

	next, err := rebuild.Prepare(t.Context(), w.config(false))
	require.NoError(t, err)
	require.NoError(t, next.Close(t.Context()))
	n, err := w.client.Exists(t.Context(), "consent:{marketing}:rebuild").Result()
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestRebuildRefusesWhatNobodyHas(t *testing.T) {
	w := newWard(t, true)
	_, err := rebuild.Prepare(t.Context(), w.config(false), 9)
	require.Equal(t, exit.Usage, exit.Code(err))
	permit := rebuild.Permit{Grants: true, ExpectAllow: 3, Operator: "a", Second: "b"}
	plan := &rebuild.Plan{WouldAllow: 3}
	require.NoError(t, plan.Refuse(permit))
	for want, wrong := range map[string]func(*rebuild.Permit){
		"--permit-grants":   func(p *rebuild.Permit) { p.Grants = false },
		"--expect-allow":    func(p *rebuild.Permit) { p.ExpectAllow = 2 },
		"--second-operator": func(p *rebuild.Permit) { p.Second = "" },
		"another person":    func(p *rebuild.Permit) { p.Second = "A " },
	} {
		p := permit
		wrong(&p)
		require.Equal(t, exit.Refused, exit.Code(plan.Refuse(p)))
		require.ErrorContains(t, plan.Refuse(p), want)
	}
	plan = &rebuild.Plan{Partitions: []*rebuild.Part{{Unverified: "nobody said so"}}}
	require.ErrorContains(t, plan.Refuse(permit), "--unverified")
	require.ErrorContains(t, plan.Refuse(rebuild.Permit{Unverified: true}), "--second-operator")
	permit.Unverified = true
	require.NoError(t, plan.Refuse(permit))
}
