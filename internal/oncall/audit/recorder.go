package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// endTimeout bounds recording the end of an act, also after a signal: the
// producer's own limit for a message (30 s) would let an operator wait too long.
const endTimeout = 10 * time.Second

// Publisher is where entries go. [stream.Producer] is one.
type Publisher interface {
	Publish(ctx context.Context, m stream.Message) (stream.Ack, error)
}

// Recorder is the Actor that acts.
type Recorder struct {
	Publisher Publisher
	Topic     string
	Who       Who
	Now       func() time.Time // nil: time.Now
}

// By implements [Actor].
func (r *Recorder) By() Who { return r.Who }

// Do implements [Actor]. It refuses what cannot be recorded.
func (r *Recorder) Do(ctx context.Context, act Act, do func(context.Context) (string, error)) error {
	if act.Forbidden != nil {
		return act.Forbidden
	}
	hash, err := Hash(act.Plan)
	if err != nil {
		return err
	}
	e := Entry{Act: rand.Text(), Phase: Begun, Who: r.Who, Command: act.Command, Plan: hash, Begun: r.now()}
	e.Approver = act.Approver
	if err := r.record(ctx, e); err != nil {
		return exit.Refuse("%s cannot be recorded, so it is not begun: %w", act.Command, err)
	}
	result, err := do(ctx)
	return errors.Join(err, r.end(ctx, e, result, err))
}

// end records how the act ended. The act is over: no signal keeps this back.
func (r *Recorder) end(ctx context.Context, e Entry, result string, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	ended := r.now()
	e.Ended, e.Result, e.Phase = &ended, result, Done
	if err != nil {
		e.Phase, e.Error = Failed, err.Error()
	}
	if exit.Code(err) == exit.Partly {
		e.Phase = Partly
	}
	if fault := r.record(ctx, e); fault != nil {
		return fmt.Errorf("%s is %s, but its end is not recorded: %w", e.Command, e.Phase, fault)
	}
	return nil
}

func (r *Recorder) record(ctx context.Context, e Entry) error {
	m, err := e.message(r.Topic)
	if err != nil {
		return err
	}
	_, err = r.Publisher.Publish(ctx, m)
	return err
}

func (r *Recorder) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}
