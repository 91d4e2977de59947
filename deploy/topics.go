package deploy

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// The names of the topics, as in topics.yaml.
const (
	EventsTopic   = "consent.events.v1"
	StateTopic    = "consent.state.v1"
	PoliciesTopic = "consent.policies.v1"
	ReceiptsTopic = "consent.receipts.v1"
	ParkedTopic   = "consent.parked.v1"
	AuditTopic    = "consent.audit.v1"
	ActivityTopic = "consent.activity.v1"
)

// MaxParkedBytes bounds one message to the parked topic with its headers, unpacked: below what topics.yaml allows there,
// and well above what it allows among the events, so that the copy of what fits there fits, unless that was packed small.
const MaxParkedBytes = 4_000_000

//go:embed topics.yaml
var topicsYAML []byte

// Layout is the content of topics.yaml.
type Layout struct {
	// Generation counts complete re-layouts of the events topic, from 1.
	Generation uint32 `yaml:"generation"`
	// BucketsPerPartition is the number of Redis hashes that hold the states of one partition.
	BucketsPerPartition int `yaml:"buckets_per_partition"`
	// Topics holds each topic once, the events first.
	Topics []Topic `yaml:"topics"`
}

// Topic is how one topic is to be created.
type Topic struct {
	Name string `yaml:"name"`
	// Key says in words what its records are keyed by.
	Key        string `yaml:"key"`
	Partitions int    `yaml:"partitions"`
	Replicas   int    `yaml:"replicas"`
	// Config holds Kafka's own topic settings.
	Config map[string]string `yaml:"config"`
}

// Topics reads the embedded topics.yaml. An error means that the file was changed and never tested.
func Topics() (Layout, error) { return ParseTopics(topicsYAML) }

// ParseTopics reads a file like topics.yaml. A key that it does not know is an error, and so are a missing topic and a
// setting under which a promise of the system would not hold.
func ParseTopics(file []byte) (Layout, error) {
	var layout Layout
	dec := yaml.NewDecoder(bytes.NewReader(file))
	dec.KnownFields(true)
	if err := dec.Decode(&layout); err != nil {
		return Layout{}, fmt.Errorf("topics: %w", err)
	}
	if err := layout.validate(); err != nil {
		return Layout{}, fmt.Errorf("topics: %w", err)
	}
	return layout, nil
}

// Topic returns the topic of that name, or an error that names it.
func (l Layout) Topic(name string) (Topic, error) {
	for _, t := range l.Topics {
		if t.Name == name {
			return t, nil
		}
	}
	return Topic{}, fmt.Errorf("topic %s: not in the layout", name)
}

// ForBrokers returns the layout for a cluster of n brokers: with fewer brokers than replicas, as in development, each
// topic has a replica on every broker, and as many in sync as still let one of them fail.
func (l Layout) ForBrokers(n int) Layout {
	topics := make([]Topic, len(l.Topics))
	for i, t := range l.Topics {
		t.Config = maps.Clone(t.Config)
		if n < t.Replicas {
			t.Replicas = n
			t.Config[minInSync] = strconv.Itoa(max(1, n-1))
		}
		topics[i] = t
	}
	l.Topics = topics
	return l
}

// OfGeneration returns the layout for a later generation of the log than the file's
// own: its events and their snapshots have as many partitions as the command gave them.
// A file of the same generation, or a later one, says it itself.
func (l Layout) OfGeneration(generation uint32, partitions int) Layout {
	if generation <= l.Generation || partitions < 1 {
		return l
	}
	l.Generation, l.Topics = generation, slices.Clone(l.Topics)
	for i := range l.Topics {
		if l.Topics[i].Name == EventsTopic || l.Topics[i].Name == StateTopic {
			l.Topics[i].Partitions = partitions
		}
	}
	return l
}

const minInSync = "min.insync.replicas"

// topicSettings are the settings that topics.yaml may use. Kafka ignores none and a typing error would only show when a
// topic is created, so the list is short: whoever needs another adds it here.
var topicSettings = map[string]bool{
	"cleanup.policy": true, "compression.type": true, "delete.retention.ms": true, "max.compaction.lag.ms": true,
	"max.message.bytes": true, "message.timestamp.type": true, "min.cleanable.dirty.ratio": true,
	minInSync: true, "retention.bytes": true, "retention.ms": true, "segment.bytes": true, "segment.ms": true,
	"unclean.leader.election.enable": true,
}

func (l Layout) validate() error {
	errs := []error{
		check(l.Generation >= 1, "generation: begins at 1"),
		check(l.BucketsPerPartition >= 1, "buckets_per_partition: at least 1"),
	}
	seen := make(map[string]bool)
	for _, t := range l.Topics {
		errs = append(errs, check(!seen[t.Name], "%s: named twice", t.Name), t.validate())
		seen[t.Name] = true
	}
	for _, name := range []string{EventsTopic, StateTopic, PoliciesTopic, ReceiptsTopic, ParkedTopic, AuditTopic, ActivityTopic} {
		errs = append(errs, check(seen[name], "%s: missing", name))
	}
	return errors.Join(errs...)
}

// validate checks what every topic must have, and for the known ones what their promises rest on.
func (t Topic) validate() error {
	inSync, err := strconv.Atoi(t.Config[minInSync])
	errs := []error{
		check(t.Name != "", "a topic without a name"),
		check(t.Partitions >= 1, "%s: partitions: at least 1", t.Name),
		check(err == nil && inSync >= 1 && inSync <= t.Replicas, "%s: %s: between 1 and replicas", t.Name, minInSync),
		t.want("unclean.leader.election.enable", "false"),
	}
	for key := range t.Config {
		errs = append(errs, check(topicSettings[key], "%s: unknown setting %s", t.Name, key))
	}
	switch t.Name {
	case EventsTopic, ParkedTopic, ReceiptsTopic, AuditTopic, ActivityTopic:
		errs = append(errs, t.want("message.timestamp.type", "LogAppendTime"), t.want("cleanup.policy", "delete"))
	case StateTopic:
		errs = append(errs, t.want("cleanup.policy", "compact"))
	case PoliciesTopic:
		errs = append(errs, t.want("cleanup.policy", "delete"), t.want("retention.ms", "-1"), t.want("retention.bytes", "-1"),
			check(t.Partitions == 1, "%s: one partition", t.Name))
	default:
		errs = append(errs, fmt.Errorf("%s: unknown topic", t.Name))
	}
	return errors.Join(errs...)
}

func (t Topic) want(key, value string) error {
	return check(t.Config[key] == value, "%s: %s: want %s, not %q", t.Name, key, value, t.Config[key])
}

func check(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}
