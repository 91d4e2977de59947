package events

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Millis is a moment in Unix milliseconds, the unit of Kafka's own timestamps.
type Millis int64

// MillisOf returns the moment t in milliseconds.
func MillisOf(t time.Time) Millis { return Millis(t.UnixMilli()) }

// Time returns the moment as a time in UTC.
func (m Millis) Time() time.Time { return time.UnixMilli(int64(m)).UTC() }

// Position names one record for good: an offset alone dies with its topic, so
// it carries the topic's generation and the partition.
type Position struct {
	Generation uint32 // of the topic; rises when it is laid out anew
	Partition  int32
	Offset     int64
}

// Version is the version of a state: the position of the last event that
// changed it. Two versions compare only within one subject.
type Version = Position

// String returns generation/partition@offset, as in 1/17@40312.
func (p Position) String() string {
	return fmt.Sprintf("%d/%d@%d", p.Generation, p.Partition, p.Offset)
}

// SameLog says whether offsets of p and q can be compared.
func (p Position) SameLog(q Position) bool {
	return p.Generation == q.Generation && p.Partition == q.Partition
}

// ParsePosition reads what [Position.String] writes, and nothing else.
func ParsePosition(text string) (Position, error) {
	bad := func() (Position, error) {
		return Position{}, fmt.Errorf("position %q: want generation/partition@offset", text)
	}
	gen, rest, ok := strings.Cut(text, "/")
	if !ok {
		return bad()
	}
	part, off, ok := strings.Cut(rest, "@")
	if !ok {
		return bad()
	}
	g, err1 := strconv.ParseUint(gen, 10, 32)
	p, err2 := strconv.ParseInt(part, 10, 32)
	o, err3 := strconv.ParseInt(off, 10, 64)
	pos := Position{uint32(g), int32(p), o}
	if err1 != nil || err2 != nil || err3 != nil || p < 0 || o < 0 || pos.String() != text {
		return bad()
	}
	return pos, nil
}

// Stamp is what the log says of a record: where it stands and when the broker
// appended it.
type Stamp struct {
	Position Position
	Appended Millis
}

// IsZero says whether there is no stamp.
func (s Stamp) IsZero() bool { return s == Stamp{} }
