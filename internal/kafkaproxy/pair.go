package kafkaproxy

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const (
	produceKey = 0 // API key of Produce
	// maxFrame is larger than any frame of a test, and stops a misread length.
	maxFrame = 64 << 20
	// lastAnswer is how long a broker has to answer a request whose client is
	// gone, before the proxy gives up on it.
	lastAnswer = 10 * time.Second
)

// pair is one connection: the client's side and the broker's.
type pair struct {
	proxy  *Proxy
	client net.Conn
	broker net.Conn

	mu       sync.Mutex
	asked    map[int32]Fault // produce requests that the broker has not answered
	finished bool            // the client has closed its side
	settled  chan struct{}   // has room for one: the broker owes no answer any more
	once     sync.Once
}

// up carries requests to the broker until the client closes, and then waits
// until the broker has answered all of them.
func (c *pair) up() {
	defer c.close()
	for {
		frame, err := readFrame(c.client)
		if err != nil {
			break
		}
		if int16(binary.BigEndian.Uint16(frame[4:])) == produceKey {
			fault := c.proxy.faultOfNext()
			if fault.Hold != nil {
				<-fault.Hold
			}
			c.mu.Lock()
			c.asked[int32(binary.BigEndian.Uint32(frame[8:]))] = fault
			c.mu.Unlock()
		}
		if _, err := c.broker.Write(frame); err != nil {
			return
		}
	}
	c.mu.Lock()
	c.finished = true
	owed := len(c.asked)
	c.mu.Unlock()
	if owed == 0 {
		return
	}
	select {
	case <-c.settled:
	case <-time.After(lastAnswer):
	}
}

// down carries answers to the client.
func (c *pair) down() {
	defer c.proxy.forget(c)
	for {
		frame, err := readFrame(c.broker)
		if err != nil {
			c.closeClient()
			return
		}
		fault := c.answered(int32(binary.BigEndian.Uint32(frame[4:])))
		switch {
		case fault.LoseAnswer:
		case fault.Cut:
			c.closeClient()
		default:
			_, _ = c.client.Write(frame) // the client may be gone; go on for what is still owed
		}
	}
}

func (c *pair) answered(correlation int32) Fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	fault := c.asked[correlation]
	delete(c.asked, correlation)
	if c.finished && len(c.asked) == 0 {
		select {
		case c.settled <- struct{}{}:
		default:
		}
	}
	return fault
}

func (c *pair) closeClient() { _ = c.client.Close() } // a test connection: nobody minds

func (c *pair) close() {
	c.once.Do(func() {
		c.closeClient()
		_ = c.broker.Close() // likewise
	})
}

// readFrame reads one frame with its length.
func readFrame(r io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n < 4 || n > maxFrame {
		return nil, fmt.Errorf("frame of %d bytes", n)
	}
	frame := make([]byte, 4+n)
	copy(frame, size[:])
	if _, err := io.ReadFull(r, frame[4:]); err != nil {
		return nil, err
	}
	return frame, nil
}
