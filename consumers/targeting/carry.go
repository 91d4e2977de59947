package targeting

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/internal/slots"
)

// kept is what goes with the subjects when the log is laid out anew.
var kept = []slots.Kept{
	{Name: "segments", Goes: slots.Everywhere}, {Name: "segment:", Goes: slots.Home}, {Name: "default:", Goes: slots.Home},
	{Name: "features:", Goes: slots.HomeByName},
}

// Carry moves what is kept beside the states from the slots of one generation to those
// of another: segments with their members, features, and who is on the default.
// It returns how many keys it moved, and can be done again. Nobody may write to the old
// slots any more.
func Carry(ctx context.Context, client redis.UniversalClient, from, to []consumers.Slot) (int, error) {
	return slots.Carry(ctx, client, Name, from, to, kept)
}
