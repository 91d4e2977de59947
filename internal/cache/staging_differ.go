package cache

import (
	"context"
	"fmt"
)

// differLot is how many buckets one script compares: about a thousand subjects, and
// a millisecond or two of Redis' time.
const differLot = 64

// Difference is a subject whose live state is not the staged one. Either may be
// empty, and the live one anything at all.
type Difference struct {
	Field        string // of the subject; see [SubjectOf]
	Live, Staged string
}

// Differing are the differences of one bucket, at one moment.
type Differing struct {
	Bucket            int32
	LiveNext, NewNext int64 // the positions then
	All               []Difference
}

// Differences compares buckets of a partition and calls each with those that
// differ. It returns how many subjects are staged in the buckets. Where a position
// is missing, live or staged, the error is [ErrNothingStaged].
func (s *Staging) Differences(ctx context.Context, partition int32, buckets []int32, each func(Differing) error) (subjects int64, err error) {
	live, staged := s.live.Prefix(partition), s.layout.Prefix(partition)
	for len(buckets) > 0 {
		lot := buckets[:min(differLot, len(buckets))]
		buckets = buckets[len(lot):]
		args := append(newArgs(2+2*len(lot)), live+positionName, staged+positionName)
		for _, b := range lot {
			args = append(args, s.live.bucketKey(partition, b), s.layout.bucketKey(partition, b))
		}
		v, err := s.run(ctx, call(ctx, s.scripts.differ, 2+2*len(lot), args))
		if err == nil {
			var n int64
			n, err = takeDiffering(v, lot, each)
			subjects += n
		}
		if err != nil {
			return subjects, fmt.Errorf("compare partition %d of %s: %w", partition, s.live.Service, err)
		}
	}
	return subjects, nil
}

// takeDiffering takes a reply of differ.lua apart.
func takeDiffering(v any, lot []int32, each func(Differing) error) (subjects int64, err error) {
	values, _ := v.([]any)
	if len(values) < 3 {
		return 0, fmt.Errorf("redis answered %T instead of differences", v)
	}
	p := parser{values: values}
	subjects, _ = values[2].(int64)
	if p.text(0) == "" || p.text(1) == "" {
		return subjects, fmt.Errorf("%w: live at %q, staged at %q", ErrNothingStaged, p.text(0), p.text(1))
	}
	live, staged := p.int(0), p.int(1)
	for i := 3; i+1 < len(values) && p.err == nil; i += 2 {
		place, _ := values[i].(int64)
		found, _ := values[i+1].([]any)
		if place < 0 || int(place) >= len(lot) {
			return subjects, fmt.Errorf("redis answered bucket %d of %d", place, len(lot))
		}
		d := Differing{Bucket: lot[place], LiveNext: live, NewNext: staged}
		texts := parser{values: found}
		for j := 0; j+2 < len(found); j += 3 {
			d.All = append(d.All, Difference{Field: texts.text(j), Live: texts.text(j + 1), Staged: texts.text(j + 2)})
		}
		if texts.err != nil {
			return subjects, texts.err
		}
		if err := each(d); err != nil {
			return subjects, err
		}
	}
	return subjects, p.err
}
