package cache

import (
	"context"
	"math"
)

// Limits that tests go beyond.
const (
	PageArgs  = pageArgs
	LiveChunk = liveChunk
	FillChunk = fillChunk
	Fillers   = fillers
)

// Distrust makes the next batch of a partition take the careful way, as if
// newer states might be stored.
func (r *Redis) Distrust(partition int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.learned[partition]
	l.top = math.MaxInt64
	r.learned[partition] = l
}

// Encode builds the scripts of a batch and sends none.
func (r *Redis) Encode(ctx context.Context, b *Batch) int {
	e := r.encoders.Get().(*encoder)
	defer r.encoders.Put(e)
	defer e.forget()
	r.begin(b, e)
	for k := range e.scripts {
		keys, args := e.script(k)
		call(ctx, r.scripts.write, keys, args)
	}
	return e.scripts
}

// Validate says what is wrong with a batch.
func (b *Batch) Validate(l Layout) error { return b.validate(l) }
