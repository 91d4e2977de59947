package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/metadata"
)

const (
	// routesPause is the least time between two questions for the routes: a
	// leader election takes longer, and many partitions may ask at once.
	routesPause = 20 * time.Millisecond
	// routesRetry is how long a topic that is not known yet, or a cluster that
	// does not answer, is left alone between two questions.
	routesRetry = 100 * time.Millisecond
	// noLeader stands for a partition whose leader is not known.
	noLeader int32 = -1
)

// errNoLeader is the cause when a partition has no leader at the moment.
var errNoLeader = errors.New("no leader")

// routes knows which broker leads which partition of the topics that were
// published to. It asks when a topic is new and when somebody met a leader that
// no longer was one; kafka-go's transport would ask only by the clock.
type routes struct {
	link *link
	log  *slog.Logger
	wake chan struct{} // capacity one: a question is wanted

	mu      sync.Mutex
	topics  map[string]*route
	answers chan struct{} // closed and replaced at every answer
}

// route is one topic. err is set while nothing is known about it.
type route struct {
	leaders []int32
	err     error
}

func newRoutes(l *link, log *slog.Logger) *routes {
	return &routes{
		link: l, log: log, wake: make(chan struct{}, 1),
		topics: make(map[string]*route), answers: make(chan struct{}),
	}
}

// run asks until ctx ends.
func (r *routes) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		}
		r.ask(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(routesPause):
		}
	}
}

// refresh asks for a new answer and does not wait for it.
func (r *routes) refresh() {
	select {
	case r.wake <- struct{}{}:
	default: // one is already wanted
	}
}

// partitions returns how many partitions a topic has. The first answer counts
// for good: a topic's partitions are never changed in place, and if somebody did
// it all the same, keys stay where their history is. The first call for a topic
// waits for the cluster; it gives up at the end of ctx with the last cause, or
// at once when the cluster refuses to talk to us.
func (r *routes) partitions(ctx context.Context, topic string) (int32, error) {
	for {
		r.mu.Lock()
		t, known := r.topics[topic]
		if known && t.err == nil && len(t.leaders) > 0 {
			n := len(t.leaders)
			r.mu.Unlock()
			return int32(n), nil
		}
		if !known {
			t = &route{}
			r.topics[topic] = t
		}
		err, answered := t.err, r.answers
		r.mu.Unlock()
		if errors.Is(err, ErrAuthentication) || errors.Is(err, kafka.TopicAuthorizationFailed) {
			return 0, err
		}
		r.refresh()
		if e := waitForAnswer(ctx, answered, err != nil); e != nil {
			return 0, errors.Join(e, err)
		}
	}
}

// waitForAnswer returns at the next answer; after a pause when the last one was
// of no use.
func waitForAnswer(ctx context.Context, answered <-chan struct{}, pause bool) error {
	if pause {
		select {
		case <-time.After(routesRetry):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	select {
	case <-answered:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// leader returns the broker that leads a partition, or noLeader.
func (r *routes) leader(topic string, partition int32) int32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.topics[topic]
	if t == nil || int(partition) >= len(t.leaders) {
		return noLeader
	}
	return t.leaders[partition]
}

// ask asks the cluster once about all topics and takes in the answer.
func (r *routes) ask(ctx context.Context) {
	r.mu.Lock()
	topics := make([]string, 0, len(r.topics))
	for name := range r.topics {
		topics = append(topics, name)
	}
	r.mu.Unlock()

	m, err := r.link.roundTrip(ctx, &askRoutes{clientID: r.link.clientID, topics: topics})
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.failed(fmt.Errorf("metadata: %w", err))
	} else {
		r.learn(m.(*routesAnswer).Response)
	}
	close(r.answers)
	r.answers = make(chan struct{})
}

// failed notes why nothing was learned, for those who wait for a topic.
func (r *routes) failed(err error) {
	for _, t := range r.topics {
		if len(t.leaders) == 0 {
			t.err = err
		}
	}
}

func (r *routes) learn(res *metadata.Response) {
	for i := range res.Topics {
		answer := &res.Topics[i]
		t := r.topics[answer.Name]
		if t == nil {
			continue
		}
		if answer.ErrorCode != 0 && len(t.leaders) == 0 {
			t.err = fmt.Errorf("topic %s: %w", answer.Name, kafka.Error(answer.ErrorCode))
			continue
		}
		r.learnTopic(t, answer)
	}
}

func (r *routes) learnTopic(t *route, answer *metadata.ResponseTopic) {
	if len(answer.Partitions) == 0 {
		return // an error; what was known before may still hold
	}
	if len(t.leaders) == 0 {
		t.leaders, t.err = slices.Repeat([]int32{noLeader}, len(answer.Partitions)), nil
	}
	if len(answer.Partitions) != len(t.leaders) {
		r.log.Error("kafka: the topic's partitions were changed in place; keys stay where they were",
			"topic", answer.Name, "partitions", len(answer.Partitions), "used", len(t.leaders))
	}
	for i := range answer.Partitions {
		p := &answer.Partitions[i]
		if p.PartitionIndex < 0 || int(p.PartitionIndex) >= len(t.leaders) {
			continue
		}
		t.leaders[p.PartitionIndex] = noLeader
		if p.ErrorCode == 0 || kafka.Error(p.ErrorCode) == kafka.ReplicaNotAvailable {
			t.leaders[p.PartitionIndex] = p.LeaderID
		}
	}
}

// askRoutes is a metadata request that really goes out: kafka-go's transport
// answers its own from a cache.
type askRoutes struct {
	clientID string
	topics   []string
	version  int16
}

// ApiKey implements protocol.Message.
func (*askRoutes) ApiKey() protocol.ApiKey { return protocol.Metadata }

// Required implements protocol.RawExchanger: always.
func (a *askRoutes) Required(versions map[protocol.ApiKey]int16) bool {
	a.version = versions[protocol.Metadata]
	return true
}

// RawExchange implements protocol.RawExchanger.
func (a *askRoutes) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	res, err := protocol.RoundTrip(rw, a.version, firstCorrelation, a.clientID, &metadata.Request{TopicNames: a.topics})
	if err != nil {
		return nil, err
	}
	return &routesAnswer{res.(*metadata.Response)}, nil
}

// routesAnswer keeps the answer's type from the transport, which would take it
// for the answer to a request of its own.
type routesAnswer struct{ *metadata.Response }
