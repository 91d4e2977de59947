package policyfeed

import (
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/events/stream"
)

// Enter returns the book with the version that a record of the topic publishes, and
// that version. With an error the book is the one that was given: the record cannot
// be read, or contradicts an earlier one, and everybody skips it, so that whoever
// reads the topic comes to the same book and no record stops a reader. [ReasonOf]
// names the error.
func Enter(book *policy.Book, r *stream.Record) (*policy.Book, *policy.Catalogue, error) {
	var e events.Event
	if err := (cloudevent.Decoder{}).DecodePolicy(r, &e); err != nil {
		return book, nil, err
	}
	c, err := policy.FromEvent(&e)
	if err != nil {
		return book, nil, err
	}
	with, err := book.With(c)
	if err != nil {
		return book, nil, err
	}
	return with, c, nil
}
