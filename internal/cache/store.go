package cache

import (
	"context"
	"time"

	"github.com/kelisim/kelisim/events"
)

// Store is one service's cache as its consumer sees it. [Redis] and [Memory]
// implement it; package cachetest holds what they promise. All methods may be
// called at the same time; those of one partition by one caller at a time.
//
// No write is ever retried inside: the caller does, with the same arguments,
// which is harmless.
type Store interface {
	// Claim takes a partition over and returns its mark. Whoever owned it before
	// is fenced from now on. It records the layout if none is recorded.
	Claim(ctx context.Context, partition int32) (Mark, error)

	// Begin sets the position of a claimed partition to at, to read the log from
	// there: the first time, after a flush, and to repair damage. Stored states
	// stay, and the newest still win, but the partition is not fresh until a
	// batch or Refresh proves it again. It reads every bucket of the partition that is there.
	Begin(ctx context.Context, partition int32, epoch, at int64) (Mark, error)

	// BeginTorso does the same where the log has lost its beginning: the states that
	// the lost events made may be missing, so nothing proves the partition fresh, and no
	// guard allows by it, until a [Staging] is swapped in. A later Begin ends that too.
	BeginTorso(ctx context.Context, partition int32, epoch, at int64) (Mark, error)

	// Load returns the stored states of subjects of the partition, in their
	// order; the zero State where there is none.
	Load(ctx context.Context, partition int32, subjects []events.Subject) ([]events.State, error)

	// Write applies one batch per partition, many partitions in one round trip.
	// Each batch succeeds or fails for itself; a result stands at its batch's place.
	Write(ctx context.Context, batches []Batch) []Result

	// Refresh proves partitions fresh in which nothing happened, many in one
	// round trip. A result stands at its proof's place.
	Refresh(ctx context.Context, proofs []Proof) []Result

	// Pending returns the subjects whose action is still to be done, oldest
	// first, with their present states.
	Pending(ctx context.Context, partition int32, limit int) ([]Pending, error)

	// Done takes acted-on subjects out of the outbox, except those whose state
	// changed since, and returns the position acted up to.
	Done(ctx context.Context, partition int32, epoch int64, acted []Pending) (int64, error)

	// Hold restricts a subject from outside its partition's order, because of the
	// event at the given position; Release lifts that, for good: a hold of the
	// same position that comes later, in a replay, does nothing. Neither needs
	// the partition to be claimed.
	Hold(ctx context.Context, subject events.Subject, at events.Position) error
	Release(ctx context.Context, subject events.Subject, at events.Position) error

	// Publish writes the policies down for whoever asks, and leaves what grew out of
	// them: a consumer that is behind undoes nothing.
	Publish(ctx context.Context, p Policies) error

	// Policies returns what was published last; the zero Policies if nothing was.
	Policies(ctx context.Context) (Policies, error)

	// States returns the subjects of n of the partition's buckets, from first on,
	// with their states, and whether there are buckets behind them.
	States(ctx context.Context, partition, first, n int32) (all []Kept, more bool, err error)

	// Owe puts subjects into the outbox though no event changed them, and notes how
	// far the sweep is: both or neither.
	Owe(ctx context.Context, partition int32, epoch int64, subjects []Kept, note Sweep) error

	// Swept returns what Owe noted last; the zero Sweep if it never did.
	Swept(ctx context.Context, partition int32) (Sweep, error)

	// Lookup reads all that decides about a subject, in one round trip.
	Lookup(ctx context.Context, subject events.Subject) (View, error)
}

// Mark is where a partition stands.
type Mark struct {
	Known     bool          // false: nothing was ever applied here, as after a flush; Begin it
	Next      int64         // the next offset to apply
	Acted     int64         // every action of offsets below is done
	Receipted int64         // receipts cover offsets below
	Epoch     int64         // of the owner; rises with every Claim
	Fresh     events.Millis // by Redis' clock: the log was known to be applied up to Next then; 0 is never
	Digest    Digest        // of all stored states
	Stage     events.Stage  // of the log at Next
}

// Batch moves one partition from one position to the next.
type Batch struct {
	Partition int32
	Epoch     int64        // as Claim returned it
	From, To  int64        // next offset to apply, before and after
	Changes   []Change     // the newest state of each subject that changed; each subject once
	Holds     []Hold       // in the order of the log
	Proved    time.Time    // when the fetch was sent that left nothing newer behind To; zero: no proof
	Receipted int64        // receipts cover offsets below; 0: unchanged
	Policy    string       // revision of the policy that Proved vouches for too
	Stage     events.Stage // of the log at To
	Wide      bool         // far behind: more at a time, at the price of latency
}

// Change is one subject's new state.
type Change struct {
	Subject events.Subject
	Prev    events.State // that State was folded from; zero where there was none
	State   events.State
	Act     bool  // something must be done about it: goes into the outbox
	Older   int64 // by how many offsets the first event since Prev that changed it stands before State's version
}

// Hold restricts a subject because of the event at a position, or lifts that. One
// of the zero Subject, of a record whose key is none, does nothing.
type Hold struct {
	Subject events.Subject
	At      events.Position
	Release bool
}

// maxClockSkew is by how much the clocks of Redis' nodes may differ, in
// milliseconds: the part of the five seconds promised that is for clocks. A
// partition that seems fresh further in the future than this is not fresh.
const maxClockSkew events.Millis = 500

// Proof says that nothing newer than Next was in the log at a moment.
type Proof struct {
	Partition int32
	Epoch     int64
	Next      int64
	Proved    time.Time // when the fetch that found nothing was sent; zero only renews Receipted
	Receipted int64     // receipts cover offsets below; 0: unchanged
	Policy    string    // revision of the policy that Proved vouches for too
}

// Result is what became of a batch or a proof.
type Result struct {
	Mark    Mark // as it is now, also after ErrMoved
	Skipped int  // changes that were stored already, as newer or the same
	Err     error
}

// Pending is a subject whose action is still to be done.
type Pending struct {
	Subject events.Subject
	State   events.State // as it is now; zero when it was lost
	Offset  int64        // of the first change that was not acted on
}

// View is all that decides about a subject, read at one moment. The zero View
// knows nothing.
type View struct {
	State      events.State
	Held       bool // an event of the subject is kept aside
	Known      bool // the partition has a position
	Generation uint32
	Partition  int32
	Next       int64         // the next offset to apply
	Fresh      events.Millis // by Redis' clock; 0 is never
	Now        events.Millis // by Redis' clock
	Policy     string        // revision of the policy that was known up to Fresh
	Stage      events.Stage  // of the log at Next
}
