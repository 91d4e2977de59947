package replay

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"strings"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
)

// chosen are whom the selected records of a range are about: subjects of its
// partition, by id, and events that hold others than its partition and their key say.
type chosen struct {
	subjects map[string]events.Subject
	strays   []stray
}

// readRange reads a range and returns what is in it, and whom it is about.
func (b *Bench) readRange(ctx context.Context, partition int32, r stream.Range, s *Selection) (*Range, *chosen, error) {
	out := &Range{Partition: partition, From: r.From, To: r.To, Types: map[string]int{}}
	whom := &chosen{subjects: make(map[string]events.Subject)}
	sum, pace := sha256.New(), b.pace()
	at := r.From
	err := b.Log.Read(ctx, b.Topic, map[int32]stream.Range{partition: r}, func(batch *stream.Batch) error {
		for i := range batch.Records {
			record := &batch.Records[i]
			digest(sum, record)
			out.Records++
			b.enter(out, whom, s, partition, record)
		}
		b.progress().Add(partition, max(0, batch.Next-at))
		at = max(at, batch.Next)
		if err := b.mayGoOn(ctx); err != nil {
			return err
		}
		return wait(ctx, pace, len(batch.Records))
	})
	out.Subjects, out.Digest = len(whom.subjects), hex.EncodeToString(sum.Sum(nil))
	return out, whom, err
}

// enter counts a record, and notes its subject, if it is selected.
func (b *Bench) enter(out *Range, whom *chosen, s *Selection, partition int32, r *stream.Record) {
	who, fault := events.ParseSubject(string(r.Key))
	var e events.Event
	decoded := b.Decoder.Decode(r, &e) == nil
	read, named := &e, events.Subject{}
	if !decoded {
		read, named = nil, cloned(e.Subject)
	}
	if !s.wants(r, who, named, read) {
		return
	}
	out.Selected++
	at := events.Millis(r.Time).Time()
	if out.Oldest.IsZero() || at.Before(out.Oldest) {
		out.Oldest = at
	}
	if at.After(out.Newest) {
		out.Newest = at
	}
	if decoded {
		out.Types[e.Type.String()]++
	}
	if fault != nil || !decoded || events.PartitionOf(r.Key, b.Partitions) != partition {
		out.Strange++
	}
	if fault == nil && events.PartitionOf(r.Key, b.Partitions) == partition && s.is(who) {
		whom.subjects[who.Reveal()] = who
	}
	for _, stray := range b.straysOf(r, who, named, read, e.Type) {
		if s.is(stray.who) {
			whom.strays = append(whom.strays, stray)
		}
	}
}

// cloned returns the subject that a record names, for when the record is gone.
func cloned(s events.Subject) events.Subject {
	s, _ = events.ParseSubject(strings.Clone(s.Reveal())) // it was one, or is nobody still
	return s
}

// digest adds a record to the digest of a range.
func digest(into hash.Hash, r *stream.Record) {
	var head []byte
	head = binary.BigEndian.AppendUint64(head, uint64(r.Offset))
	head = binary.BigEndian.AppendUint64(head, uint64(r.Time))
	for _, part := range [][]byte{head, r.Key, r.Value, r.Headers.Raw()} {
		into.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part)))) // a hash never fails
		into.Write(part)
	}
}
