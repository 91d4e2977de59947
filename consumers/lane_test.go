package consumers

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events/policy"
)

// At the end of a session a writer may leave after it has offered to take a
// window and before it takes it. The reader must not wait for it, or the handler
// never returns and the whole group waits for this member.
func TestSealDoesNotWaitForAWriterThatHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLane()
		l.window.of(&partition{})
		go func() { l.idle <- struct{}{} }()
		<-l.ready(0)
		l.seal(trigger{}, new(policy.Edition), 0)
		require.True(t, l.window.empty())
	})
}
