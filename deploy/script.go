package deploy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

//go:generate go test . -run TestScriptIsInStep -update

const scriptHead = `#!/usr/bin/env bash
# Generated from topics.yaml (go generate ./deploy), where the reasons stand. Do not edit.
#
# Creates the topics that are missing and changes none that exist:
#
#   create-topics.sh BOOTSTRAP [BROKERS]
#
# With fewer brokers than a topic wants replicas, it gets one on every broker.
set -euo pipefail

bootstrap=${1:?usage: create-topics.sh BOOTSTRAP [BROKERS]}
brokers=${2:-3}
kafka_topics=${KAFKA_TOPICS:-/opt/kafka/bin/kafka-topics.sh}

create() {
  local topic=$1 partitions=$2 replicas=$3 in_sync=$4
  shift 4
  if ((brokers < replicas)); then
    replicas=$brokers
    in_sync=$((brokers > 2 ? brokers - 1 : 1))
  fi
  "$kafka_topics" --bootstrap-server "$bootstrap" --create --if-not-exists --topic "$topic" \
    --partitions "$partitions" --replication-factor "$replicas" --config "min.insync.replicas=$in_sync" "$@"
}
`

// Script returns create-topics.sh for this layout: the way to create the topics where there is nothing but Kafka's own
// image.
func (l Layout) Script() []byte {
	var b strings.Builder
	b.WriteString(scriptHead)
	for _, t := range l.Topics {
		fmt.Fprintf(&b, "\ncreate %s %d %d %s", t.Name, t.Partitions, t.Replicas, t.Config[minInSync])
		for _, key := range slices.Sorted(maps.Keys(t.Config)) {
			if key != minInSync {
				fmt.Fprintf(&b, " \\\n  --config %s=%s", key, t.Config[key])
			}
		}
		b.WriteString("\n")
	}
	return []byte(b.String())
}
