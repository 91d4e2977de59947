package stream

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/metadata"
)

// Topic is a topic as the cluster sees it.
type Topic struct {
	Name       string
	Internal   bool              // Kafka's own, such as __consumer_offsets
	Partitions []PartitionStatus // by rising number
}

// PartitionStatus says who keeps a partition. Brokers are named by their ids.
type PartitionStatus struct {
	ID       int32
	Leader   int32 // -1: nobody leads, so nobody can write or read
	Replicas []int32
	InSync   []int32 // of the replicas, those that have all that was acknowledged
	Offline  []int32 // of the replicas, those whose broker or disk is gone
}

// Cluster is the brokers that answer, and who of them decides.
type Cluster struct {
	ID         string
	Controller int32 // -1: none is known
	Brokers    []Broker
}

// Broker is one broker, under the address that it tells its clients.
type Broker struct {
	ID   int32
	Addr string // host:port
	Rack string
}

// Topics describes the named topics, or all of them when none is named, by name. A topic that is not there is not in the
// answer.
func (a *Admin) Topics(ctx context.Context, names ...string) (map[string]Topic, error) {
	answer, err := a.metadata(ctx)
	if err != nil {
		return nil, fmt.Errorf("describe topics: %w", err)
	}
	found := make(map[string]Topic)
	for i := range answer.Topics {
		t := &answer.Topics[i]
		if len(names) > 0 && !slices.Contains(names, t.Name) {
			continue
		}
		if t.ErrorCode != 0 {
			return nil, fmt.Errorf("describe topic %s: %w", t.Name, kafkaError(t.ErrorCode))
		}
		found[t.Name] = topicOf(t)
	}
	return found, nil
}

func topicOf(t *metadata.ResponseTopic) Topic {
	out := Topic{Name: t.Name, Internal: t.IsInternal}
	for _, p := range t.Partitions {
		// An error of a partition (no leader, a replica away) is what the fields say too.
		out.Partitions = append(out.Partitions, PartitionStatus{
			ID: p.PartitionIndex, Leader: max(p.LeaderID, homeless),
			Replicas: slices.Clone(p.ReplicaNodes), InSync: slices.Clone(p.IsrNodes), Offline: slices.Clone(p.OfflineReplicas),
		})
	}
	slices.SortFunc(out.Partitions, func(x, y PartitionStatus) int { return cmp.Compare(x.ID, y.ID) })
	return out
}

// Cluster tells which brokers there are.
func (a *Admin) Cluster(ctx context.Context) (Cluster, error) {
	answer, err := a.metadata(ctx)
	if err != nil {
		return Cluster{}, fmt.Errorf("describe cluster: %w", err)
	}
	out := Cluster{ID: answer.ClusterID, Controller: max(answer.ControllerID, homeless)}
	for _, b := range answer.Brokers {
		addr := net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
		out.Brokers = append(out.Brokers, Broker{ID: b.NodeID, Addr: addr, Rack: b.Rack})
	}
	slices.SortFunc(out.Brokers, func(x, y Broker) int { return cmp.Compare(x.ID, y.ID) })
	return out, nil
}

// metadata asks the cluster now, about everything.
func (a *Admin) metadata(ctx context.Context) (*metadata.Response, error) {
	client, done, err := a.client()
	if err != nil {
		return nil, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	answer, err := client.Transport.RoundTrip(ctx, client.Addr, &metadata.Request{})
	if err != nil {
		return nil, err
	}
	return answer.(*metadata.Response), nil
}

// adminMetadataTTL is also the limit of kafka-go's own first metadata request: a quarter of a second, with which a
// producer finds moved leaders, is too short for a busy cluster.
const adminMetadataTTL = 10 * time.Second

// client makes kafka-go's client over connections of its own, which know every topic; done closes them.
func (a *Admin) client() (client *kafka.Client, done func(), err error) {
	t, err := a.conf.transport()
	if err != nil {
		return nil, nil, err
	}
	t.MetadataTTL = adminMetadataTTL
	return &kafka.Client{Addr: a.conf.address(), Transport: t}, t.CloseIdleConnections, nil
}
