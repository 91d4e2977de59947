package stream

import (
	"context"
	"errors"
	"time"
)

// topicPoll is how often a topic that is not there yet is looked for.
const topicPoll = 250 * time.Millisecond

// ErrHandlerReturned is what Run returns when the handler ended without an error before its session did.
var ErrHandlerReturned = errors.New("handler returned before its session ended")

// Consumer is a member of a consumer group. The group decides which partitions it reads; where reading
// begins and what has been done is up to the handler.
type Consumer struct {
	conf  ConsumerConfig
	fetch fetchConfig
}

// NewConsumer checks the configuration. It opens no connection.
func NewConsumer(conf ConsumerConfig) (*Consumer, error) {
	if err := conf.Config.Validate(); err != nil {
		return nil, err
	}
	if err := conf.complete(); err != nil {
		return nil, err
	}
	fetch, err := conf.fetch().complete()
	if err != nil {
		return nil, err
	}
	return &Consumer{conf: conf, fetch: fetch}, nil
}

// Run joins the group and calls handle once per generation, with a context that ends at the next
// rebalance. handle must then return, for the others wait for it; what it still commits in time goes out
// before the group forms anew. Run goes on through failures of brokers and returns nil when ctx has ended
// and the group been left, the error of a handler that returned early, or ErrAuthentication when the
// brokers refuse this client from the start.
func (c *Consumer) Run(ctx context.Context, handle func(ctx context.Context, s *Session) error) error {
	links, err := newLinks(c.conf.Config, c.conf.Topic)
	if err != nil {
		return err
	}
	defer links.close()
	partitions, err := c.awaitTopic(ctx, links)
	switch {
	case ctx.Err() != nil:
		return nil // nothing has begun
	case err != nil:
		return err
	}
	m := &membership{consumer: c, links: links, handle: handle, partitions: partitions, ended: make(chan error, 1)}
	if err := m.join(ctx); err != nil {
		return err
	}
	defer m.group.Close() // leaves the group, after the handler has returned
	return m.run(ctx)
}

// awaitTopic waits until the topic exists: without it the group would hand out nothing, and nothing would
// ever tell it to look again. It returns the number of partitions.
func (c *Consumer) awaitTopic(ctx context.Context, l *links) (int, error) {
	for attempt := 0; ; attempt++ {
		leaders, err := l.leaders(ctx, attempt > 0)
		if err == nil && len(leaders) > 0 {
			return len(leaders), nil
		}
		if errors.Is(err, ErrAuthentication) {
			return 0, err
		}
		if attempt%40 == 0 && ctx.Err() == nil { // every 10 s
			c.conf.logger().Warn("kafka: waiting for the topic", "topic", c.conf.Topic, "err", err)
		}
		if !pause(ctx, topicPoll) {
			return 0, ctx.Err()
		}
	}
}
