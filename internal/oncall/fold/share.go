package fold

import (
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
)

// Share is a range of a partition's buckets, and so of its subjects: which share a
// subject belongs to never changes.
type Share struct {
	From, To int32 // buckets, To exclusive
	all      int32
}

// Whole returns the share that is everybody.
func Whole(l cache.Layout) Share { return Share{0, l.Buckets, l.Buckets} }

// Has says whether the share has a bucket.
func (s Share) Has(bucket int32) bool { return s.From <= bucket && bucket < s.To }

// Last says whether the share cannot be made smaller.
func (s Share) Last() bool { return s.To-s.From <= 1 }

// Lower returns the lower half.
func (s Share) Lower() Share { return Share{s.From, s.From + (s.To-s.From)/2, s.all} }

// Rest returns what comes behind the share, as large as it is at most: larger ones
// had too many subjects. Nothing is left when ok is false.
func (s Share) Rest() (rest Share, ok bool) {
	return Share{s.To, min(s.To+(s.To-s.From), s.all), s.all}, s.To < s.all
}

// Whole says whether the share is everybody.
func (s Share) Whole() bool { return s.From == 0 && s.To == s.all }

// HasKey says whether the share has a record, by its key.
func (s Share) HasKey(l cache.Layout, key []byte) bool {
	return s.Whole() || s.Has(events.PartitionOf(key, l.Partitions*l.Buckets)/l.Partitions)
}
