// Package consumers is the engine that every service runs: fetch, decode, fold,
// store, act, receipt, commit, in batches and in one straight line. It turns
// the log of consent events into one service's cache and drives the service's
// [Action]. It leaves transport to events/stream, the layout of Redis to
// internal/cache, and what must stop to the packages below it.
package consumers

import (
	"context"

	"github.com/kelisim/kelisim/events"
)

// Service is what the engine has to know of a service.
type Service struct {
	Name        string           // of the consumer group and the key space: "marketing"
	Purposes    []events.Purpose // an action follows when one of these, or one that the policy names the service for, stops or comes back
	EveryChange bool             // an action follows every change of a state, whatever it is about, and every claim, maybe without turns
	Action      Action
}

// Action is what a service does when consent goes or comes back.
type Action interface {
	// Act brings the service's own keys in line with where the given subjects
	// stand now. It must be idempotent: after a crash the same turns come again,
	// and turns may be skipped when a newer one of the same subject follows. An
	// error keeps the turns in the outbox; Act is called again after a pause.
	Act(ctx context.Context, at Slot, turns []Turn) error
}

// Slot is the part of the key space that holds one partition's subjects.
type Slot struct {
	Partition int32
	// Prefix begins every key of the partition, Redis Cluster hash tag included:
	// "consent:{marketing/1/17}:". All keys with it live in one slot.
	Prefix string
	// Epoch is that of the owner that acts, as it stood in the partition's pos when
	// the turns were taken. An action whose effects are elsewhere compares them.
	Epoch int64
	// Serves is what the service acts on by the edition of the policy that the turns
	// were judged by. Nil where nobody acts.
	Serves *Serving
}

// Serving is what a service acts on: its own purposes and those that a version of
// the policy names it for, in the order of their codes.
type Serving struct {
	Purposes []events.Purpose
	Codes    []events.Code
}

// Turn is a subject whose standing changed, or whose state did.
type Turn struct {
	Subject  events.Subject
	State    events.State    // zero when it was lost; the log has it
	Standing events.Standing // of State
	Version  events.Version  // of State
}
