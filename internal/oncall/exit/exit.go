// Package exit says how a command of consentctl ended: a stable code for scripts
// and the typed error that leads to it.
//
// A command returns one of these errors, or any other, which is 1. Nothing else
// decides the code.
package exit

import (
	"context"
	"errors"
	"fmt"
)

// The codes. Scripts rely on them, so none is ever given another meaning.
const (
	OK          = 0   // done, or equal
	Failed      = 1   // it could not be done
	Usage       = 2   // it was called wrongly
	Findings    = 3   // it found what it was to look for: differences, faults
	Refused     = 4   // a safety rule forbids it
	Partly      = 5   // done in part; the same command goes on
	Interrupted = 130 // by a signal, as shells count: 128 and SIGINT
)

// ErrFindings ends a command whose findings are in its result.
var ErrFindings = errors.New("found differences")

// UsageError is a fault in how the program was called.
type UsageError struct{ Err error }

// Error says what was wrong.
func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns what was wrong.
func (e *UsageError) Unwrap() error { return e.Err }

// Misused returns a [UsageError].
func Misused(format string, args ...any) error { return &UsageError{fmt.Errorf(format, args...)} }

// RefusedError is what a safety rule forbids. Its text names the rule and what
// would satisfy it.
type RefusedError struct{ Err error }

// Error says that it was refused, and why.
func (e *RefusedError) Error() string { return "refused: " + e.Err.Error() }

// Unwrap returns the reason.
func (e *RefusedError) Unwrap() error { return e.Err }

// Refuse returns a [RefusedError].
func Refuse(format string, args ...any) error { return &RefusedError{fmt.Errorf(format, args...)} }

// PartlyError ends work that was done in part and can go on.
type PartlyError struct {
	Err    error  // why it stopped
	Resume string // what to say to go on
}

// Error says why it stopped and how to go on.
func (e *PartlyError) Error() string {
	return fmt.Sprintf("partly done: %v; to go on: %s", e.Err, e.Resume)
}

// Unwrap returns why it stopped.
func (e *PartlyError) Unwrap() error { return e.Err }

// Code returns the code of an error. What can be resumed says so even when a
// signal stopped it: that is the more useful of the two.
func Code(err error) int {
	switch {
	case err == nil:
		return OK
	case is[*PartlyError](err):
		return Partly
	case is[*RefusedError](err):
		return Refused
	case is[*UsageError](err):
		return Usage
	case errors.Is(err, context.Canceled):
		return Interrupted
	case errors.Is(err, ErrFindings):
		return Findings
	}
	return Failed
}

func is[T error](err error) bool {
	var as T
	return errors.As(err, &as)
}
