#!/usr/bin/env bash
# Makes kafka-4.3.1.txt and txn-4.3.1.txt anew. usage: record.sh KAFKA_HOME CLUSTER_SCRIPT BASE_PORT [groups|txn]
# CLUSTER_SCRIPT starts and stops a fresh broker: see tests/cluster for its interface.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=$1 cluster=$2 dir=$(mktemp -d)
trap '"$cluster" stop "$dir" 2> /dev/null; rm -rf "$dir"' EXIT
extra="offsets.topic.num.partitions=1;group.min.session.timeout.ms=100;group.max.size=3;transaction.state.log.num.partitions=1"
extra+=";group.initial.rebalance.delay.ms=0;auto.create.topics.enable=false"
extra+=";transaction.abort.timed.out.transaction.cleanup.interval.ms=100"
for what in ${4:-groups txn}; do
  boot=$(EXTRA=$extra HEAP=512m "$cluster" start 1 "$dir" "$3")
  for topic in t u; do "$home/bin/kafka-topics.sh" --bootstrap-server "$boot" --create --topic $topic --partitions 2; done
  case $what in
  groups) log=__consumer_offsets-0 out=kafka-4.3.1.txt ;;
  txn) log=__transaction_state-0 out=txn-4.3.1.txt ;;
  esac
  java -cp "$home/libs/*" "$here/Recorder.java" "$boot" "$dir/1/data/$log" "$here/$out" "$what"
  "$cluster" stop "$dir"
  rm -rf "$dir"
  mkdir "$dir"
done
