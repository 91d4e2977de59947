package stream

import "context"

// LogStart asks for the first offset that the log of a partition still has.
func (s *Session) LogStart(ctx context.Context, partition int32) (int64, error) {
	first, err := s.fetcher.links.offsetsAt(ctx, timestampFirst, []int32{partition})
	return first[partition], err
}
