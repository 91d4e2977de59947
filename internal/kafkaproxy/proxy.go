// Package kafkaproxy stands between a Kafka client and its brokers and makes the
// network misbehave on purpose: it loses the answer to a produce request, cuts
// the connection instead of answering, or holds a request back and delivers it
// late, even when the client has long given up on it and sent another one.
//
// It knows Kafka's frames, and of their content only the API key and the
// correlation id. Connections must be plain text. A client goes through it by
// using Proxy.Dial as its dial function, so advertised addresses need no
// rewriting and no port is opened.
//
// Only tests import it.
package kafkaproxy

import (
	"context"
	"net"
	"sync"
)

// Fault is what happens to one produce request. The zero Fault is none.
type Fault struct {
	// Hold keeps the request until the channel is closed. Later frames of the
	// same connection wait behind it; other connections pass. It reaches the
	// broker even if the client closes the connection meanwhile.
	Hold <-chan struct{}
	// LoseAnswer lets the request through and swallows the broker's answer. The
	// connection stays open, so the client has to time out.
	LoseAnswer bool
	// Cut lets the request through and closes the connection when the broker
	// answers.
	Cut bool
}

// Proxy hands out connections that misbehave by plan.
type Proxy struct {
	mu       sync.Mutex
	plan     func(n int) Fault
	produced int
	pairs    map[*pair]struct{}
	work     sync.WaitGroup
}

// New makes a proxy. plan is asked for every produce request, counted from 1
// over all connections, one at a time; nil means no faults.
func New(plan func(n int) Fault) *Proxy {
	return &Proxy{plan: plan, pairs: make(map[*pair]struct{})}
}

// Begin changes the plan and counts produce requests from 1 again: for a client
// that was first let find its leaders and open its connections.
func (p *Proxy) Begin(plan func(n int) Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan, p.produced = plan, 0
}

// Dial connects to a broker through the proxy.
func (p *Proxy) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	broker, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	client, inner := net.Pipe()
	c := &pair{proxy: p, client: inner, broker: broker, asked: make(map[int32]Fault), settled: make(chan struct{}, 1)}
	p.mu.Lock()
	p.pairs[c] = struct{}{}
	p.mu.Unlock()
	p.work.Go(c.up)
	p.work.Go(c.down)
	return client, nil
}

// Produced is the number of produce requests seen under the present plan.
func (p *Proxy) Produced() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.produced
}

// Drain waits until every connection that its client has closed has delivered
// what it held back, and the broker has answered. Held requests must have been
// let go, and the clients closed.
func (p *Proxy) Drain() { p.work.Wait() }

// Close closes all connections.
func (p *Proxy) Close() {
	p.mu.Lock()
	for c := range p.pairs {
		c.close()
	}
	p.mu.Unlock()
	p.work.Wait()
}

func (p *Proxy) faultOfNext() Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.produced++
	if p.plan == nil {
		return Fault{}
	}
	return p.plan(p.produced)
}

func (p *Proxy) forget(c *pair) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.pairs, c)
}
