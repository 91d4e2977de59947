package endtoend

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/oncall/rebuild"
	"github.com/kelisim/kelisim/internal/testenv"
)

// shown keeps what a progress was told.
type shown struct {
	mu          sync.Mutex
	total, done map[int32]int64
}

func (s *shown) Start(total map[int32]int64) { s.total, s.done = total, make(map[int32]int64) }

func (s *shown) Done() {}

func (s *shown) Add(p int32, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done[p] += n
}

func (w *ward) progress(fromLog bool) *shown {
	cfg, told := w.config(fromLog), &shown{}
	cfg.Progress, cfg.Patience = told, 2*time.Second // nobody who stands still is waited for
	r, err := rebuild.Prepare(w.t.Context(), cfg)
	require.NoError(w.t, err)
	require.NoError(w.t, r.Close(w.t.Context()))
	return told
}

func TestProgressOfARebuildCoversTheLog(t *testing.T) {
	testenv.Parallel(t)
	w := newWard(t, true)
	all := foldLog(t, w.broker.Addr(), w.topics.Events, rebuildPartitions).ends
	require.Len(t, all, rebuildPartitions)
	for _, fromLog := range []bool{false, true} {
		told := w.progress(fromLog)
		require.Equal(t, all, told.total)
		require.Equal(t, all, told.done)
	}
}

// It ends there: what comes behind the service concerns the service alone.
func TestProgressOfARebuildEndsWhereTheServiceStands(t *testing.T) {
	testenv.Parallel(t)
	w := newWard(t, true)
	stands := foldLog(t, w.broker.Addr(), w.topics.Events, rebuildPartitions).ends
	w.marketing.Stop(t)
	defer w.serve() // the ward stops it
	w.rubbish(1000) // of which no state is another
	told := w.progress(true)
	require.Equal(t, stands, told.total)
	require.Equal(t, stands, told.done)
}
