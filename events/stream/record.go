package stream

import "github.com/kelisim/kelisim/events/stream/recordbatch"

// Record is one record of a partition, as views into a Fetch: it is valid until the Fetch is released.
// Partition, Offset, Time (milliseconds; LogAppend tells whose), Key, Value (nil is null, empty is empty)
// and Headers are read straight from the bytes that the broker sent.
type Record = recordbatch.Record

// Headers are the headers of a record in their encoded form; walk them with Next or All.
type Headers = recordbatch.Headers

// Batch is what one answer held of one partition.
type Batch struct {
	// Partition it belongs to.
	Partition int32
	// From is the offset that was asked for. Answers of one partition follow each other without a gap: From
	// is the Next of the one before, or the offset of a Seek, by which a caller that reads ahead knows what
	// was under way when it sought.
	From int64
	// Records in rising order of offsets; empty when nothing was left to hand out.
	Records []Record
	// Next is the offset behind everything that was read, also where no record was left: control batches,
	// aborted transactions and what the log cleaner took away. It is the position to resume from.
	Next int64
	// HighWatermark is the end of what all in-sync replicas have, LastStable the end of what no open
	// transaction holds back, LogStart the first offset still kept; all as of this answer.
	HighWatermark, LastStable, LogStart int64

	turn  uint64 // of the cursor when this was asked for
	first int    // index of Records in the Fetch, until they are all there
}

// CaughtUp tells that at the time of the answer nothing stood behind Next that could have been read: the
// reader is as fresh as the moment at which the request was sent.
func (b *Batch) CaughtUp() bool { return b.Next >= b.LastStable }
