package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
)

// adminTimeout bounds one administrative request without a deadline of its own.
const adminTimeout = 30 * time.Second

// TopicSpec is a topic as it has to be.
type TopicSpec struct {
	Name       string
	Partitions int
	// Replicas is the replication factor; 0 leaves it to the broker.
	Replicas int
	// Config are topic settings by their Kafka names, message.timestamp.type for example.
	Config map[string]string
}

// Admin creates topics and looks up where they begin and end. It is safe for concurrent use.
type Admin struct {
	conf Config
}

// NewAdmin checks the configuration. It opens no connection, and keeps none open between calls.
func NewAdmin(conf Config) (*Admin, error) {
	if err := conf.Validate(); err != nil {
		return nil, err
	}
	return &Admin{conf: conf}, nil
}

// CreateTopics creates the topics that are not there and returns when every partition has a leader. A
// topic that exists with another number of partitions is an error: it is never altered in place, since
// that would move subjects between partitions. Other differences are left as they are.
func (a *Admin) CreateTopics(ctx context.Context, specs []TopicSpec) error {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	for _, spec := range specs {
		if err := a.createTopic(ctx, spec); err != nil {
			return fmt.Errorf("create topic %s: %w", spec.Name, err)
		}
	}
	return nil
}

func (a *Admin) createTopic(ctx context.Context, spec TopicSpec) error {
	links, err := newLinks(a.conf, spec.Name)
	if err != nil {
		return err
	}
	defer links.close()
	if spec.Partitions < 1 {
		return fmt.Errorf("%d partitions", spec.Partitions)
	}
	config := kafka.TopicConfig{Topic: spec.Name, NumPartitions: spec.Partitions, ReplicationFactor: spec.Replicas}
	if spec.Replicas == 0 {
		config.ReplicationFactor = -1
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Config)) {
		config.ConfigEntries = append(config.ConfigEntries, kafka.ConfigEntry{ConfigName: name, ConfigValue: spec.Config[name]})
	}
	res, err := links.client().CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{config}})
	if err != nil {
		return err
	}
	if err := res.Errors[spec.Name]; err != nil && !errors.Is(err, kafka.TopicAlreadyExists) {
		return err
	}
	return awaitLeaders(ctx, links, spec.Partitions)
}

// awaitLeaders returns when the topic has as many partitions as it should, all with a leader.
func awaitLeaders(ctx context.Context, links *links, want int) error {
	for {
		leaders, err := links.leaders(ctx, true)
		led := 0
		for _, leader := range leaders {
			if leader != homeless {
				led++
			}
		}
		switch {
		case err == nil && led == want && len(leaders) == want:
			return nil
		case err == nil && len(leaders) > want:
			return fmt.Errorf("exists with %d partitions, want %d", len(leaders), want)
		case err == nil:
			err = fmt.Errorf("%d of %d partitions have a leader", led, want)
		}
		if !pause(ctx, offsetsPause) {
			return err
		}
	}
}

// Offsets tells the range of every partition of a topic.
func (a *Admin) Offsets(ctx context.Context, topic string) (map[int32]Offsets, error) {
	links, err := newLinks(a.conf, topic)
	if err != nil {
		return nil, err
	}
	defer links.close()
	return links.offsets(ctx)
}

// OffsetsAt tells, for every partition of a topic, the first offset whose record is of the given time or
// later; -1 where there is none.
func (a *Admin) OffsetsAt(ctx context.Context, topic string, at time.Time) (map[int32]int64, error) {
	links, err := newLinks(a.conf, topic)
	if err != nil {
		return nil, err
	}
	defer links.close()
	return links.offsetsAt(ctx, at.UnixMilli(), nil)
}

// Partitions tells how many partitions a topic has.
func (a *Admin) Partitions(ctx context.Context, topic string) (int, error) {
	links, err := newLinks(a.conf, topic)
	if err != nil {
		return 0, err
	}
	defer links.close()
	leaders, err := links.leaders(ctx, false)
	return len(leaders), err
}
