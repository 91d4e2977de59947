package stream_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events/stream"
)

func TestReaderIsBoundAsConsumersAre(t *testing.T) {
	conf := stream.ReaderConfig{Topic: "t"}
	conf.Brokers, conf.MaxUnpackedBytes = []string{"127.0.0.1:9092"}, -1
	_, err := stream.NewReader(conf)
	require.ErrorContains(t, err, "MaxUnpackedBytes")
}

func TestConsumerConfigurationThatCannotWorkIsRefused(t *testing.T) {
	for _, test := range []struct {
		says   string
		change func(*stream.ConsumerConfig)
	}{
		{"no brokers", func(c *stream.ConsumerConfig) { c.Brokers = nil }},
		{"broker", func(c *stream.ConsumerConfig) { c.Brokers = []string{"no-port"} }},
		{"no group", func(c *stream.ConsumerConfig) { c.Group = "" }},
		{"no topic", func(c *stream.ConsumerConfig) { c.Topic = "" }},
		{"MaxWait", func(c *stream.ConsumerConfig) { c.MaxWait = -time.Second }},
		{"MaxFetchBytes", func(c *stream.ConsumerConfig) { c.MaxFetchBytes = -1 }},
		{"MaxFrameBytes", func(c *stream.ConsumerConfig) { c.MaxFrameBytes = 10 }},
		{"MaxUnpackedBytes", func(c *stream.ConsumerConfig) { c.MaxUnpackedBytes = -1 }},
		{"HeartbeatInterval", func(c *stream.ConsumerConfig) { c.HeartbeatInterval = 3 * time.Second }},
		{"RebalanceTimeout", func(c *stream.ConsumerConfig) { c.RebalanceTimeout = -1 }},
		{"CommitInterval", func(c *stream.ConsumerConfig) { c.CommitInterval = time.Millisecond }},
		{"Stall", func(c *stream.ConsumerConfig) { c.Stall = 100 * time.Millisecond }},
	} {
		conf := stream.ConsumerConfig{Group: "g", Topic: "t"}
		conf.Brokers = []string{"127.0.0.1:9092"}
		_, err := stream.NewConsumer(conf)
		require.NoError(t, err)
		test.change(&conf)
		_, err = stream.NewConsumer(conf)
		require.ErrorContains(t, err, test.says)
	}
}
