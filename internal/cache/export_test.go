package cache

import "math"

// Distrust makes the next batch of a partition take the careful way, as if
// newer states might be stored.
func (r *Redis) Distrust(partition int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.learned[partition]
	l.top = math.MaxInt64
	r.learned[partition] = l
}
