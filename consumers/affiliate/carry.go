package affiliate

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/internal/slots"
)

// kept is what goes with the subjects when the log is laid out anew.
var kept = []slots.Kept{
	{Name: "closed:", Goes: slots.WhereFed}, // a pseudonym tells no subject
	// Both are by the position of the event.
	{Name: "stops:", Goes: slots.Anywhere}, {Name: "queue:", Goes: slots.Anywhere},
}

// Carry moves what is kept beside the states from the slots of one generation to those
// of another: closed pseudonyms, so that no partner is told again what it was told, and stops
// that wait to be acknowledged.
// It returns how many keys it moved, and can be done again. Nobody may write to the old
// slots any more.
func Carry(ctx context.Context, client redis.UniversalClient, from, to []consumers.Slot) (int, error) {
	return slots.Carry(ctx, client, Name, from, to, kept)
}
