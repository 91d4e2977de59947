package slots_test

import (
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/internal/slots"
	"github.com/kelisim/kelisim/consumers/internal/slots/slotstest"
	"github.com/kelisim/kelisim/internal/testenv"
)

// later are the slots of the next generation.
func later(partitions int) []consumers.Slot {
	all := slotstest.Slots("marketing", partitions)
	for p := range all {
		all[p].Prefix = fmt.Sprintf("consent:{marketing/2/%d}:", p)
	}
	return all
}

func TestWhatIsKeptBesideStatesGoesWithItsSubjects(t *testing.T) {
	for _, partitions := range [][2]int{{3, 6}, {4, 6}, {5, 2}} {
		t.Run(fmt.Sprint(partitions), func(t *testing.T) {
			ctx, client := t.Context(), testenv.Redis(t).Client(t)
			from, to := slotstest.Slots("marketing", partitions[0]), later(partitions[1])
			old, err := slots.Of(from)
			require.NoError(t, err)
			next, err := slots.Of(to)
			require.NoError(t, err)
			people := slotstest.Subjects(1200) // more than one lot of a key
			for slot, some := range old.Group(people) {
				require.NoError(t, client.HSet(ctx, slot.Prefix+"campaigns", "quiz", "contests").Err())
				for i, s := range some {
					id := s.Reveal()
					require.NoError(t, client.SAdd(ctx, slot.Prefix+"audience:quiz", id).Err())
					require.NoError(t, client.ZAdd(ctx, slot.Prefix+"queue:quiz", redis.Z{Score: float64(i), Member: id}).Err())
					require.NoError(t, client.HSet(ctx, slot.Prefix+"features:ads:"+id, "genre", "drama").Err())
					require.NoError(t, client.SAdd(ctx, slot.Prefix+"closed:nordkino:ads", "hash-of-"+id).Err())
				}
				require.NoError(t, client.HSet(ctx, slot.Prefix+"stops:nordkino", slot.Prefix, "a stop").Err())
				require.NoError(t, client.Set(ctx, slot.Prefix+"pos", "the engine's", 0).Err())
			}
			kept := []slots.Kept{
				{Name: "campaigns", Goes: slots.Everywhere}, {Name: "audience:", Goes: slots.Home}, {Name: "queue:", Goes: slots.Home},
				{Name: "features:", Goes: slots.HomeByName}, {Name: "closed:", Goes: slots.WhereFed}, {Name: "stops:", Goes: slots.Anywhere},
			}
			moved, err := slots.Carry(ctx, client, "marketing", from, to, kept)
			require.NoError(t, err)
			require.Equal(t, 5*partitions[0]+len(people), moved)
			again, err := slots.Carry(ctx, client, "marketing", from, to, kept)
			require.NoError(t, err)
			require.Zero(t, again, "it is gone from where it was")

			stops := int64(0)
			for _, slot := range to {
				require.Equal(t, "contests", client.HGet(ctx, slot.Prefix+"campaigns", "quiz").Val())
				stops += client.HLen(ctx, slot.Prefix+"stops:nordkino").Val()
			}
			require.EqualValues(t, partitions[0], stops)
			for _, s := range people {
				prefix, id := next.Home(s).Prefix, s.Reveal()
				require.True(t, client.SIsMember(ctx, prefix+"audience:quiz", id).Val())
				require.NoError(t, client.ZScore(ctx, prefix+"queue:quiz", id).Err())
				require.Equal(t, "drama", client.HGet(ctx, prefix+"features:ads:"+id, "genre").Val())
				require.True(t, client.SIsMember(ctx, prefix+"closed:nordkino:ads", "hash-of-"+id).Val(), "whoever is closed stays so")
			}
			require.EqualValues(t, partitions[0], len(client.Keys(ctx, "consent:{marketing/1/*}:*").Val()), "what is the engine's stays")
		})
	}
}

func TestKeyOfAnotherTypeIsNotCarriedInSilence(t *testing.T) {
	client := testenv.Redis(t).Client(t)
	from := slotstest.Slots("marketing", 1)
	require.NoError(t, client.Set(t.Context(), from[0].Prefix+"audience:quiz", "spoiled", 0).Err())
	_, err := slots.Carry(t.Context(), client, "marketing", from, later(2), []slots.Kept{{Name: "audience:", Goes: slots.Home}})
	require.ErrorContains(t, err, "marketing: carry audience: of partition 0: it is a string")
	require.EqualValues(t, 1, client.Exists(t.Context(), from[0].Prefix+"audience:quiz").Val(), "and nothing is lost")
}
