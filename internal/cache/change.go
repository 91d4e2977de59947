package cache

import (
	"errors"
	"fmt"

	"github.com/kelisim/kelisim/events"
)

// versionLen is how many bytes in front of a state are the offset of its
// version, big-endian (events.State.Bytes).
const versionLen = 6

// version returns the first bytes of a state, or "" for none. Two versions of
// one subject compare as these texts do, byte by byte.
func version(s events.State) string {
	if s.IsZero() {
		return ""
	}
	return s.Encoded()[:versionLen]
}

// offsetOf returns the offset of a state's version, or -1 for none.
func offsetOf(s events.State) int64 {
	v := version(s)
	if v == "" {
		return -1
	}
	var offset int64
	for i := range len(v) {
		offset = offset<<8 | int64(v[i])
	}
	return offset
}

// since returns the offset of the first event that Prev does not know of: what
// stands in the outbox, for until it is acted on nothing from there on is.
func (c *Change) since() int64 { return offsetOf(c.State) - c.Older }

// follows says whether the change is to be written over what is stored, or was
// stored already. When it was folded from something else, that is the error.
func (c *Change) follows(stored events.State) (bool, error) {
	have, prev := version(stored), version(c.Prev)
	switch {
	case have == prev:
		return true, nil
	case have >= version(c.State):
		return false, nil
	case have > prev:
		return false, ErrOutdated
	}
	return false, ErrDamaged
}

// validate refuses what no script should ever see. It is about mistakes of the
// caller, so it is never worth a retry.
func (b *Batch) validate(l Layout) error {
	switch {
	case b.Partition < 0 || b.Partition >= l.Partitions:
		return fmt.Errorf("write partition %d of %d: not there", b.Partition, l.Partitions)
	case b.From < 0 || b.To < b.From:
		return fmt.Errorf("write partition %d: from %d to %d is no range", b.Partition, b.From, b.To)
	}
	for i := range b.Changes {
		if err := b.Changes[i].validate(b, l); err != nil {
			return fmt.Errorf("write partition %d: %v: %w", b.Partition, b.Changes[i].Subject, err)
		}
	}
	return nil
}

func (c *Change) validate(b *Batch, l Layout) error {
	v, ok := c.State.Version()
	switch {
	case !ok || version(c.State) <= version(c.Prev):
		return errors.New("the new state is not newer")
	case c.Older < 0 || c.since() < 0:
		return fmt.Errorf("its first change cannot be %d offsets older", c.Older)
	case v.Generation != l.Generation || v.Partition != b.Partition || v.Offset >= b.To:
		return fmt.Errorf("state of %v is not of this log up to %d", v, b.To)
	}
	return nil
}
