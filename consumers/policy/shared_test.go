package policy

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
)

// Behind the end of a log the role publishes nothing: it would stand where it does not
// count.
func TestNothingIsDoneByALogThatHasEnded(t *testing.T) {
	view := cache.View{Known: true, Fresh: 10_000, Now: 10_500}
	require.True(t, settled(view))
	for _, stage := range []events.Stage{events.StageOpening, events.StageEnded} {
		view.Stage = stage
		require.False(t, settled(view), "%v", stage)
	}
}
