package cachetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/cache"
)

// The log has lost its beginning: whoever stopped there may seem to permit by what
// is left, so nothing is fresh until somebody begins with all of it.
func nothingProvesATorso(t *testing.T, f Fixture) {
	o := own(t, f, 1)
	b := o.batch(0)
	b.Proved = now()
	require.Positive(t, o.write(b)[0].Mark.Fresh)
	var err error
	o.mark, err = f.Store.BeginTorso(t.Context(), partition, o.mark.Epoch, 1)
	require.NoError(t, err)
	require.Equal(t, cache.Mark{Known: true, Next: 1, Acted: o.mark.Acted, Epoch: o.mark.Epoch, Digest: o.mark.Digest}, o.mark)

	b = o.batch(0)
	b.Proved = now()
	require.Zero(t, o.write(b)[0].Mark.Fresh)
	require.NoError(t, o.refresh(2, now()).Err)
	require.Zero(t, o.view(0).Fresh)
	require.True(t, o.view(0).Known, "it follows the log all the same")
	o.claim()
	require.NoError(t, o.refresh(2, now()).Err)
	require.Zero(t, o.view(0).Fresh, "whoever owns it")

	o.begin(2)
	require.NoError(t, o.refresh(2, now()).Err)
	require.Positive(t, o.view(0).Fresh)
}
