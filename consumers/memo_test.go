package consumers

import (
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
)

func TestSubjectsOfOneTagAreTwo(t *testing.T) {
	m := newMemo(1000, true, new(atomic.Int64))
	found := make(map[*entry]bool)
	for n := range 100 {
		e := m.find(7, subject(t, n))
		require.Equal(t, subject(t, n), e.subject)
		found[e] = true
	}
	require.Len(t, found, 100)
	for n := range 100 {
		require.True(t, found[m.find(7, subject(t, n))])
	}
	require.Equal(t, 100, m.young.used)
}

// The memo forgets what is stored, and only that, and asks for it again; what it
// forgot makes room, so that its memory is bounded by its limit.
func TestMemoForgetsOnlyWhatIsStored(t *testing.T) {
	stored := new(atomic.Int64)
	stored.Store(math.MaxInt64)
	m := newMemo(64, true, stored)
	rnd := rand.New(rand.NewPCG(1, 2))
	open := make(map[events.Subject]*entry)
	for range 20_000 {
		s := subject(t, rnd.IntN(2000))
		e := m.find(m.tag(s), s)
		require.Equal(t, s, e.subject)
		if was := open[s]; was != nil {
			require.Same(t, was, e, "a subject has one entry")
			require.True(t, e.known)
		}
		if e.known = true; e.open {
			e.open = rnd.IntN(10) > 0
		} else {
			e.open = rnd.IntN(100) == 0
		}
		if delete(open, s); e.open {
			open[s] = e
		}
		m.age()
	}
	require.False(t, m.complete)
	require.NotEmpty(t, open)
	require.Less(t, int(m.entries.next), 2*64+2*2000/10, "entries are used again")
}
