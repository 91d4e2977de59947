package marketing

import (
	"context"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/consumers/internal/slots"
	"github.com/kelisim/kelisim/events"
)

// doubtPause is how long a send is put off when its subject is in doubt. An
// action takes milliseconds; a parked event waits for a person.
const doubtPause = time.Minute

// Schedule puts subjects of a campaign's audience into its queue, to be sent to
// at the given time. Who is there already gets the new time.
func (d *Desk) Schedule(ctx context.Context, campaign string, due time.Time, subjects ...events.Subject) (Admission, error) {
	var sum Admission
	for slot, some := range d.slots.Group(subjects) {
		found := 0
		places := []*int{&found, &sum.Added, &sum.Suppressed, &sum.Doubted, &sum.Strangers}
		err := d.schedule.Count(ctx, slot, places, slots.Args(some, campaign, due.UnixMilli())...)
		if err == nil && found == 0 {
			err = ErrCampaign
		}
		if err != nil {
			return sum, fmt.Errorf("marketing: schedule campaign %s: %w", campaign, err)
		}
	}
	return sum, nil
}

// Take takes at most limit due sends of a partition out of a campaign's queue.
// Each is handed out once: a sender that dies with it does not send, and nobody
// else does. Who is suppressed or left the audience meanwhile is dropped, and
// who is in doubt comes again a minute
// later. While the partition is behind the log nothing is handed out.
func (d *Desk) Take(ctx context.Context, partition int32, campaign string, now time.Time, limit int) ([]events.Subject, error) {
	slot, err := d.slots.At(partition)
	if err != nil {
		return nil, fmt.Errorf("marketing: take from campaign %s: %w", campaign, err)
	}
	limit = min(max(limit, 0), slots.MaxSubjects)
	reply, err := d.take.Run(ctx, slot, campaign, now.UnixMilli(), now.Add(doubtPause).UnixMilli(), limit)
	if err == nil && (len(reply) == 0 || reply[0] != int64(1)) {
		err = ErrCampaign
	}
	if err != nil {
		return nil, fmt.Errorf("marketing: take from campaign %s: %w", campaign, err)
	}
	return slots.Subjects(reply[1:])
}
