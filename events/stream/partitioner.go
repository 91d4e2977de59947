package stream

import (
	"fmt"

	"github.com/kelisim/kelisim/events"
)

// Partition returns the partition, in [0, n), that records with this key belong
// to: events.PartitionOf for bytes. Java's default partitioner and kafka-go's
// Murmur2Balancer give the same.
func Partition(key []byte, n int) int32 { return events.PartitionOf(key, int32(n)) }

// place picks the partition of a message on a topic with n partitions.
func (m *Message) place(n int32) (int32, error) {
	switch {
	case m.Partition == AnyPartition && m.Key == nil:
		return 0, fmt.Errorf("%w: neither a key nor a partition", ErrRefused)
	case m.Partition == AnyPartition:
		return events.PartitionOf(m.Key, n), nil
	case m.Partition < AnyPartition:
		return Beside(m.Partition) % n, nil // Beside is its own inverse
	case m.Partition >= n:
		return 0, fmt.Errorf("%w: the topic has %d partitions, not partition %d", ErrRefused, n, m.Partition)
	default:
		return m.Partition, nil
	}
}
