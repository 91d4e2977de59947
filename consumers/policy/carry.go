package policy

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/internal/slots"
)

// kept is what goes with the subjects when the log is laid out anew.
var kept = []slots.Kept{
	{Name: "ended", Goes: slots.Home}, {Name: "reviews", Goes: slots.Home}, {Name: "overdue", Goes: slots.Home},
}

// Carry moves what is kept beside the states from the slots of one generation to those
// of another: the calendar, with the alarms that were raised; who is suppressed the action
// notes anew.
// It returns how many keys it moved, and can be done again. Nobody may write to the old
// slots any more.
func Carry(ctx context.Context, client redis.UniversalClient, from, to []consumers.Slot) (int, error) {
	return slots.Carry(ctx, client, Name, from, to, kept)
}
