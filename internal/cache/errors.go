package cache

import (
	"errors"
	"fmt"
)

// What stands in the way, named after the caller's next step.
var (
	// ErrMoved: the position is not the one given, or none is known. The engine
	// takes the position that the error carries ([MovedError]) and reads on from
	// there; where none is known it claims the partition again.
	ErrMoved = errors.New("the applied position is another")
	// ErrFenced: another consumer took the partition over. Stop working on it.
	ErrFenced = errors.New("another consumer owns the partition")
	// ErrOutdated: a state was folded from one that is no longer stored. Load the
	// subjects again and fold again; nothing was moved.
	ErrOutdated = errors.New("a state was folded from an outdated one")
	// ErrDamaged: a state that was stored is gone or older, though the position
	// says otherwise: something else wrote or deleted keys. Begin the partition
	// anew, from the start of the log.
	ErrDamaged = errors.New("stored states were lost")
	// ErrLayout: the keys of the service are laid out in another way. Refuse to run.
	ErrLayout = errors.New("another layout is recorded")
	// ErrEvicting: Redis may delete states when memory runs out. Refuse to run.
	ErrEvicting = errors.New("redis may evict states: set maxmemory-policy to noeviction")
	// ErrFull: Redis refuses to write until it has memory. Keep the batch, try later.
	ErrFull = errors.New("redis is out of memory")
	// ErrUnavailable: Redis could not be asked, or not now. Keep the batch, try again.
	ErrUnavailable = errors.New("redis is unavailable")
)

// MovedError is an [ErrMoved] with what the position is instead.
type MovedError struct {
	Partition int32
	Expected  int64
	Mark      Mark // Mark.Known is false when there is no position at all
}

// Error says which position was expected and which one is there.
func (e *MovedError) Error() string {
	if !e.Mark.Known {
		return fmt.Sprintf("partition %d: %v: expected %d, none is known", e.Partition, ErrMoved, e.Expected)
	}
	return fmt.Sprintf("partition %d: %v: expected %d, found %d", e.Partition, ErrMoved, e.Expected, e.Mark.Next)
}

// Unwrap returns [ErrMoved].
func (e *MovedError) Unwrap() error { return ErrMoved }
