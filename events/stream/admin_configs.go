package stream

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/segmentio/kafka-go"
)

// Setting is one configuration value of a topic or a broker.
type Setting struct {
	Value string
	// Own tells that it was set for this very topic or broker; else it is a default of the cluster or of Kafka.
	Own bool
}

// ownTopic is the source of a value that was set for the topic (DescribeConfigs: DYNAMIC_TOPIC_CONFIG); ownBroker and
// brokerFile of one for the broker (DYNAMIC_BROKER_CONFIG, STATIC_BROKER_CONFIG). A topic's list has all three.
const (
	ownTopic   = 1
	ownBroker  = 2
	brokerFile = 4
)

// TopicSettings tells all settings of topics, by topic and name. A topic that is not there is an error.
func (a *Admin) TopicSettings(ctx context.Context, topics ...string) (map[string]map[string]Setting, error) {
	return a.settings(ctx, kafka.ResourceTypeTopic, topics)
}

// BrokerSettings tells all settings of a broker. A sensitive one is empty.
func (a *Admin) BrokerSettings(ctx context.Context, broker int32) (map[string]Setting, error) {
	name := strconv.Itoa(int(broker))
	all, err := a.settings(ctx, kafka.ResourceTypeBroker, []string{name})
	return all[name], err
}

func (a *Admin) settings(ctx context.Context, kind kafka.ResourceType, names []string) (map[string]map[string]Setting, error) {
	if len(names) == 0 {
		return nil, nil
	}
	client, done, err := a.client()
	if err != nil {
		return nil, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	req := &kafka.DescribeConfigsRequest{}
	for _, name := range names {
		req.Resources = append(req.Resources, kafka.DescribeConfigRequestResource{ResourceType: kind, ResourceName: name})
	}
	res, err := client.DescribeConfigs(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("settings of %v: %w", names, err)
	}
	found := make(map[string]map[string]Setting, len(names))
	for _, r := range res.Resources {
		if r.Error != nil {
			return nil, fmt.Errorf("settings of %s: %w", r.ResourceName, r.Error)
		}
		settings := make(map[string]Setting, len(r.ConfigEntries))
		for _, e := range r.ConfigEntries {
			own := e.ConfigSource == ownTopic
			if kind == kafka.ResourceTypeBroker {
				own = e.ConfigSource == ownBroker || e.ConfigSource == brokerFile
			}
			settings[e.ConfigName] = Setting{e.ConfigValue, own}
		}
		found[r.ResourceName] = settings
	}
	for _, name := range names {
		if found[name] == nil {
			return nil, fmt.Errorf("settings of %s: not answered", name)
		}
	}
	return found, nil
}

// SetTopicSettings sets the given settings of a topic, leaves its others alone, and returns when the cluster shows them.
// With check the cluster only says whether it would.
func (a *Admin) SetTopicSettings(ctx context.Context, topic string, settings map[string]string, check bool) error {
	client, done, err := a.client()
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	resource := kafka.IncrementalAlterConfigsRequestResource{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		resource.Configs = append(resource.Configs, kafka.IncrementalAlterConfigsRequestConfig{
			Name: name, Value: settings[name], ConfigOperation: kafka.ConfigOperationSet,
		})
	}
	res, err := client.IncrementalAlterConfigs(ctx, &kafka.IncrementalAlterConfigsRequest{
		Resources: []kafka.IncrementalAlterConfigsRequestResource{resource}, ValidateOnly: check,
	})
	if err != nil {
		return fmt.Errorf("set settings of %s: %w", topic, err)
	}
	for _, r := range res.Resources {
		if r.Error != nil {
			return fmt.Errorf("set settings of %s: %w", topic, r.Error)
		}
	}
	if check {
		return nil
	}
	return a.awaitSettings(ctx, topic, settings)
}

// awaitSettings returns when a topic has the settings: the controller answers before its brokers know.
func (a *Admin) awaitSettings(ctx context.Context, topic string, want map[string]string) error {
	for {
		all, err := a.TopicSettings(ctx, topic)
		if err != nil {
			return err
		}
		shown := true
		for name, value := range want {
			shown = shown && all[topic][name].Value == value
		}
		if shown {
			return nil
		}
		if !pause(ctx, offsetsPause) {
			return fmt.Errorf("set settings of %s: set, but not shown: %w", topic, context.Cause(ctx))
		}
	}
}
