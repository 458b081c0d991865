#!/usr/bin/env bash
# Makes kafka-4.3.1.txt anew. usage: record.sh KAFKA_HOME CLUSTER_SCRIPT BASE_PORT
# CLUSTER_SCRIPT starts and stops a fresh broker: see tests/cluster for its interface.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=$1 cluster=$2 dir=$(mktemp -d)
trap '"$cluster" stop "$dir"; rm -rf "$dir"' EXIT
boot=$(EXTRA="offsets.topic.num.partitions=1;group.min.session.timeout.ms=100;group.max.size=3;transaction.state.log.num.partitions=1;group.initial.rebalance.delay.ms=0;auto.create.topics.enable=false" \
  HEAP=512m "$cluster" start 1 "$dir" "$3")
for topic in t u; do "$home/bin/kafka-topics.sh" --bootstrap-server "$boot" --create --topic $topic --partitions 2; done
java -cp "$home/libs/*" "$here/Recorder.java" "$boot" "$dir/1/data/__consumer_offsets-0" "$here/kafka-4.3.1.txt"
