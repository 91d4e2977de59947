package verify

import (
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/testenv"
)

func TestEveryDamageIsNamedByItsKind(t *testing.T) {
	testenv.Parallel(t)
	o := newTown(t, 2, 100, "marketing", "targeting")
	o.live(t, 500)
	o.settle(t)
	before := make(map[string]string)
	for _, s := range o.states(t, "marketing") {
		before[s.field] = s.state
	}
	o.live(t, 1500, rubbish("held-1"))
	o.settle(t)
	all := o.states(t, "marketing")
	changed := slices.IndexFunc(all, func(s stored) bool { return before[s.field] != "" && before[s.field] != s.state })
	require.GreaterOrEqual(t, changed, 0)
	older, victims := all[changed], slices.Delete(slices.Clone(all), changed, changed+1)
	held, _ := events.ParseSubject("held-1")
	c := o.inspector(t, "marketing")
	heldKey := c.Layout().Prefix(c.Layout().PartitionOf(held)) + "held"
	ctx, other := t.Context(), victims[1]

	want := map[Kind]int64{Missing: 1, Altered: 2, Older: 1, Newer: 1, Extra: 2, Unheld: 1, HeldByNone: 2}
	for what, err := range map[string]error{
		"missing":                            o.client.HDel(ctx, victims[0].key, victims[0].field).Err(),
		"altered, of somebody else":          o.client.HSet(ctx, other.key, other.field, withVersionOf(victims[2].state, other.state)).Err(),
		"altered, no state":                  o.client.HSet(ctx, victims[3].key, victims[3].field, "no state").Err(),
		"older":                              o.client.HSet(ctx, older.key, older.field, before[older.field]).Err(),
		"newer":                              o.client.HSet(ctx, victims[4].key, victims[4].field, withOffset(victims[4].state, 1<<30)).Err(),
		"extra, no subject":                  o.client.HSet(ctx, victims[5].key, "+7 701", "x").Err(),
		"extra, in another bucket":           o.client.HSet(ctx, c.Layout().Prefix(0)+"s:0", strayField(t, o), victims[5].state).Err(),
		"unheld":                             o.client.HDel(ctx, heldKey, held.Reveal()).Err(),
		"held by none, of another partition": o.client.HSet(ctx, heldKey, held.Reveal()+"-3", "1/"+strconv.Itoa(1-int(c.Layout().PartitionOf(held)))+"@1").Err(),
		"held by none":                       o.client.HSet(ctx, heldKey, held.Reveal()+"-2", "1/"+strconv.Itoa(int(c.Layout().PartitionOf(held)))+"@1").Err(),
	} {
		require.NoError(t, err, what)
	}
	r, found := o.verify(t, Config{})
	got := maps.Clone(r.Kinds)
	require.Equal(t, want, got, "%v", found)
	for _, d := range found {
		require.Equal(t, "marketing", d.Service)
	}
	_, found = o.verify(t, Config{Services: []string{"targeting"}})
	require.Empty(t, found)
}

// withVersionOf puts the version of one state in front of another.
func withVersionOf(state, version string) string { return version[:6] + state[6:] }

// withOffset gives a state another version.
func withOffset(state string, offset uint32) string {
	return string([]byte{0, 0, byte(offset >> 24), byte(offset >> 16), byte(offset >> 8), byte(offset)}) + state[6:]
}

// strayField is a subject of partition 0 that does not belong into bucket 0.
func strayField(t *testing.T, o *town) string {
	l := o.inspector(t, "marketing").Layout()
	for i := range 1000 {
		s, _ := events.ParseSubject("stray-" + string(rune('a'+i%26)) + string(rune('a'+i/26)))
		if l.PartitionOf(s) == 0 && l.BucketOf(s) != 0 {
			return s.Reveal()
		}
	}
	t.Fatal("nobody")
	return ""
}

func TestADigestThatIsKeptWrongIsFound(t *testing.T) {
	testenv.Parallel(t)
	o := newTown(t, 1, 10, "marketing")
	o.live(t, 50)
	o.settle(t)
	require.NoError(t, o.client.HSet(t.Context(), o.inspector(t, "marketing").Layout().Prefix(0)+"pos", "digest", "17").Err())
	_, found := o.verify(t, Config{})
	require.Len(t, found, 1)
	require.Equal(t, NotKept, found[0].Kind)
	require.Equal(t, "000000000011", found[0].Stored)
}

func TestALostPositionIsFound(t *testing.T) {
	testenv.Parallel(t)
	o := newTown(t, 2, 10, "marketing")
	o.live(t, 50)
	o.settle(t)
	o.stop(t, "marketing")
	l := o.inspector(t, "marketing").Layout()
	require.NoError(t, o.client.HDel(t.Context(), l.Prefix(0)+"pos", "next").Err())
	require.NoError(t, o.client.HSet(t.Context(), l.Prefix(1)+"pos", "next", "1000000").Err())
	r, _ := o.verify(t, Config{})
	require.EqualValues(t, 1, r.Kinds[NoPosition])
	require.EqualValues(t, 1, r.Kinds[Beyond])
	require.Len(t, r.Kinds, 2)
}
