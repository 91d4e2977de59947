package consumers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/events/stream"
)

// alarmLeftOut is for a record whose copy the parked topic refused: kept without its
// bytes, which only the log of events has now.
const alarmLeftOut = "parked-without-bytes"

// keepAside publishes parked records and returns once the parked topic has
// acknowledged them all, and whoever they hold in other partitions is held: only
// then may the position move. It tries until that is so, or ctx ends.
func (c *Consumer) keepAside(ctx context.Context, bad []parked) error {
	left := make([]*parked, len(bad))
	for i := range bad {
		left[i] = &bad[i]
	}
	err := c.insist(ctx, "park", func() (err error) {
		left, err = c.publishAside(ctx, left)
		return err
	})
	if err != nil {
		return fmt.Errorf("park %d records from %s on: %w", len(bad), bad[0].at.Position, err)
	}
	for i := range bad {
		if err := c.holdElsewhere(ctx, &bad[i]); err != nil {
			return err
		}
		b := &bad[i]
		c.metrics.parked(b.reason)
		c.log.Error("event parked", "position", b.at.Position.String(), "reason", b.reason, "subject", b.subject,
			"age", time.Since(b.at.Appended.Time()).Round(time.Millisecond).String())
	}
	return nil
}

// publishAside publishes copies and returns what is left to be published, with an
// error if that is anything. What is refused would be refused for ever: it is kept
// without its bytes. Where not even that is accepted, because of who sends it or
// where to, it is left: somebody has to mend it, and the bytes may fit then.
func (c *Consumer) publishAside(ctx context.Context, all []*parked) (left []*parked, err error) {
	failed, err := c.send(ctx, all, func(b *parked) stream.Message { return b.message })
	var refused []*parked
	for _, f := range failed {
		if errors.Is(f.err, stream.ErrRefused) {
			refused = append(refused, f.parked)
		} else {
			left = append(left, f.parked)
		}
	}
	if len(refused) == 0 {
		return left, err
	}
	why := err
	failed, err = c.send(ctx, refused, (*parked).bare)
	again := make(map[*parked]bool, len(failed))
	for _, f := range failed {
		again[f.parked] = true
		left = append(left, f.parked)
	}
	for _, b := range refused {
		if !again[b] {
			c.metrics.alarmed(alarmLeftOut)
			c.log.Error("the parked topic refused a copy; it is kept without its bytes, which stay in the log of events",
				"position", b.at.Position.String(), "err", why)
		}
	}
	if err == nil && len(left) > 0 {
		err = why // of those that failed otherwise
	}
	return left, err
}

// unsent is a copy that was not acknowledged.
type unsent struct {
	*parked
	err error
}

// send publishes copies in some form and tells which were not acknowledged.
func (c *Consumer) send(ctx context.Context, all []*parked, form func(*parked) stream.Message) ([]unsent, error) {
	messages := make([]stream.Message, len(all))
	for i, b := range all {
		messages[i] = form(b)
	}
	_, err := c.cfg.Publisher.PublishAll(ctx, messages)
	if err == nil {
		return nil, nil
	}
	var failed []unsent
	var some *stream.PublishAllError
	if errors.As(err, &some) {
		for _, f := range some.Failed {
			failed = append(failed, unsent{all[f.Index], f})
		}
		return failed, err
	}
	for _, b := range all {
		failed = append(failed, unsent{b, err})
	}
	return failed, err
}

// holdElsewhere holds whom a record holds in another partition than the one it
// stands in. Its own partition's holds are written with the position.
func (c *Consumer) holdElsewhere(ctx context.Context, b *parked) error {
	for _, s := range b.elsewhere {
		err := c.insist(ctx, "hold", func() error { return c.cfg.Store.Hold(ctx, s, b.first) })
		if err != nil {
			return fmt.Errorf("hold the subject of %s: %w", b.at.Position, err)
		}
	}
	return nil
}
