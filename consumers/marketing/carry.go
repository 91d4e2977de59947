package marketing

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/internal/slots"
)

// kept is what goes with the subjects when the log is laid out anew.
var kept = []slots.Kept{
	{Name: "campaigns", Goes: slots.Everywhere}, {Name: "audience:", Goes: slots.Home}, {Name: "queue:", Goes: slots.Home},
	{Name: "suppressed:", Goes: slots.Home},
}

// Carry moves what is kept beside the states from the slots of one generation to those
// of another: campaigns with their audiences and queues, and who is suppressed.
// It returns how many keys it moved, and can be done again. Nobody may write to the old
// slots any more.
func Carry(ctx context.Context, client redis.UniversalClient, from, to []consumers.Slot) (int, error) {
	return slots.Carry(ctx, client, Name, from, to, kept)
}
