package embedded

import (
	"encoding/binary"
	"fmt"
	"net"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// requestHeadLen is what a connection reads of each request frame: size, API key, API version and correlation id.
const requestHeadLen = 4 + 2 + 2 + 4

// wireListener hands out connections that show append times to clients, and closes them when it is closed: a node that
// leaves the cluster takes its connections along, which kfake alone does not do.
type wireListener struct {
	net.Listener
	times *appendTimes

	mu     sync.Mutex
	conns  map[*wireConn]struct{}
	closed bool
}

// Accept waits for the next client.
func (l *wireListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &wireConn{Conn: conn, listener: l, asked: make(map[int32]asked)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = conn.Close()
	}
	l.conns[c] = struct{}{}
	return c, nil
}

// Close stops listening and closes every connection.
func (l *wireListener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for c := range l.conns {
		_ = c.Conn.Close()
	}
	return l.Listener.Close()
}

// wireConn watches the requests that kfake reads, so that it can tell what a response frame is, and changes produce and
// fetch responses on their way out. kfake writes each response with one Write.
type wireConn struct {
	net.Conn
	listener *wireListener

	head []byte // the part of the current request's head read so far
	skip int    // bytes left of the current request's body

	mu    sync.Mutex
	asked map[int32]asked
}

// asked is a request that has not been answered yet.
type asked struct{ key, version int16 }

// Close closes the connection.
func (c *wireConn) Close() error {
	c.listener.mu.Lock()
	delete(c.listener.conns, c)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}

// Read passes the client's bytes on and notes each request's head.
func (c *wireConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	for seen := p[:n]; len(seen) > 0; {
		if c.skip > 0 {
			k := min(c.skip, len(seen))
			c.skip -= k
			seen = seen[k:]
			continue
		}
		k := min(requestHeadLen-len(c.head), len(seen))
		c.head = append(c.head, seen[:k]...)
		seen = seen[k:]
		if len(c.head) == requestHeadLen {
			c.note()
		}
	}
	return n, err
}

func (c *wireConn) note() {
	const sizeLen = 4
	size := int(binary.BigEndian.Uint32(c.head))
	key := int16(binary.BigEndian.Uint16(c.head[4:]))
	if key == int16(kmsg.Produce) || key == int16(kmsg.Fetch) {
		c.mu.Lock()
		c.asked[int32(binary.BigEndian.Uint32(c.head[8:]))] = asked{key, int16(binary.BigEndian.Uint16(c.head[6:]))}
		c.mu.Unlock()
	}
	c.skip = max(size+sizeLen-requestHeadLen, 0)
	c.head = c.head[:0]
}

// Write passes one response frame on, with append times where they belong.
func (c *wireConn) Write(frame []byte) (int, error) {
	const headLen = 4 + 4
	if len(frame) < headLen {
		return c.Conn.Write(frame)
	}
	correlation := int32(binary.BigEndian.Uint32(frame[4:]))
	c.mu.Lock()
	req, ok := c.asked[correlation]
	delete(c.asked, correlation)
	c.mu.Unlock()
	if ok {
		if err := c.rewrite(req, frame[headLen:]); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(frame)
}

// rewrite changes a response body in place; nothing it writes changes the length.
func (c *wireConn) rewrite(req asked, body []byte) error {
	resp := kmsg.ResponseForKey(req.key)
	resp.SetVersion(req.version)
	if resp.IsFlexible() {
		body = body[1:] // kfake sends no tagged fields in the head: one zero byte
	}
	if err := resp.ReadFrom(body); err != nil {
		return fmt.Errorf("embedded kafka: response for key %d version %d: %w", req.key, req.version, err)
	}
	switch resp := resp.(type) {
	case *kmsg.FetchResponse: // its record sets are slices of body
		for _, rt := range resp.Topics {
			for _, rp := range rt.Partitions {
				show(rp.RecordBatches)
			}
		}
	case *kmsg.ProduceResponse:
		if c.listener.times.answer(resp) {
			copy(body, resp.AppendTo(nil))
		}
	}
	return nil
}
