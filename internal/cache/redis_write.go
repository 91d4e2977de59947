package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// A script blocks Redis for 2 to 4 µs per change (docs/decisions/0003), and with
// it every check of every guard: 200 changes stay under a millisecond. Whoever is
// far behind has no fresh answers to delay.
const (
	liveChunk = 200
	wideChunk = 500
)

// maxAttempts bounds how often Write sends a batch: as it is, with scripts newly
// loaded, with a doubt resolved, and the careful way.
const maxAttempts = 5

// Write implements [Store].
func (r *Redis) Write(ctx context.Context, batches []Batch) []Result {
	results := make([]Result, len(batches))
	open := make([]int, 0, len(batches))
	for i := range batches {
		if results[i].Err = batches[i].validate(r.layout); results[i].Err == nil {
			open = append(open, i)
		}
	}
	for attempt := 1; len(open) > 0; attempt++ {
		open = r.attempt(ctx, batches, open, results, attempt == maxAttempts)
	}
	return results
}

// attempt sends the open batches and returns those to send again. Those whose states
// are laid in transactions come behind the others, which are short.
func (r *Redis) attempt(ctx context.Context, batches []Batch, open []int, results []Result, last bool) (again []int) {
	sent := make([]sending, len(open))
	for n, i := range open {
		sent[n].encoder = r.encoders.Get().(*encoder)
		r.begin(&batches[i], sent[n].encoder)
	}
	p := pages{client: r.client}
	for n := range sent {
		if !sent[n].bulk {
			sent[n].call(ctx, r.scripts.write, &p)
		}
	}
	p.send(ctx)
	r.fill(ctx, sent)
	for n := range sent {
		if sent[n].bulk && sent[n].failed == nil {
			sent[n].call(ctx, r.scripts.write, &p)
		}
	}
	p.send(ctx)
	received := time.Now()
	reload := false
	for n, i := range open {
		s := &sent[n]
		s.encoder.forget()
		r.encoders.Put(s.encoder)
		if s.failed != nil {
			results[i] = Result{Err: fmt.Errorf("partition %d: %w", batches[i].Partition, s.failed)}
			continue
		}
		missing, repeat := r.collect(ctx, &batches[i], s.cmds, received, &results[i])
		if (missing || repeat) && !last {
			again, reload = append(again, i), reload || missing
		}
	}
	if reload {
		if err := r.scripts.install(ctx, r.client); err != nil {
			return nil // the results already carry why
		}
	}
	return again
}

// sending is one batch on its way.
type sending struct {
	*encoder
	cmds   []*redis.Cmd
	failed error // of its transactions
}

// call adds the batch's scripts to the pages. Each is built when it is its turn.
func (s *sending) call(ctx context.Context, write *redis.Script, p *pages) {
	for k := range s.scripts {
		keys, args := s.script(k)
		s.cmds = append(s.cmds, call(ctx, write, keys, args))
		p.add(ctx, s.cmds[k])
	}
}

// collect reads the answers to one batch's scripts into its result, and says whether
// scripts were missing, or the batch must be sent again for another reason.
func (r *Redis) collect(ctx context.Context, b *Batch, cmds []*redis.Cmd, received time.Time, into *Result) (missing, repeat bool) {
	*into = Result{}
	for _, cmd := range cmds {
		reply, err := r.read(b.Partition, cmd, received)
		if err == nil {
			err = reply.failure(b.Partition, b.From)
			into.Mark = reply.mark
			if err == nil && !reply.mark.Known { // its outbox is of another type, and nothing had to go there
				err = fmt.Errorf("partition %d: %w", b.Partition, ErrDamaged)
			}
		}
		into.Skipped += int(reply.skipped)
		if err != nil {
			into.Err = err
			if errors.Is(err, ErrMoved) && b.arrived(reply.mark) {
				into.Err = nil // an earlier attempt, whose answer was lost, got through
			}
			if reply.code != codeDoubt {
				return noScript(err), reply.code == codeCareful
			}
			if err := r.resolve(ctx, b.Partition, b.Epoch); err != nil {
				into.Err = err
				return false, false
			}
			return false, true
		}
	}
	return false, false
}

// arrived says whether the batch is applied already: under one epoch only its
// owner moves the position, and never by half a batch.
func (b *Batch) arrived(m Mark) bool {
	return m.Known && m.Epoch == b.Epoch && m.Next == b.To && b.To > b.From
}

// begin prepares the scripts of a batch: its changes in chunks, and what is for the
// end of it in the last one.
func (r *Redis) begin(b *Batch, e *encoder) {
	known, _ := r.know(b.Partition)
	e.batch, e.prefix = b, r.layout.Prefix(b.Partition)
	e.careful = b.From < known.top || b.reachesBack()
	e.bulk = b.Wide && !e.careful && len(b.Changes) > 0 && r.transacts
	e.proved = r.proved(b.Partition, b.Proved)
	e.attempt = itoa(r.attempts.Add(1))
	e.size = liveChunk
	if b.Wide {
		e.size = wideChunk
	}
	e.prepare(r.layout)
}

// reachesBack says whether a change is older than the batch. The position says
// nothing about such a one, so its version is compared.
func (b *Batch) reachesBack() bool {
	return slices.ContainsFunc(b.Changes, func(c Change) bool { return offsetOf(c.State) < b.From })
}

// slice returns the k-th part of all, of at most size; the last parts may be empty.
func slice[T any](all []T, k, size int) []T {
	return all[min(k*size, len(all)):min((k+1)*size, len(all))]
}
