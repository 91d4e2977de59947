package recordbatch

import "slices"

// Aborted is a transaction that was rolled back, as a read-committed fetch response lists it.
type Aborted struct {
	// ProducerID is the producer that rolled back.
	ProducerID int64
	// FirstOffset is where the transaction began in this partition.
	FirstOffset int64
}

// abortedFilter tells which batches of a set belong to aborted transactions. It follows the Java client
// (CompletedFetch): a transaction is live from its first offset until the producer's abort marker.
type abortedFilter struct {
	waiting []Aborted // sorted by FirstOffset, not yet reached
	live    []int64   // producers inside an aborted transaction; a handful at most
}

// reset takes the list of one fetch response; list is not changed.
func (f *abortedFilter) reset(list []Aborted) {
	f.waiting = append(f.waiting[:0], list...)
	slices.SortFunc(f.waiting, func(a, b Aborted) int {
		switch {
		case a.FirstOffset < b.FirstOffset:
			return -1
		case a.FirstOffset > b.FirstOffset:
			return 1
		}
		return 0
	})
	f.live = f.live[:0]
}

// drop tells whether the records of the batch were rolled back. It must see every batch of the set in
// order, control batches too. records are the uncompressed records of a control batch, else unused.
func (f *abortedFilter) drop(h *header, records []byte) bool {
	if h.producerID == noProducer {
		return false
	}
	for len(f.waiting) > 0 && f.waiting[0].FirstOffset <= h.lastOffset() {
		if !slices.Contains(f.live, f.waiting[0].ProducerID) {
			f.live = append(f.live, f.waiting[0].ProducerID)
		}
		f.waiting = f.waiting[1:]
	}
	if h.control() {
		if isAbortMarker(h, records) {
			f.live = slices.DeleteFunc(f.live, func(id int64) bool { return id == h.producerID })
		}
		return false
	}
	return h.transactional() && slices.Contains(f.live, h.producerID)
}

// isAbortMarker tells whether the first record of a control batch is the end of an aborted transaction.
// A control batch that the log cleaner has emptied marks nothing.
func isAbortMarker(h *header, records []byte) bool {
	if h.count == 0 {
		return false
	}
	length, w := varint(records)
	if w == 0 || length < 0 || length > int64(len(records)-w) {
		return false
	}
	var r Record
	if _, ok := parseRecord(&r, records[w:w+int(length)], 0); !ok || len(r.Key) < controlKeySize {
		return false
	}
	return int16(r.Key[2])<<8|int16(r.Key[3]) == controlTypeAbort
}
