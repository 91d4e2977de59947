package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kelisim/kelisim/events"
)

// Memory is a [Store] in the memory of one process, for tests and as the model
// that the scripts are compared with. Nothing in it survives.
type Memory struct {
	layout Layout
	now    func() time.Time

	mu         sync.Mutex
	partitions map[int32]*memoryPartition
	policies   Policies
}

// memoryPartition is one partition's keys.
type memoryPartition struct {
	mark   Mark // Acted is worked out from the outbox; without an epoch nobody claimed it
	states map[events.Subject]events.State
	outbox map[events.Subject]int64
	held   map[events.Subject]holds
	policy string // revision that came with the freshness
	sweep  Sweep
	torso  bool // begun where the log had lost its beginning
}

// NewMemory returns an empty store. It measures freshness by now; nil means
// [time.Now].
func NewMemory(layout Layout, now func() time.Time) (*Memory, error) {
	if err := layout.Validate(); err != nil {
		return nil, err
	}
	if now == nil {
		now = time.Now
	}
	return &Memory{layout: layout, now: now, partitions: make(map[int32]*memoryPartition)}, nil
}

// Flush forgets everything, as FLUSHALL does.
func (m *Memory) Flush() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.partitions)
	m.policies = Policies{}
}

// partition returns the keys of a partition. The caller holds the lock.
func (m *Memory) partition(p int32) *memoryPartition {
	at := m.partitions[p]
	if at == nil {
		at = &memoryPartition{
			states: make(map[events.Subject]events.State),
			outbox: make(map[events.Subject]int64),
			held:   make(map[events.Subject]holds),
		}
		m.partitions[p] = at
	}
	return at
}

// Claim implements [Store].
func (m *Memory) Claim(_ context.Context, partition int32) (Mark, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if partition < 0 || partition >= m.layout.Partitions {
		return Mark{}, fmt.Errorf("claim partition %d of %d: not there", partition, m.layout.Partitions)
	}
	at := m.partition(partition)
	at.mark.Epoch = max(at.mark.Epoch+1, m.now().UnixMicro())
	return at.present(), nil
}

// Begin implements [Store].
func (m *Memory) Begin(_ context.Context, partition int32, epoch, from int64) (Mark, error) {
	return m.begins(partition, epoch, from, false)
}

// BeginTorso implements [Store].
func (m *Memory) BeginTorso(_ context.Context, partition int32, epoch, from int64) (Mark, error) {
	return m.begins(partition, epoch, from, true)
}

func (m *Memory) begins(partition int32, epoch, from int64, torso bool) (Mark, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.partition(partition)
	if err := at.owned(partition, epoch, from); err != nil {
		return at.present(), err
	}
	at.mark = Mark{Known: true, Next: from, Epoch: epoch, Receipted: at.mark.Receipted}
	at.torso = torso
	for s, state := range at.states {
		at.mark.Digest = at.mark.Digest.Swap(s, events.State{}, state)
	}
	return at.present(), nil
}

// Load implements [Store].
func (m *Memory) Load(_ context.Context, partition int32, subjects []events.Subject) ([]events.State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	states := make([]events.State, len(subjects))
	for i, s := range subjects {
		states[i] = m.partition(partition).states[s]
	}
	return states, nil
}

// Write implements [Store].
func (m *Memory) Write(_ context.Context, batches []Batch) []Result {
	m.mu.Lock()
	defer m.mu.Unlock()
	results := make([]Result, len(batches))
	for i := range batches {
		b := &batches[i]
		if results[i].Err = b.validate(m.layout); results[i].Err == nil {
			at := m.partition(b.Partition)
			results[i].Skipped, results[i].Err = at.write(b, events.MillisOf(m.now()))
			results[i].Mark = at.present()
			if errors.Is(results[i].Err, ErrMoved) && b.arrived(results[i].Mark) {
				results[i].Err = nil
			}
		}
	}
	return results
}

func (at *memoryPartition) write(b *Batch, now events.Millis) (skipped int, err error) {
	if err := at.standsAt(b.Partition, b.Epoch, b.From); err != nil {
		return 0, err
	}
	newer := make([]bool, len(b.Changes))
	for i := range b.Changes {
		if newer[i], err = b.Changes[i].follows(at.states[b.Changes[i].Subject]); err != nil {
			return 0, fmt.Errorf("partition %d: %w", b.Partition, err)
		}
	}
	for i := range b.Changes {
		c := &b.Changes[i]
		if !newer[i] {
			skipped++
			continue
		}
		at.mark.Digest = at.mark.Digest.Swap(c.Subject, c.Prev, c.State)
		at.states[c.Subject] = c.State
		if first, waits := at.outbox[c.Subject]; c.Act && (!waits || c.since() < first) {
			at.outbox[c.Subject] = c.since()
		}
	}
	for _, h := range b.Holds {
		at.hold(h)
	}
	at.mark.Next, at.mark.Stage = b.To, b.Stage
	at.renew(b.Proved, b.Receipted, now)
	at.policy = b.Policy
	return skipped, nil
}

// Refresh implements [Store].
func (m *Memory) Refresh(_ context.Context, proofs []Proof) []Result {
	m.mu.Lock()
	defer m.mu.Unlock()
	results := make([]Result, len(proofs))
	for i, p := range proofs {
		at := m.partition(p.Partition)
		if results[i].Err = at.standsAt(p.Partition, p.Epoch, p.Next); results[i].Err == nil {
			at.renew(p.Proved, p.Receipted, events.MillisOf(m.now()))
			at.policy = p.Policy
		}
		results[i].Mark = at.present()
	}
	return results
}

// Pending implements [Store].
func (m *Memory) Pending(_ context.Context, partition int32, limit int) ([]Pending, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.partition(partition)
	waiting := make([]Pending, 0, len(at.outbox))
	for s, offset := range at.outbox {
		waiting = append(waiting, Pending{Subject: s, State: at.states[s], Offset: offset})
	}
	slices.SortFunc(waiting, func(a, b Pending) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Subject.Reveal(), b.Subject.Reveal()))
	})
	return waiting[:min(limit, len(waiting))], nil
}

// Done implements [Store].
func (m *Memory) Done(_ context.Context, partition int32, epoch int64, acted []Pending) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.partition(partition)
	if err := at.owned(partition, epoch, 0); err != nil {
		return 0, err
	}
	for _, p := range acted {
		if offsetOf(at.states[p.Subject]) == offsetOf(p.State) {
			delete(at.outbox, p.Subject)
		}
	}
	return at.present().Acted, nil
}

// Hold implements [Store].
func (m *Memory) Hold(_ context.Context, s events.Subject, at events.Position) error {
	return m.lay(Hold{Subject: s, At: at})
}

// Release implements [Store].
func (m *Memory) Release(_ context.Context, s events.Subject, at events.Position) error {
	return m.lay(Hold{Subject: s, At: at, Release: true})
}

func (m *Memory) lay(h Hold) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.partition(m.layout.PartitionOf(h.Subject)).hold(h)
	return nil
}

// Lookup implements [Store].
func (m *Memory) Lookup(_ context.Context, s events.Subject) (View, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.layout.PartitionOf(s)
	at := m.partition(p)
	return View{
		State:      at.states[s],
		Held:       at.held[s].held(),
		Known:      at.mark.Known,
		Generation: m.layout.Generation,
		Partition:  p,
		Next:       at.mark.Next,
		Fresh:      at.mark.Fresh,
		Now:        events.MillisOf(m.now()),
		Policy:     at.policy,
		Stage:      at.mark.Stage,
	}, nil
}

func (at *memoryPartition) hold(h Hold) {
	switch {
	case h.Subject.IsZero():
	case h.Release:
		at.held[h.Subject] = at.held[h.Subject].release(h.At)
	default:
		at.held[h.Subject] = at.held[h.Subject].hold(h.At)
	}
}

// renew moves freshness forward, never ahead of the clock.
func (at *memoryPartition) renew(proved time.Time, receipted int64, now events.Millis) {
	if at.mark.Fresh > now+maxClockSkew {
		at.mark.Fresh = 0
	}
	at.mark.Fresh = min(at.mark.Fresh, now)
	if at.torso {
		at.mark.Fresh = 0
	} else if !proved.IsZero() {
		at.mark.Fresh = max(at.mark.Fresh, min(events.MillisOf(proved), now))
	}
	at.mark.Receipted = max(at.mark.Receipted, receipted)
}

func (at *memoryPartition) owned(partition int32, epoch, expected int64) error {
	switch {
	case at.mark.Epoch == 0:
		return &MovedError{Partition: partition, Expected: expected}
	case at.mark.Epoch != epoch:
		return fmt.Errorf("partition %d: %w", partition, ErrFenced)
	}
	return nil
}

func (at *memoryPartition) standsAt(partition int32, epoch, next int64) error {
	if err := at.owned(partition, epoch, next); err != nil {
		return err
	}
	if m := at.present(); !m.Known || m.Next != next {
		return &MovedError{Partition: partition, Expected: next, Mark: m}
	}
	return nil
}

// present returns the mark with Acted filled in.
func (at *memoryPartition) present() Mark {
	m := at.mark
	if !m.Known {
		return Mark{Epoch: m.Epoch}
	}
	m.Acted = m.Next
	for _, offset := range at.outbox {
		m.Acted = min(m.Acted, offset)
	}
	return m
}
