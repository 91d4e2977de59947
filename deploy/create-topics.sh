#!/usr/bin/env bash
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

create consent.events.v1 12 3 2 \
  --config cleanup.policy=delete \
  --config compression.type=producer \
  --config max.message.bytes=1048588 \
  --config message.timestamp.type=LogAppendTime \
  --config retention.bytes=-1 \
  --config retention.ms=315619200000 \
  --config unclean.leader.election.enable=false

create consent.state.v1 12 3 2 \
  --config cleanup.policy=compact \
  --config delete.retention.ms=604800000 \
  --config max.compaction.lag.ms=86400000 \
  --config message.timestamp.type=CreateTime \
  --config segment.ms=86400000 \
  --config unclean.leader.election.enable=false

create consent.policies.v1 1 3 2 \
  --config cleanup.policy=delete \
  --config message.timestamp.type=LogAppendTime \
  --config retention.bytes=-1 \
  --config retention.ms=-1 \
  --config unclean.leader.election.enable=false

create consent.receipts.v1 3 3 2 \
  --config cleanup.policy=delete \
  --config message.timestamp.type=LogAppendTime \
  --config retention.bytes=-1 \
  --config retention.ms=315619200000 \
  --config unclean.leader.election.enable=false

create consent.parked.v1 12 3 2 \
  --config cleanup.policy=delete \
  --config max.message.bytes=4194304 \
  --config message.timestamp.type=LogAppendTime \
  --config retention.bytes=-1 \
  --config retention.ms=7776000000 \
  --config unclean.leader.election.enable=false

create consent.audit.v1 1 3 2 \
  --config cleanup.policy=delete \
  --config message.timestamp.type=LogAppendTime \
  --config retention.bytes=-1 \
  --config retention.ms=315619200000 \
  --config unclean.leader.election.enable=false

create consent.activity.v1 12 3 2 \
  --config cleanup.policy=delete \
  --config message.timestamp.type=LogAppendTime \
  --config retention.bytes=-1 \
  --config retention.ms=1209600000 \
  --config unclean.leader.election.enable=false
