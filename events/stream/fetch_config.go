package stream

import (
	"fmt"
	"math"
	"time"
)

const (
	// defaultMaxWait is how long a broker holds back an answer that would be empty. An idle partition
	// proves its freshness this often; half of it would double the idle cost.
	defaultMaxWait = 500 * time.Millisecond
	// defaultMaxFetchBytes bounds one answer: large enough that a replay does not wait for round trips,
	// small enough for two of them per broker (one in use, one read ahead) in a small container.
	defaultMaxFetchBytes = 4 << 20
	// defaultPartitionMaxBytes bounds one partition of an answer, so that eight partitions share one.
	defaultPartitionMaxBytes = 512 << 10
	// defaultMaxFrameBytes is the largest answer accepted at all: a broker exceeds MaxFetchBytes when the
	// first batch alone is larger (up to the topic's max.message.bytes).
	defaultMaxFrameBytes = 64 << 20
	// defaultMaxUnpackedBytes bounds what the compressed batches of one answer may become.
	defaultMaxUnpackedBytes = 64 << 20
	// defaultStall is how long a partition may be behind, or unheard of, until its connections are
	// rebuilt (kafka-go#955, #847, #387, #1046 report such stalls). Longer than replyTimeout, so that the
	// plain timeout is tried first.
	defaultStall = 8 * time.Second
)

// fetchConfig is what reading needs beside the connection; ConsumerConfig and ReaderConfig explain it.
type fetchConfig struct {
	Topic             string
	MaxWait           time.Duration
	MaxFetchBytes     int32
	PartitionMaxBytes int32
	MaxFrameBytes     int
	MaxUnpackedBytes  int
	Stall             time.Duration
	Watch             Watch
}

// complete fills in the defaults and checks the rest.
func (c fetchConfig) complete() (fetchConfig, error) {
	setDefault(&c.MaxWait, defaultMaxWait)
	setDefault(&c.MaxFetchBytes, defaultMaxFetchBytes)
	setDefault(&c.PartitionMaxBytes, min(defaultPartitionMaxBytes, c.MaxFetchBytes))
	setDefault(&c.MaxFrameBytes, max(defaultMaxFrameBytes, 2*int(c.MaxFetchBytes)))
	setDefault(&c.MaxUnpackedBytes, defaultMaxUnpackedBytes)
	setDefault(&c.Stall, defaultStall)
	switch {
	case c.Topic == "":
		return c, fmt.Errorf("stream: no topic to read")
	case c.MaxWait < time.Millisecond || c.MaxWait > math.MaxInt32*time.Millisecond:
		return c, fmt.Errorf("stream: MaxWait %v", c.MaxWait)
	case c.MaxFetchBytes < 1 || c.PartitionMaxBytes < 1:
		return c, fmt.Errorf("stream: MaxFetchBytes %d, PartitionMaxBytes %d", c.MaxFetchBytes, c.PartitionMaxBytes)
	case c.MaxFrameBytes < int(c.MaxFetchBytes) || c.MaxFrameBytes > math.MaxInt32:
		return c, fmt.Errorf("stream: MaxFrameBytes %d is below MaxFetchBytes %d, or above 2 GB", c.MaxFrameBytes, c.MaxFetchBytes)
	case c.MaxUnpackedBytes < 1:
		return c, fmt.Errorf("stream: MaxUnpackedBytes %d", c.MaxUnpackedBytes)
	case c.Stall <= c.MaxWait:
		return c, fmt.Errorf("stream: Stall %v is not above MaxWait %v", c.Stall, c.MaxWait)
	}
	return c, nil
}

func setDefault[T int | int32 | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}
