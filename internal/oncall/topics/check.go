package topics

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events/stream"
)

// Difference is one thing of a topic that is not as it has to be.
type Difference struct {
	Topic string `json:"topic"`
	What  string `json:"what"` // "topic", "partitions", "replicas", or the name of a setting
	Want  string `json:"want"`
	Is    string `json:"is"`
	Fix   string `json:"fix"`
}

// What a difference is about, when it is no setting.
const (
	ofTopic      = "topic"
	ofPartitions = "partitions"
	ofReplicas   = "replicas"
)

// What a value is called that is not there.
const (
	missing = "missing"
	unset   = "not set"
)

// The commands that mend differences.
const (
	FixCreate     = "consentctl topics create --apply"
	FixAlign      = "consentctl topics align --apply"
	FixGeneration = "consentctl topics generation new"
	fixReplicas   = "kafka-reassign-partitions.sh, to the replicas of deploy/topics.yaml"
)

// Check returns what differs between the topics of a cluster and the wanted ones,
// in the order of those.
func Check(ctx context.Context, k Cluster, wanted []deploy.Topic) ([]Difference, error) {
	found, settings, err := find(ctx, k, wanted)
	if err != nil {
		return nil, err
	}
	var out []Difference
	for _, t := range wanted {
		is, there := found[t.Name]
		if !there {
			out = append(out, Difference{t.Name, ofTopic, fmt.Sprintf("%d partitions", t.Partitions), missing, FixCreate})
			continue
		}
		out = append(out, shape(t, is)...)
		out = append(out, configured(t, settings[t.Name])...)
	}
	return out, nil
}

// shape compares partitions and replicas.
func shape(want deploy.Topic, is stream.Topic) (out []Difference) {
	if n := len(is.Partitions); n != want.Partitions {
		out = append(out, Difference{want.Name, ofPartitions, strconv.Itoa(want.Partitions), strconv.Itoa(n), FixGeneration})
	}
	fewest := want.Replicas
	for _, p := range is.Partitions {
		fewest = min(fewest, len(p.Replicas))
	}
	if fewest < want.Replicas { // more of them is no fault
		out = append(out, Difference{want.Name, ofReplicas, strconv.Itoa(want.Replicas), strconv.Itoa(fewest), fixReplicas})
	}
	return out
}

// configured compares every setting that is wanted, and finds those that somebody
// set beside them.
func configured(want deploy.Topic, is map[string]stream.Setting) (out []Difference) {
	for _, name := range slices.Sorted(maps.Keys(want.Config)) {
		have, there := is[name]
		if !there {
			have.Value = unset
		}
		if have.Value != want.Config[name] {
			out = append(out, Difference{want.Name, name, want.Config[name], have.Value, FixAlign})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(is)) {
		if _, wanted := want.Config[name]; !wanted && is[name].Own {
			fix := fmt.Sprintf("kafka-configs.sh --alter --topic %s --delete-config %s; or write it into deploy/topics.yaml, with the reason", want.Name, name)
			out = append(out, Difference{want.Name, name, unset, is[name].Value, fix})
		}
	}
	return out
}
