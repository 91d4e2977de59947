package cekafka

import (
	"container/list"
	"sync"
)

// window is the records of one partition that are under way, in the order of
// the log. Neighbours that are done are kept as one, so its size is what is not
// done and not how much passed by.
type window struct {
	mu      sync.Mutex
	entries *list.List // of *entry
	last    int64      // offset that was added
	free    int64      // offset up to which all are done
	closed  bool

	committing chan struct{} // holds the one right to commit
	committed  int64
}

type entry struct {
	offset int64
	done   bool
}

func newWindow() *window {
	return &window{entries: list.New(), last: -1, free: -1, committing: make(chan struct{}, 1), committed: -1}
}

// follows says whether an offset continues the window.
func (w *window) follows(offset int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return offset > w.last
}

func (w *window) add(offset int64) *list.Element {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = offset
	return w.entries.PushBack(&entry{offset: offset})
}

// close ends the window: nothing of it is committed from now on.
func (w *window) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
}

// done marks an element and, if the front of the window has become free, has
// it committed.
func (w *window) done(e *list.Element, commit func(offset int64) error) error {
	if !w.release(e) {
		return nil
	}
	// One commit at a time, so that they only move forward, and of all that has
	// become free meanwhile. Not under mu: while the brokers are slow, records
	// are still received.
	w.committing <- struct{}{}
	defer func() { <-w.committing }()
	offset := w.freeOffset()
	if offset == w.committed {
		return nil
	}
	if err := commit(offset); err != nil {
		return err
	}
	w.committed = offset
	return nil
}

func (w *window) freeOffset() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.free
}

// release marks an element and says whether the front of the window has become
// free by it.
func (w *window) release(e *list.Element) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	e.Value.(*entry).done = true
	if before := e.Prev(); before != nil && before.Value.(*entry).done {
		w.entries.Remove(before)
	}
	if next := e.Next(); next != nil && next.Value.(*entry).done {
		w.entries.Remove(e)
		e = next
	}
	if e != w.entries.Front() {
		return false
	}
	w.free = e.Value.(*entry).offset
	w.entries.Remove(e)
	return true
}
