package stream

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// mute takes connections and never says a word.
func mute(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var all []net.Conn
		for {
			conn, err := l.Accept()
			if err != nil {
				for _, c := range all {
					_ = c.Close()
				}
				return
			}
			all = append(all, conn)
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	return l.Addr().String()
}

// A broker that swallows what it is sent is found by its address, and not by a time that is over.
func TestABrokerThatTakesConnectionsAndSaysNothingIsNamed(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(context.Context, Config) error{
		"offsets": func(ctx context.Context, c Config) error {
			a, err := NewAdmin(c)
			require.NoError(t, err)
			_, err = a.Offsets(ctx, "events")
			return err
		},
		"cluster": func(ctx context.Context, c Config) error {
			a, err := NewAdmin(c)
			require.NoError(t, err)
			_, err = a.Cluster(ctx)
			return err
		},
		"rules": func(ctx context.Context, c Config) error {
			a, err := NewAdmin(c)
			require.NoError(t, err)
			_, err = a.ACLs(ctx)
			return err
		},
		"publishing": func(ctx context.Context, c Config) error {
			p, err := NewProducer(ProducerConfig{Config: c, DeliveryTimeout: 3 * silentAfter, RequestTimeout: 2 * silentAfter})
			require.NoError(t, err)
			defer func() { _ = p.Close(ctx) }()
			_, err = p.Publish(ctx, Message{Topic: "events", Partition: 0, Value: []byte("{}")})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := mute(t)
			ctx, cancel := context.WithTimeout(t.Context(), 4*silentAfter)
			defer cancel()
			require.ErrorContains(t, ask(ctx, Config{Brokers: []string{addr}, DialTimeout: silentAfter}), "no answer from broker "+addr)
		})
	}
}

// Whoever answered is not to blame, whatever became of the others.
func TestOnlyBrokersThatOweAnAnswerAreSilent(t *testing.T) {
	s := newSilence()
	late := func() []string { return s.brokers(time.Now().Add(2 * silentAfter)) }
	connect := func(addr string) (near, far net.Conn) {
		near, far = net.Pipe()
		return s.watch(near, addr), far
	}
	ask := func(near, far net.Conn) {
		go func() { _, _ = near.Write([]byte("?")) }()
		_, err := far.Read(make([]byte, 1))
		require.NoError(t, err)
	}
	answer := func(near, far net.Conn) {
		go func() { _, _ = far.Write([]byte("!")) }()
		_, err := near.Read(make([]byte, 1))
		require.NoError(t, err)
	}
	one, one2 := connect("one:9092")
	other, other2 := connect("other:9092")
	require.Empty(t, late(), "nobody was asked")
	ask(one, one2)
	ask(other, other2)
	require.Empty(t, s.brokers(time.Now()), "there is time")
	require.Equal(t, []string{"one:9092", "other:9092"}, late())
	answer(one, one2)
	require.Equal(t, []string{"other:9092"}, late())
	ask(one, one2)
	require.Equal(t, []string{"one:9092", "other:9092"}, late(), "it answered before, and does not now")

	one.(*askedConn).asked.Add(-int64(2 * silentAfter)) // so long ago
	require.NoError(t, one.Close())
	require.NoError(t, one.Close(), "twice is once")
	require.NoError(t, other.Close())
	require.Equal(t, []string{"one:9092"}, late(), "the other was given up before its time")
	one, one2 = connect("one:9092")
	ask(one, one2)
	answer(one, one2)
	require.Empty(t, late())
}
