// Package moment reads when something was, as whoever is on call says it: every
// command takes the same words and means the same by them.
package moment

import (
	"errors"
	"fmt"
	"time"
)

// ErrToCome means that a moment is not over yet.
var ErrToCome = errors.New("is still to come")

// Parse reads a time in RFC 3339, or how long ago it was: 2h and -2h both mean two
// hours before now. What is still to come is [ErrToCome]: every command looks back,
// and would find nothing wrong where it looked at nothing.
func Parse(text string, now time.Time) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	if ago, bad := time.ParseDuration(text); bad == nil {
		at, err = now.Add(-ago.Abs()), nil
	}
	switch {
	case err != nil:
		return time.Time{}, fmt.Errorf("%q: want a time like 2026-11-22T10:00:00Z, or how long ago, like 2h", text)
	case at.After(now):
		return time.Time{}, fmt.Errorf("%q: %w", text, ErrToCome)
	}
	return at, nil
}

// Flag is a flag that takes such a moment. The zero Flag names none.
type Flag struct{ time.Time }

// Set implements pflag.Value.
func (f *Flag) Set(text string) (err error) {
	f.Time, err = Parse(text, time.Now())
	return err
}

// String implements pflag.Value.
func (f *Flag) String() string {
	if f.IsZero() {
		return ""
	}
	return f.UTC().Format(time.RFC3339)
}

// Type implements pflag.Value: what the help calls it.
func (*Flag) Type() string { return "moment" }
