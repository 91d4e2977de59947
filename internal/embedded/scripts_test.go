package embedded

import (
	"bufio"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// A name that miniredis changed would leave all scripts to it, and they would be slow again.
func TestScriptsRunHereButInTransactions(t *testing.T) {
	r, err := StartRedis("")
	require.NoError(t, err)
	defer r.Close()
	peer := server.NewPeer(bufio.NewWriter(io.Discard))
	after := func(want int64, here bool, command ...string) {
		t.Helper()
		r.mini.Server().Dispatch(peer, command)
		database, is := alone(peer)
		require.Equal(t, here, is, command)
		require.Equal(t, want, database, command)
	}
	after(0, true, "PING")
	after(0, false, "MULTI")
	after(0, true, "DISCARD")
	after(3, true, "SELECT", "3")
	after(0, false, "MULTI")
	after(3, true, "DISCARD")

	nested := false
	require.NoError(t, r.mini.Server().Register("LOOK", func(peer *server.Peer, _ string, _ []string) {
		_, alone := alone(peer)
		nested = !alone
		peer.WriteOK()
	}))
	after(3, true, "EVAL", "return redis.call('LOOK')", "0")
	require.True(t, nested)
}

// Its first command may be a script, and the server may be gone by then.
func TestScriptsEndWithTheServer(t *testing.T) {
	for range 20 {
		r, err := StartRedis("")
		require.NoError(t, err)
		client := redis.NewClient(&redis.Options{Addr: r.Addr(), MaxRetries: -1, DialerRetries: 1, DisableIdentity: true})
		var callers sync.WaitGroup
		ran := make(chan struct{}, 1)
		for caller := range 4 {
			callers.Go(func() {
				for n := 0; ; n++ {
					if client.Eval(t.Context(), fmt.Sprintf("return %d + %d", caller, n), nil).Err() != nil {
						return
					}
					select {
					case ran <- struct{}{}:
					default:
					}
				}
			})
		}
		<-ran
		r.Close()
		callers.Wait()
		require.NoError(t, client.Close())
	}
}
