package stream

import (
	"errors"
	"math"

	"github.com/segmentio/kafka-go"
)

// fetchSession is what a broker remembers of the last fetch request (KIP-227): a request then names only
// the partitions that changed, and an answer only those that have something to say. Idle partitions cost
// next to nothing, and silence about one is as good as an empty answer: the broker has looked at it.
//
// A session lives as long as its poller. Anything that leaves it unclear whether the broker has seen a
// request makes the next one begin a new session.
type fetchSession struct {
	id    int32 // 0: none
	epoch int32 // of the next request; 0 begins a session
	known map[int32]remembered
	gone  []int32 // partitions to forget
	send  []asked // partitions to name
}

// remembered is what the broker was asked about a partition and what it last said.
type remembered struct {
	offset   int64
	maxBytes int32
	heard    bool // in the answer to the request under way
	well     bool // last holds watermarks: without them silence proves nothing
	last     answered
}

// begin makes the next request name everything. The broker drops the old session when it sees the id.
func (s *fetchSession) begin() { s.epoch = 0 }

// plan sorts out what the next request has to name for all of list to be asked.
func (s *fetchSession) plan(list []asked) {
	if s.epoch == 0 || s.known == nil {
		s.epoch, s.known = 0, make(map[int32]remembered, len(list))
	}
	s.send, s.gone = s.send[:0], s.gone[:0]
	for _, q := range list {
		k, ok := s.known[q.partition]
		if !ok || k.offset != q.offset || k.maxBytes != q.maxBytes {
			s.send = append(s.send, q)
		}
		k.offset, k.maxBytes = q.offset, q.maxBytes
		k.heard = false
		s.known[q.partition] = k
	}
	if len(s.known) == len(list) {
		return
	}
	wanted := make(map[int32]bool, len(list))
	for _, q := range list {
		wanted[q.partition] = true
	}
	for p := range s.known {
		if !wanted[p] {
			delete(s.known, p)
			s.gone = append(s.gone, p)
		}
	}
}

// hear notes what the broker said of a partition.
func (s *fetchSession) hear(a *answered) {
	if k, ok := s.known[a.partition]; ok {
		k.heard, k.well = true, a.code == 0
		k.last = answered{partition: a.partition, highWatermark: a.highWatermark,
			lastStable: a.lastStable, logStart: a.logStart}
		s.known[a.partition] = k
	}
}

// silent gives the answer for a partition about which the broker had nothing new to say: no records, the
// same watermarks. It must have said something well before.
func (s *fetchSession) silent(partition int32) (*answered, bool) {
	k, ok := s.known[partition]
	if !ok || k.heard || !k.well || s.id == 0 {
		return nil, false
	}
	return &k.last, true
}

// answered takes over the session of a complete answer.
func (s *fetchSession) answered(id int32) {
	s.id = id
	switch {
	case id == 0: // the broker keeps no session for us
		s.epoch = 0
	case s.epoch == math.MaxInt32:
		s.epoch = 1
	default:
		s.epoch++
	}
}

// isForgotten tells that the broker no longer knows the session: it restarted, or others took the place.
func isForgotten(err error) bool {
	return errors.Is(err, kafka.FetchSessionIDNotFound) || errors.Is(err, kafka.InvalidFetchSessionEpoch)
}
