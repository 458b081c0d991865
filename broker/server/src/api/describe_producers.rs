//! DescribeProducers: who writes idempotently to a partition (KIP-664).

use std::collections::{BTreeMap, BTreeSet};

use ottla_metadata::Image;
use ottla_replica::EpochCheck;
use ottla_wire::ErrorCode;
use ottla_wire::api::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState,
    TopicResponse,
};

use crate::answer::Answer;
use crate::api::partitions;
use crate::call::Call;

/// Answers DescribeProducers, each partition once: a number is short and a list of producers long.
pub fn handle(
    call: Call,
    mut request: DescribeProducersRequest,
) -> Answer<DescribeProducersResponse> {
    let mut partitions: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
    for topic in &mut request.topics {
        let seen = partitions.entry(topic.name.clone()).or_default();
        topic.partition_indexes.retain(|partition| seen.insert(*partition));
    }
    let image = call.context.image();
    let topics = request
        .topics
        .into_iter()
        .map(|t| TopicResponse {
            partitions: t
                .partition_indexes
                .iter()
                .map(|p| one(&call, &image, &t.name, *p))
                .collect(),
            name: t.name,
        })
        .collect();
    DescribeProducersResponse { topics, ..Default::default() }.into()
}

fn one(call: &Call, image: &Image, topic: &str, partition_index: i32) -> PartitionResponse {
    let failed = |error_code: ErrorCode| PartitionResponse {
        partition_index,
        error_code,
        ..Default::default()
    };
    let found = match partitions::find(call, image, topic, partition_index) {
        Ok(found) => found,
        Err(error) => return failed(error),
    };
    if let Err(error) = found.check_leader(EpochCheck::Any) {
        return failed(error.code());
    }
    let row = |p: ottla_log::producers::ProducerEntry| ProducerState {
        producer_id: p.producer_id,
        producer_epoch: i32::from(p.epoch),
        last_sequence: p.last_sequence(),
        last_timestamp: p.last_timestamp,
        coordinator_epoch: p.coordinator_epoch,
        current_txn_start_offset: p.txn_first_offset().unwrap_or(-1),
    };
    let active_producers = found.log().producers().into_iter().map(row).collect();
    PartitionResponse { partition_index, active_producers, ..Default::default() }
}
