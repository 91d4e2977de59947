package main

import (
	"context"
	"fmt"
	"sync/atomic"

	"golang.org/x/time/rate"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/synthetic"
)

// arrivalBatch is how many events of the arrivals are published at a time: some
// of them queue in the producer, none waits long.
const arrivalBatch = 500

// eventsOfArrival is how many events make a synthetic subject one of us.
const eventsOfArrival = 3

// crowd are the synthetic subjects, who never stop deciding.
type crowd struct {
	people    *synthetic.Generator
	size      int
	publisher *publisher
	limit     *rate.Limiter // nil: they arrive and rest
	published atomic.Int64
	arrived   chan struct{}   // closed when everybody has
	last      map[int32]trace // by partition: the last event of the arrivals
}

// trace is where a subject's event stands in the log.
type trace struct {
	subject events.Subject
	at      events.Position
}

func newCrowd(o options, rules *events.Rules, p *publisher) (*crowd, error) {
	people, err := synthetic.New(synthetic.Config{Seed: o.seed, Subjects: o.subjects}, rules)
	if err != nil {
		return nil, err
	}
	c := &crowd{people: people, size: o.subjects, publisher: p, arrived: make(chan struct{}), last: make(map[int32]trace)}
	if o.rate > 0 {
		c.limit = rate.NewLimiter(rate.Limit(o.rate), 1)
	}
	return c, nil
}

// arrive publishes everybody's first events, as fast as Kafka takes them.
func (c *crowd) arrive(ctx context.Context) error {
	var batch []events.Event
	for i := range c.size {
		for range eventsOfArrival {
			batch = append(batch, c.people.NextOf(i, c.publisher.now()))
		}
		if len(batch) >= arrivalBatch || i == c.size-1 {
			acks, err := c.publisher.publishAll(ctx, batch)
			if err != nil {
				return fmt.Errorf("arrivals: %w", err)
			}
			for i, ack := range acks {
				c.last[ack.Partition] = trace{batch[i].Subject, c.publisher.position(ack)}
			}
			c.published.Add(int64(len(batch)))
			batch = batch[:0]
		}
	}
	close(c.arrived)
	return nil
}

// run publishes one decision after the other until ctx ends.
func (c *crowd) run(ctx context.Context) error {
	if c.limit == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	for {
		if err := c.limit.Wait(ctx); err != nil {
			return ctx.Err()
		}
		e := c.people.Next(c.publisher.now())
		if _, err := c.publisher.publish(ctx, &e); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue // the producer has tried for long and logged why; the next one may pass
		}
		c.published.Add(1)
	}
}

// publisher writes events to the log.
type publisher struct {
	encoder    encoder
	producer   *stream.Producer
	topic      string
	generation uint32 // of the topic
}

// encoder is the part of the codec that is needed here.
type encoder interface {
	Encode(e *events.Event) (stream.Message, error)
}

// now is the time that decisions made now are stamped with: never ahead of the
// broker's clock.
func (p *publisher) now() events.Millis { return events.MillisOf(p.producer.Now()) }

// publish returns when all in-sync replicas have the event.
func (p *publisher) publish(ctx context.Context, e *events.Event) (stream.Ack, error) {
	m, err := p.encoder.Encode(e)
	if err != nil {
		return stream.Ack{}, err
	}
	m.Topic = p.topic
	return p.producer.Publish(ctx, m)
}

// position names an acknowledged record as answers do.
func (p *publisher) position(a stream.Ack) events.Position {
	return events.Position{Generation: p.generation, Partition: a.Partition, Offset: a.Offset}
}

func (p *publisher) publishAll(ctx context.Context, all []events.Event) ([]stream.Ack, error) {
	messages := make([]stream.Message, 0, len(all))
	for i := range all {
		m, err := p.encoder.Encode(&all[i])
		if err != nil {
			return nil, err
		}
		m.Topic = p.topic
		messages = append(messages, m)
	}
	return p.producer.PublishAll(ctx, messages)
}
