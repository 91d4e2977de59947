package recordbatch

import (
	"errors"
	"fmt"
)

// ErrCorrupt is wrapped by every error about bytes that are no record batch: a wrong CRC, a length that
// leads nowhere, a record that does not end where it says. The position must not move past such a batch
// without somebody having been told.
var ErrCorrupt = errors.New("corrupt record batch")

// ErrFormat is wrapped when a batch is of the old message formats 0 and 1. Kafka 4 converts none and
// writes none; a topic that still holds them has to be rewritten first.
var ErrFormat = errors.New("message format older than 2")

// ErrTooLarge is wrapped when a batch would decompress to more than the limit given to the Decoder.
var ErrTooLarge = errors.New("decompressed batch above the limit")

// BatchError names the batch that could not be read.
type BatchError struct {
	// First is the base offset that the batch claims.
	First int64
	// Last is the last offset that the batch covers, or -1 when the batch cannot be trusted to know.
	Last int64
	// Raw are the bytes of the batch as far as they are there: a view, valid as long as the set that was
	// decoded. It holds personal data and belongs in no log.
	Raw []byte
	// Err says what is wrong and wraps ErrCorrupt, ErrFormat or ErrTooLarge.
	Err error
}

// Error names the batch and the cause.
func (e *BatchError) Error() string {
	if e.Last == unknownLastOffset {
		return fmt.Sprintf("batch at offset %d: %v", e.First, e.Err)
	}
	return fmt.Sprintf("batch at offsets %d to %d: %v", e.First, e.Last, e.Err)
}

// Unwrap gives the cause.
func (e *BatchError) Unwrap() error { return e.Err }

// corrupt says what about a batch is wrong.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}
