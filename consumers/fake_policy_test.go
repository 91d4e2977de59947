package consumers

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/kelisim/kelisim/events/policy"
)

// fakePolicy is what a follower would know, told by a test.
type fakePolicy struct {
	t     testing.TB
	topic []*policy.Catalogue

	mu         sync.Mutex
	read       int  // of the topic
	unread     bool // the topic cannot be read
	book       *policy.Book
	current    *policy.Edition
	superseded chan struct{}
}

func newFakePolicy(t testing.TB, versions ...*policy.Catalogue) *fakePolicy {
	p := &fakePolicy{t: t, book: new(policy.Book), superseded: make(chan struct{})}
	p.current = p.book.Edition(time.Now())
	p.publish(versions...)
	p.follow()
	return p
}

// publish appends to the topic; nobody has read it yet.
func (p *fakePolicy) publish(versions ...*policy.Catalogue) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.topic = append(p.topic, versions...)
}

// follow reads the topic to its end, and looks at the calendar.
func (p *fakePolicy) follow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.topic[p.read:] {
		p.book, _ = p.book.With(c) // what is refused changes nothing
	}
	p.read = len(p.topic)
	if e := p.book.Edition(time.Now()); e.Mark() != p.current.Mark() {
		p.current = e
		close(p.superseded)
		p.superseded = make(chan struct{})
	}
}

func (p *fakePolicy) lose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unread = true
}

func (p *fakePolicy) Current() *policy.Edition {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current
}

func (p *fakePolicy) Superseded(e *policy.Edition) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == e {
		return p.superseded
	}
	c := make(chan struct{})
	close(c)
	return c
}

// Proved implements Policy: whatever was published is read.
func (p *fakePolicy) Proved() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unread || p.read < len(p.topic) {
		return time.Time{}
	}
	return time.Now()
}

func (p *fakePolicy) CatchUp(context.Context) error {
	p.mu.Lock()
	unread := p.unread
	p.mu.Unlock()
	if unread {
		return errors.New("the topic cannot be read")
	}
	p.follow()
	return nil
}
