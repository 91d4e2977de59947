package cachetest

import (
	"pgregory.net/rapid"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
)

// The steps of an engine's life, each done to the store and to its model.

func (p *pair) grow() {
	purposes := []events.Purpose{"promotion", "research", "surveys", "targeted-ads"}
	for range rapid.IntRange(1, 20).Draw(p.t, "events") {
		kind := rapid.SampledFrom([]events.Type{events.Granted, events.Withdrawn}).Draw(p.t, "type")
		p.log.Append(kind, rapid.IntRange(0, 11).Draw(p.t, "subject"), rapid.SampledFrom(purposes).Draw(p.t, "purpose"))
	}
}

// write folds what is stored on, or repeats the last batch, or lies about where it starts.
func (p *pair) write() {
	from := p.mark[0].Next
	to := min(int64(len(p.log.Events)), from+int64(rapid.IntRange(0, 30).Draw(p.t, "width")))
	b := cache.Batch{Partition: partition, From: from, To: to, Wide: rapid.Bool().Draw(p.t, "wide")}
	switch rapid.IntRange(0, 5).Draw(p.t, "kind") {
	case 0:
		b.From, b.Changes = p.lastFrom, p.last
	case 1:
		b.From = max(0, from-1)
	default:
		if to > from {
			b.Changes = p.log.Fold(p.stored(), from, to)
			p.last, p.lastFrom = b.Changes, from
		}
	}
	for i := range b.Changes {
		b.Changes[i].Act = rapid.Bool().Draw(p.t, "act")
	}
	for range rapid.IntRange(0, 2).Draw(p.t, "holds") {
		b.Holds = append(b.Holds, p.drawHold())
	}
	b.Receipted = rapid.Int64Range(0, to).Draw(p.t, "receipted")
	b.Policy = rapid.SampledFrom([]string{"one", "two"}).Draw(p.t, "policy")
	p.both("write", func(i int, s cache.Store) (any, error) {
		b := b
		b.Epoch = p.mark[i].Epoch
		r := s.Write(p.ctx, []cache.Batch{b})[0]
		p.keep(i, r)
		return []any{plain(r.Mark), r.Skipped}, r.Err
	})
}

// stored loads all states, as an engine does that keeps none.
func (p *pair) stored() map[events.Subject]events.State {
	states, err := p.model.Store.Load(p.ctx, partition, p.log.Subjects)
	p.must(err)
	all := make(map[events.Subject]events.State)
	for i, s := range p.log.Subjects {
		all[s] = states[i]
	}
	return all
}

func (p *pair) refresh() {
	next := p.mark[0].Next + int64(rapid.IntRange(0, 1).Draw(p.t, "off by"))
	p.both("refresh", func(i int, s cache.Store) (any, error) {
		proof := cache.Proof{Partition: partition, Epoch: p.mark[i].Epoch, Next: next, Proved: now(), Receipted: next, Policy: "three"}
		r := s.Refresh(p.ctx, []cache.Proof{proof})[0]
		p.keep(i, r)
		return plain(r.Mark), r.Err
	})
}

func (p *pair) claim() {
	p.both("claim", func(i int, s cache.Store) (any, error) {
		m, err := s.Claim(p.ctx, partition)
		p.mark[i] = m
		return plain(m), err
	})
	if !p.mark[0].Known {
		p.begin()
	}
}

func (p *pair) begin() {
	at := int64(rapid.IntRange(0, int(p.mark[0].Next)).Draw(p.t, "at"))
	p.both("begin", func(i int, s cache.Store) (any, error) {
		m, err := s.Begin(p.ctx, partition, p.mark[i].Epoch, at)
		if err == nil {
			p.mark[i] = m
		}
		return plain(m), err
	})
}

func (p *pair) act() {
	limit := rapid.IntRange(0, 5).Draw(p.t, "limit")
	p.both("act", func(i int, s cache.Store) (any, error) {
		waiting, err := s.Pending(p.ctx, partition, limit)
		p.must(err)
		acted, err := s.Done(p.ctx, partition, p.mark[i].Epoch, waiting)
		return []any{len(waiting), acted}, err
	})
}

func (p *pair) hold() {
	h := p.drawHold()
	p.both("hold", func(_ int, s cache.Store) (any, error) {
		if h.Release {
			return nil, s.Release(p.ctx, h.Subject, h.At)
		}
		return nil, s.Hold(p.ctx, h.Subject, h.At)
	})
}

// owe puts what stands in some buckets into the outbox.
func (p *pair) owe() {
	first := int32(rapid.IntRange(0, int(Layout().Buckets)).Draw(p.t, "bucket"))
	note := cache.Sweep{Mark: "two/1", Open: rapid.Bool().Draw(p.t, "open")}
	p.both("owe", func(i int, s cache.Store) (any, error) {
		states, _, err := s.States(p.ctx, partition, first, 4)
		p.must(err)
		err = s.Owe(p.ctx, partition, p.mark[i].Epoch, states, note)
		swept, err2 := s.Swept(p.ctx, partition)
		p.must(err2)
		return []any{len(states), swept}, err
	})
}

// holdable is how many of the subjects are ever held and looked up.
const holdable = 3

func (p *pair) drawHold() cache.Hold {
	return cache.Hold{
		Subject: p.log.Subjects[rapid.IntRange(0, holdable-1).Draw(p.t, "held")],
		At:      p.log.At(int64(rapid.IntRange(0, 40).Draw(p.t, "position"))),
		Release: rapid.Bool().Draw(p.t, "release"),
	}
}

// flush deletes everything behind the engine's back.
func (p *pair) flush() {
	if p.stalled {
		p.t.SkipNow()
	}
	p.steps = append(p.steps, "flush")
	p.model.Flush()
	p.real.Flush()
	p.mark = [2]cache.Mark{}
}
