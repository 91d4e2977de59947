package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/kelisim/kelisim/events"
)

// ErrDenied is what the error of every denial wraps.
var ErrDenied = errors.New("processing is denied")

// Checker is what code that asks depends on, so that a test can put a
// guardtest.Guard in its place. [Guard] implements it.
type Checker interface {
	// Check says whether the subject's data may be used for the purpose now.
	Check(ctx context.Context, subject events.Subject, purpose events.Purpose) Decision
}

// Decision is the answer to one check. The zero Decision denies.
type Decision struct {
	events.Answer // Allowed, Reason, Basis, and By: the event that decided it

	Purpose events.Purpose
	AsOf    time.Time     // by Redis' clock: everything in the log until then was considered; zero: unknown
	Age     time.Duration // of that when Redis answered; 0 when AsOf is zero
	Cause   error         // what went wrong, when the reason is unreachable or stale; may be nil
}

// Err returns nil if processing is allowed, and an error that wraps [ErrDenied]
// and says why if not.
func (d Decision) Err() error {
	switch {
	case d.Allowed:
		return nil
	case d.Cause != nil:
		return fmt.Errorf("%w: %s: %w", ErrDenied, d.why(), d.Cause)
	}
	return fmt.Errorf("%w: %s", ErrDenied, d.why())
}

// String says the answer and what it rests on, as in "denied: withdrawn
// (promotion, consent) by 1/17@40312, 120ms old".
func (d Decision) String() string {
	if d.Allowed {
		return "allowed: " + d.why()
	}
	text := "denied: " + d.why()
	if d.Cause != nil {
		text += ": " + d.Cause.Error()
	}
	return text
}

// LogValue implements [slog.LogValuer].
func (d Decision) LogValue() slog.Value { return slog.StringValue(d.String()) }

func (d Decision) why() string {
	var b strings.Builder
	b.WriteString(d.Reason.String())
	if d.Purpose != "" {
		fmt.Fprintf(&b, " (%s", d.Purpose)
		if d.Basis != 0 {
			fmt.Fprintf(&b, ", %v", d.Basis)
		}
		b.WriteString(")")
	}
	if d.By != (events.Version{}) {
		fmt.Fprintf(&b, " by %v", d.By)
	}
	if !d.AsOf.IsZero() {
		fmt.Fprintf(&b, ", %v old", d.Age)
	}
	return b.String()
}
