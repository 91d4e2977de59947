package events

// murmur2Seed is the seed of Kafka's default partitioner
// (org.apache.kafka.common.utils.Utils.murmur2).
const murmur2Seed uint32 = 0x9747b28c

// PartitionOf returns the partition, in [0, partitions), of the log that holds
// every event of the subject with this key. It is the Java client's rule
// (murmur2 of the key, sign bit dropped, modulo), so that producers and readers
// in any language agree; it allocates nothing and needs no Kafka client. The
// number of partitions of a topic never changes in place, so the answer is
// stable for one generation of the topic. With fewer than one partition the
// answer is -1, which no topic has.
func PartitionOf[K string | []byte](key K, partitions int32) int32 {
	if partitions < 1 {
		return -1
	}
	return int32(murmur2(key)&0x7fffffff) % partitions
}

// murmur2 is Austin Appleby's 32-bit MurmurHash2 (public domain), little-endian
// as in the Java client.
func murmur2[K string | []byte](data K) uint32 {
	const (
		m = 0x5bd1e995
		r = 24
	)
	h := murmur2Seed ^ uint32(len(data))
	for len(data) >= 4 {
		k := uint32(data[0]) | uint32(data[1])<<8 | uint32(data[2])<<16 | uint32(data[3])<<24
		k *= m
		k ^= k >> r
		k *= m
		h = h*m ^ k
		data = data[4:]
	}
	switch len(data) {
	case 3:
		h ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(data[0])) * m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}
