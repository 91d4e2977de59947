package stream

import "time"

// Watch is told what happens while reading, for metrics and alarms. Every field may be nil. The functions
// are called from the reading goroutines: they must return at once and must not call back.
type Watch struct {
	// OutOfRange: a partition stands still because the log does not have its position. An alarm.
	OutOfRange func(*OutOfRangeError)
	// Corrupt: a partition stands still in front of a batch that cannot be read. An alarm.
	Corrupt func(*CorruptError)
	// Stall: partitions were behind or unheard of for too long and the connections are rebuilt.
	Stall func(Stall)
	// Lost: the connection to a broker broke, or a request failed; it is tried again.
	Lost func(broker int32, err error)
	// Moved: a broker no longer leads a partition; the new leader is being asked for.
	Moved func(partition int32, err error)
	// Rebalance: a generation of the group has begun with these partitions for this member.
	Rebalance func(generation int32, partitions []int32)
	// GroupError: joining the group, or staying in it, failed; it is tried again.
	GroupError func(error)
	// Commit: offsets were written to the group (err nil), or were not; they are a hint, so a failure
	// costs at most some reading again.
	Commit func(partitions int, err error)
}

// Stall is what the watchdog saw.
type Stall struct {
	// Partitions that did not move.
	Partitions []int32
	// Behind is how far they are behind what the broker last said, in offsets.
	Behind int64
	// Since is when the first of them moved last, or was last heard of.
	Since time.Time
}
