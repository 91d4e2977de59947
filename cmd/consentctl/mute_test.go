package main

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// A broker that takes connections and says nothing is named, and not only the time that is over.
func TestErrorsNameTheBrokerThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"topics", "check"}, {"audit", "list"}, {"policy", "publish", firstVersion(t)}} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel() // each waits for all that is tried again
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					defer func() { _ = conn.Close() }()
				}
			}()
			code, out, errs := ctl(t, append(args, "--brokers", l.Addr().String(), "--kafka-dial-timeout", "200ms")...)
			require.NoError(t, l.Close())
			<-ended
			require.Equal(t, exit.Failed, code)
			require.Empty(t, out)
			require.Contains(t, errs, "no answer from broker "+l.Addr().String())
			t.Log(errs)
		})
	}
}
