package consumers

import (
	"context"
	"time"
)

// parkSoon is how long a lane's writer waits for the parked topic: many times what
// an acknowledgement takes, and little beside the three seconds after which guards
// deny as stale. What takes longer waits beside the lane.
const parkSoon = 100 * time.Millisecond

// aside is the part of a writer that waits for the parked topic. A batch with
// something to park is stored after that is acknowledged, and the later batches of
// its partition behind it. The lane's other partitions never wait for it.
type aside struct {
	waiting map[int32][]batch // by partition, in order; the first is being parked
	parked  chan outcome
	paused  map[int32]bool
}

// outcome says that the first waiting batch of a partition is parked, or why it
// never will be in this session.
type outcome struct {
	partition int32
	err       error
}

func newAside() aside {
	return aside{waiting: make(map[int32][]batch), parked: make(chan outcome), paused: make(map[int32]bool)}
}

// write stores what can be stored now, and begins to keep aside what cannot be
// applied. What the parked topic acknowledges soon is stored too.
func (w *writer) write(ctx context.Context, window []batch) error {
	var open []batch
	begun := 0
	for _, b := range window {
		waiting, waits := w.aside.waiting[b.Partition]
		switch {
		case waits:
			w.aside.waiting[b.Partition] = append(waiting, b)
		case len(b.parked) > 0:
			w.aside.waiting[b.Partition] = []batch{b}
			w.park(ctx, b)
			begun++
		default:
			open = append(open, b)
		}
	}
	if err := w.store(ctx, open); err != nil {
		return err
	}
	return w.awaitParked(ctx, begun)
}

// park keeps a batch's records aside, beside the lane.
func (w *writer) park(ctx context.Context, b batch) {
	w.parking.Go(func() {
		err := w.keepAside(ctx, b.parked)
		select {
		case w.aside.parked <- outcome{b.Partition, err}:
		case <-ctx.Done():
		}
	})
}

// awaitParked waits a little for n batches that are being parked, and stores those
// that are. The partitions of the others pause.
func (w *writer) awaitParked(ctx context.Context, n int) error {
	if n == 0 {
		return nil
	}
	soon := time.NewTimer(parkSoon)
	defer soon.Stop()
	var done []int32
	for len(done) < n {
		select {
		case o := <-w.aside.parked:
			if o.err != nil {
				return o.err
			}
			done = append(done, o.partition)
			if w.aside.paused[o.partition] {
				n++ // it is none of the n
			}
			continue
		case <-ctx.Done():
			return ctx.Err()
		case <-soon.C:
		}
		break
	}
	if err := w.goOn(ctx, done); err != nil {
		return err
	}
	for id, waiting := range w.aside.waiting {
		if err := w.pause(ctx, id, &waiting[0]); err != nil {
			return err
		}
	}
	return nil
}

// parkedLate goes on with a partition that has waited.
func (w *writer) parkedLate(ctx context.Context, o outcome) error {
	if o.err != nil {
		return o.err
	}
	return w.goOn(ctx, []int32{o.partition})
}

// goOn stores the first batch of each partition, which is parked, and what waits
// behind it, up to the next that has something to park.
func (w *writer) goOn(ctx context.Context, ids []int32) error {
	for len(ids) > 0 {
		first := make([]batch, len(ids))
		for i, id := range ids {
			first[i] = w.aside.waiting[id][0]
		}
		if err := w.store(ctx, first); err != nil {
			return err
		}
		next := ids[:0]
		for i, id := range ids {
			rest := w.aside.waiting[id][1:]
			w.aside.waiting[id] = rest
			switch {
			case len(rest) == 0:
				delete(w.aside.waiting, id)
				if err := w.resume(ctx, id, &first[i]); err != nil {
					return err
				}
			case len(rest[0].parked) > 0:
				w.park(ctx, rest[0])
			default:
				next = append(next, id)
			}
		}
		ids = next
	}
	return nil
}

// pause has the reader leave a partition alone until what waits is stored: without
// a proof of freshness it is denied after three seconds, and memory stays bounded.
func (w *writer) pause(ctx context.Context, id int32, first *batch) error {
	if w.aside.paused[id] {
		return nil
	}
	w.aside.paused[id] = true
	positions := make([]string, 0, maxNamed)
	for i := range first.parked[:min(len(first.parked), maxNamed)] {
		positions = append(positions, first.parked[i].at.Position.String())
	}
	w.log.Error("a partition waits until the parked topic takes what cannot be applied; others go on",
		"partition", id, "topic", w.cfg.ParkedTopic, "records", len(first.parked), "positions", positions)
	return w.ask(ctx, first, pause)
}

// maxNamed is how many positions a log line names.
const maxNamed = 5

func (w *writer) resume(ctx context.Context, id int32, last *batch) error {
	if !w.aside.paused[id] {
		return nil
	}
	delete(w.aside.paused, id)
	w.log.Info("the partition goes on: the parked topic took what cannot be applied", "partition", id)
	return w.ask(ctx, last, resume)
}

// ask tells the reader what to do with a partition.
func (w *writer) ask(ctx context.Context, b *batch, what wish) error {
	select {
	case w.lane.wishes <- wished{b.partition, what}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wish is what a writer asks of its reader.
type wish uint8

const (
	pause wish = iota
	resume
)

type wished struct {
	partition *partition
	wish
}

// follow does what the writer wishes. Whoever was left alone is read on from where
// the fold stands.
func (r *reader) follow(w wished) error {
	p := w.partition
	p.paused = w.wish == pause
	if p.paused {
		return nil
	}
	return r.session.Seek(p.id, p.next)
}
