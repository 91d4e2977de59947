package stream

import (
	"fmt"
	"time"
)

const (
	// defaultSessionTimeout is how long a member that died without a word keeps its partitions. 6 s is the
	// least that brokers accept unless told otherwise (group.min.session.timeout.ms).
	defaultSessionTimeout = 6 * time.Second
	// defaultHeartbeatInterval is how soon a member notices that the group rebalances, so it bounds how
	// long the others wait for it. Two small requests per second cost nothing.
	defaultHeartbeatInterval = 500 * time.Millisecond
	// defaultRebalanceTimeout is how long the group waits for a member whose handler does not return.
	// Handlers return when their batch is written, in milliseconds; one that takes longer hangs.
	defaultRebalanceTimeout = 5 * time.Second
	// defaultCommitInterval: the group's offset is a hint, so a few per second are enough.
	defaultCommitInterval = 500 * time.Millisecond
	// minCommitInterval keeps a misconfigured consumer from committing per batch, which is what makes a
	// plain consumer slow.
	minCommitInterval = 200 * time.Millisecond
	// heartbeatsPerSession: a session must survive two lost heartbeats.
	heartbeatsPerSession = 3
)

// ConsumerConfig describes a member of a consumer group on one topic. Zero fields mean the default.
type ConsumerConfig struct {
	Config
	// Group and Topic name what is read and by whom. Both are needed.
	Group, Topic string
	// MaxWait is how long a broker holds back an answer that would be empty; 500 ms. An idle partition
	// proves its freshness this often. There is no minimum size: the first byte is answered at once.
	MaxWait time.Duration
	// MaxFetchBytes bounds an answer (4 MB), PartitionMaxBytes one partition's share of it (512 KB). A
	// single batch above them still comes through.
	MaxFetchBytes, PartitionMaxBytes int32
	// MaxFrameBytes is the largest answer accepted at all (64 MB), so also the largest batch that can be
	// read; MaxUnpackedBytes bounds what that may become.
	MaxFrameBytes int
	// SessionTimeout is how long the group waits for a member that died (6 s), HeartbeatInterval how often
	// a living one reports (500 ms), RebalanceTimeout how long a rebalance waits for handlers (5 s).
	SessionTimeout, HeartbeatInterval, RebalanceTimeout time.Duration
	// CommitInterval is the pause between two writes of offsets to the group; 500 ms, at least 200 ms.
	CommitInterval time.Duration
	// Stall is how long a partition may be behind without moving, or unheard of, until the watchdog
	// rebuilds the connections; 8 s.
	Stall time.Duration
	// Watch is told what happens.
	Watch Watch
}

// fetch gives the part that the fetcher needs.
func (c *ConsumerConfig) fetch() fetchConfig {
	return fetchConfig{
		Topic: c.Topic, MaxWait: c.MaxWait,
		MaxFetchBytes: c.MaxFetchBytes, PartitionMaxBytes: c.PartitionMaxBytes,
		MaxFrameBytes: c.MaxFrameBytes, MaxUnpackedBytes: c.MaxUnpackedBytes,
		Stall: c.Stall, Watch: c.Watch,
	}
}

// complete fills in the defaults of group membership and checks the rest.
func (c *ConsumerConfig) complete() error {
	setDefault(&c.SessionTimeout, defaultSessionTimeout)
	setDefault(&c.HeartbeatInterval, min(defaultHeartbeatInterval, c.SessionTimeout/heartbeatsPerSession))
	setDefault(&c.RebalanceTimeout, defaultRebalanceTimeout)
	setDefault(&c.CommitInterval, defaultCommitInterval)
	switch {
	case c.Group == "":
		return fmt.Errorf("stream: no group to join")
	case c.HeartbeatInterval < time.Millisecond || c.HeartbeatInterval*heartbeatsPerSession > c.SessionTimeout:
		return fmt.Errorf("stream: HeartbeatInterval %v is not at most a third of SessionTimeout %v",
			c.HeartbeatInterval, c.SessionTimeout)
	case c.RebalanceTimeout < time.Millisecond:
		return fmt.Errorf("stream: RebalanceTimeout %v", c.RebalanceTimeout)
	case c.CommitInterval < minCommitInterval:
		return fmt.Errorf("stream: CommitInterval %v is below %v", c.CommitInterval, minCommitInterval)
	}
	return nil
}
