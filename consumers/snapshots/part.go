package snapshots

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/events/snapshot"
	"github.com/kelisim/kelisim/events/stream"
)

const (
	// checkpointEvery keeps checkpoints apart: what stands behind one is read again
	// by whoever builds from the topic, and a second of the log is read in no time.
	checkpointEvery = time.Second
	// seatAge is how long a seat is used. A partition forgets a producer id that
	// wrote nothing for a day (producer.id.expiration.ms), and the coordinator a
	// transactional id that nobody asked for in seven (transactional.id.expiration.ms):
	// taken anew long before, neither forgets whom it has to refuse.
	seatAge = time.Hour
	// reminderTimeout bounds the writing of a checkpoint that nobody waits for.
	reminderTimeout = 10 * time.Second
)

// part is what the action knows of one partition.
type part struct {
	mu   sync.Mutex
	slot consumers.Slot // of the last turns
	seat *seat

	told     *snapshot.Checkpoint // the last that this seat wrote; nil: none
	held     map[string]string    // as the seat wrote them last
	reminder *time.Timer          // writes the checkpoint that is due when nothing follows
}

// seat is the right to write a partition, taken for one owner of it.
type seat struct {
	*stream.Fenced
	epoch int64
	since time.Time
}

func (a *Action) part(id int32) *part {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.parts[id]
	if p == nil {
		p = &part{}
		if a.parts != nil {
			a.parts[id] = p
		}
	}
	return p
}

// sit takes the partition's seat for an owner, unless it has it. Everybody who sat
// there before is refused from then on.
func (a *Action) sit(ctx context.Context, p *part, at consumers.Slot) error {
	if p.slot = at; p.seat != nil && p.seat.epoch == at.Epoch && a.now().Sub(p.seat.since) < seatAge {
		return nil
	}
	now, err := look(ctx, a.script, at, nil)
	if err != nil {
		return err
	}
	if now.epoch != at.Epoch { // spares our successor being refused for nothing
		return errElsewhere
	}
	n, err := a.cfg.Fencer.Partitions(ctx, a.cfg.Topic)
	if err != nil {
		return fmt.Errorf("topic %s: %w", a.cfg.Topic, err)
	}
	if at.Partition >= n {
		return fmt.Errorf("topic %s: has %d partitions, fewer than the events", a.cfg.Topic, n)
	}
	owner := snapshot.Owner{Generation: a.cfg.Generation, Partition: at.Partition, Epoch: at.Epoch, At: a.now().UTC()}
	p.seat, p.told, p.held = nil, nil, nil
	fenced, err := a.cfg.Fencer.Fence(ctx, a.id(at), a.cfg.Topic, at.Partition, owner.Message())
	if err != nil {
		return err
	}
	p.seat = &seat{fenced, at.Epoch, a.now()}
	a.log.Info("writing snapshots", "partition", at.Partition, "owner", at.Epoch)
	a.cfg.Report(Written{Seats: 1})
	return nil
}

// id is the transactional id that all who write the partition agree on.
func (a *Action) id(at consumers.Slot) string {
	return "kelisim-snapshots/" + a.cfg.Topic + "/" + strconv.Itoa(int(at.Partition))
}

// progress returns the checkpoint, and the holds if they changed, when it is time
// to tell: after a second, at once with a new seat, and at once when the cache was
// flushed or moved back. For then older states follow, and who reads them must
// know that the events from there on are needed.
func (a *Action) progress(ctx context.Context, p *part, now stand) ([]stream.Message, error) {
	if p.told != nil && now.acted >= p.told.Acted && a.now().Sub(p.told.At) < checkpointEvery {
		return nil, nil
	}
	return a.tell(ctx, p, now)
}

// tell returns the checkpoint, behind the holds if they changed.
func (a *Action) tell(ctx context.Context, p *part, now stand) ([]stream.Message, error) {
	c := &snapshot.Checkpoint{
		Generation: a.cfg.Generation, Partition: p.slot.Partition, Acted: now.acted, Next: now.next, At: a.now().UTC(),
	}
	if now.acted == now.next {
		c.Digest = fmt.Sprintf("%012x", now.digest)
	}
	held, truncated, err := holds(ctx, a.cfg.Redis, p.slot) // after the position: it knows all that hold below
	if err != nil {
		return nil, err
	}
	var messages []stream.Message
	if p.told == nil || truncated || !maps.Equal(held, p.held) {
		h := snapshot.Holds{Generation: c.Generation, Partition: c.Partition, Held: held, Truncated: truncated}
		messages = append(messages, h.Message(c))
	}
	p.told, p.held = c, held
	return append(messages, c.Message()), nil
}

// publish appends messages. After a failure the seat is given up: what became of
// them is certain again once the next one is taken.
func (p *part) publish(ctx context.Context, messages []stream.Message) error {
	err := p.seat.Publish(ctx, messages)
	if err != nil {
		p.seat = nil
	}
	return err
}

// remind has the checkpoint written a little later, if nothing follows that does.
func (a *Action) remind(p *part) {
	if p.reminder != nil {
		p.reminder.Stop()
	}
	p.reminder = time.AfterFunc(checkpointEvery, func() {
		ctx, cancel := context.WithTimeout(context.Background(), reminderTimeout)
		defer cancel()
		p.mu.Lock()
		defer p.mu.Unlock()
		if err := a.checkpoint(ctx, p); err != nil {
			a.log.Warn("checkpoint not written; the next one covers it", "partition", p.slot.Partition, "err", err)
		}
	})
}

// checkpoint writes where the partition stands, if its seat is still ours, and goes
// on to do so while it moves: events that change nothing move it without an action.
func (a *Action) checkpoint(ctx context.Context, p *part) error {
	if p.seat == nil {
		return nil // the next turns take another
	}
	now, err := look(ctx, a.script, p.slot, nil)
	if err != nil || now.epoch != p.seat.epoch || !now.known {
		return err
	}
	news := p.told == nil || now.acted > p.told.Acted
	if news || now.acted < now.next {
		a.remind(p) // it moves, or somebody is about to act on the rest
	}
	if !news {
		return nil
	}
	messages, err := a.tell(ctx, p, now)
	if err != nil {
		return err
	}
	if err := p.publish(ctx, messages); err != nil {
		if errors.Is(err, stream.ErrFenced) {
			return nil // our successor's are as good
		}
		return err
	}
	a.cfg.Report(Written{Checkpoints: 1})
	return nil
}
