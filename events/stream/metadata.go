package stream

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/createtopics"
	"github.com/segmentio/kafka-go/protocol/metadata"
)

const (
	// readingMetadataTTL is how often the routing of a reading client is refreshed without need. A reader
	// learns of a moved leader from the first refused fetch and refreshes at once, so this only has to
	// notice added partitions; kafka-go's metadata request also times out after it.
	readingMetadataTTL = 2 * time.Second
	// refreshTimeout bounds one forced refresh.
	refreshTimeout = 2 * time.Second
)

// links holds the connections of a reading client to the brokers and knows who leads what.
type links struct {
	conf  Config
	topic string

	mu        sync.Mutex
	transport *transport
}

// newLinks checks the configuration; it opens no connection.
func newLinks(conf Config, topic string) (*links, error) {
	l := &links{conf: conf, topic: topic}
	return l, l.rebuild()
}

// rebuild gives up all connections and begins with new ones. Requests under way end by themselves.
func (l *links) rebuild() error {
	t, err := l.conf.transport(l.topic)
	if err != nil {
		return err
	}
	t.MetadataTTL = readingMetadataTTL
	l.mu.Lock()
	old := l.transport
	l.transport = t
	l.mu.Unlock()
	if old != nil {
		old.CloseIdleConnections()
	}
	return nil
}

// close gives up all connections.
func (l *links) close() { l.current().CloseIdleConnections() }

func (l *links) current() *transport {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.transport
}

// client gives kafka-go's client over the same connections.
func (l *links) client() *kafka.Client {
	return &kafka.Client{Addr: l.conf.address(), Transport: l.current()}
}

// roundTrip sends a request of ours.
func (l *links) roundTrip(ctx context.Context, m protocol.Message) (protocol.Message, error) {
	return l.current().RoundTrip(ctx, l.conf.address(), m)
}

// leaders tells who leads each partition of the topic; homeless stands for a partition that has no leader
// right now. With refresh the cluster is asked first.
func (l *links) leaders(ctx context.Context, refresh bool) (map[int32]int32, error) {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	if refresh {
		if _, err := l.roundTrip(ctx, refreshMetadata{}); err != nil {
			return nil, fmt.Errorf("refresh metadata of %s: %w", l.topic, err)
		}
	}
	answer, err := l.roundTrip(ctx, &metadata.Request{TopicNames: []string{l.topic}})
	if err != nil {
		return nil, fmt.Errorf("metadata of %s: %w", l.topic, err)
	}
	found := map[int32]int32{}
	for _, t := range answer.(*metadata.Response).Topics {
		if t.Name != l.topic {
			continue
		}
		if t.ErrorCode != 0 {
			return nil, fmt.Errorf("metadata of %s: %w", l.topic, kafkaError(t.ErrorCode))
		}
		for _, p := range t.Partitions {
			found[p.PartitionIndex] = max(p.LeaderID, homeless)
		}
	}
	return found, nil
}

// refreshMetadata makes kafka-go's transport ask for metadata at once, which it otherwise does only when
// its time to live has passed (kafka-go#1221, #1413): the transport refreshes after every answer to a
// create-topics request, so this is a request that sends nothing and is answered like one without topics.
type refreshMetadata struct{}

// ApiKey names a request without which no connection is picked by partition or group.
func (refreshMetadata) ApiKey() protocol.ApiKey { return protocol.Metadata }

// Required makes kafka-go call RawExchange.
func (refreshMetadata) Required(map[protocol.ApiKey]int16) bool { return true }

// RawExchange leaves the connection alone.
func (refreshMetadata) RawExchange(io.ReadWriter) (protocol.Message, error) {
	return &createtopics.Response{}, nil
}
