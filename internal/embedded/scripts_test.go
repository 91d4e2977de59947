package embedded

import (
	"bufio"
	"io"
	"testing"

	"github.com/alicebob/miniredis/v2/server"
	"github.com/stretchr/testify/require"
)

// What miniredis knows of a connection is read by names of its own: one that it
// changed would leave all scripts to it, and they would be slow again.
func TestScriptsRunHereButInTransactionsAndOnOtherDatabases(t *testing.T) {
	r, err := StartRedis("")
	require.NoError(t, err)
	defer r.Close()
	peer := server.NewPeer(bufio.NewWriter(io.Discard))
	say := func(command ...string) { r.mini.Server().Dispatch(peer, command) }
	require.True(t, alone(peer))
	say("PING")
	require.True(t, alone(peer))
	say("MULTI")
	require.False(t, alone(peer))
	say("DISCARD")
	require.True(t, alone(peer))
	say("SELECT", "1")
	require.False(t, alone(peer))
	say("SELECT", "0")
	require.True(t, alone(peer))

	var inside bool
	require.NoError(t, r.mini.Server().Register("LOOK", func(peer *server.Peer, _ string, _ []string) {
		inside = !alone(peer)
		peer.WriteOK()
	}))
	say("EVAL", "return redis.call('LOOK')", "0")
	require.True(t, inside)
}
