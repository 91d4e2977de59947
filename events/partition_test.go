package events

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestHashIsTheJavaClients holds the vectors of the Java client's own test
// (UtilsTest.testMurmur2), which every Kafka client checks itself against.
func TestHashIsTheJavaClients(t *testing.T) {
	for key, want := range map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		require.Equal(t, want, int32(murmur2(key)), "murmur2(%q)", key)
	}
}

func TestPartitionIsAlwaysOneTheTopicHas(t *testing.T) {
	for n := range 40 {
		key := strings.Repeat("k", n)
		for _, partitions := range []int32{1, 2, 3, 8, 64, 1<<31 - 1} {
			p := PartitionOf(key, partitions)
			require.GreaterOrEqual(t, p, int32(0))
			require.Less(t, p, partitions)
		}
		require.Equal(t, int32(-1), PartitionOf(key, 0))
	}
}

func TestPartitionAllocatesNothing(t *testing.T) {
	key := "7f9c24e8-0001-subject"
	require.Zero(t, testing.AllocsPerRun(100, func() { PartitionOf(key, 64) }))
}
