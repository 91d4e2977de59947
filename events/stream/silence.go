package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
)

const (
	// silentAfter is how long a question may be without an answer before its broker is called silent: less than the limit
	// of any request, and more than a fetch that finds nothing is held back (defaultMaxWait), as these are by default.
	silentAfter = time.Second
	// forgottenAfter is how long a broker is named that nobody asks again: it may have left, or moved.
	forgottenAfter = time.Minute
)

// transport is kafka-go's connection pool, whose errors say which brokers do not answer. Its own tell of a broker that
// takes connections and says nothing, or of a network that swallows packets, that some time is over.
type transport struct {
	*kafka.Transport
	silence *silence
}

// RoundTrip implements kafka.RoundTripper.
func (t *transport) RoundTrip(ctx context.Context, addr net.Addr, req kafka.Request) (kafka.Response, error) {
	res, err := t.Transport.RoundTrip(ctx, addr, req)
	if err == nil || errors.Is(err, context.Canceled) {
		return res, err
	}
	if silent := t.silence.brokers(time.Now()); len(silent) > 0 {
		err = fmt.Errorf("%w: no answer from broker %s", err, strings.Join(silent, ", "))
	}
	return res, err
}

// silence knows which brokers were asked something that they have not answered.
type silence struct {
	mu    sync.Mutex
	open  map[*askedConn]struct{}
	lost  map[string]time.Time // addresses of connections that were given up without the answer, and when
	known atomic.Int64         // how many those are, for whoever need not wait
}

func newSilence() *silence {
	return &silence{open: make(map[*askedConn]struct{}), lost: make(map[string]time.Time)}
}

// watch returns the connection, watched until it is closed.
func (s *silence) watch(conn net.Conn, addr string) net.Conn {
	c := &askedConn{Conn: conn, silence: s, addr: addr}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[c] = struct{}{}
	return c
}

// brokers returns the addresses of those that are silent, in order.
func (s *silence) brokers(now time.Time) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	silent := make(map[string]struct{})
	for addr, at := range s.lost {
		if now.Sub(at) < forgottenAfter {
			silent[addr] = struct{}{}
		}
	}
	for c := range s.open {
		if asked := c.asked.Load(); asked != 0 && now.UnixNano()-asked >= int64(silentAfter) {
			silent[c.addr] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(silent))
}

// answered forgets that connections to a broker were given up.
func (s *silence) answered(addr string) {
	if s.known.Load() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.lost, addr)
	s.known.Store(int64(len(s.lost)))
}

// closed forgets a connection, and remembers its broker if that was silent.
func (s *silence) closed(c *askedConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, first := s.open[c]; !first {
		return
	}
	delete(s.open, c)
	if asked := c.asked.Load(); asked != 0 && time.Now().UnixNano()-asked >= int64(silentAfter) {
		s.lost[c.addr] = time.Now()
		s.known.Store(int64(len(s.lost)))
	}
}

// askedConn knows since when it waits for an answer.
type askedConn struct {
	net.Conn
	silence *silence
	addr    string
	asked   atomic.Int64 // Unix time in nanoseconds; 0: nothing is asked
}

// Write implements net.Conn: it asks.
func (c *askedConn) Write(b []byte) (int, error) {
	c.asked.CompareAndSwap(0, time.Now().UnixNano())
	return c.Conn.Write(b)
}

// Read implements net.Conn: it hears.
func (c *askedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.asked.Store(0)
		c.silence.answered(c.addr)
	}
	return n, err
}

// Close implements net.Conn.
func (c *askedConn) Close() error {
	c.silence.closed(c)
	return c.Conn.Close()
}
