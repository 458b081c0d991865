//! OffsetForLeaderEpoch: where an epoch ended, so that a client finds out whether its log diverges.

use ottla_engine::EngineError;
use ottla_metadata::Image;
use ottla_replica::EpochCheck;
use ottla_wire::ErrorCode;
use ottla_wire::api::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition, OffsetForLeaderTopicResult,
};

use crate::answer::Answer;
use crate::api::partitions;
use crate::call::Call;

/// Answers OffsetForLeaderEpoch.
pub fn handle(
    call: Call,
    request: OffsetForLeaderEpochRequest,
) -> Answer<OffsetForLeaderEpochResponse> {
    let image = call.context.image();
    let topics = request
        .topics
        .into_iter()
        .map(|t| OffsetForLeaderTopicResult {
            partitions: t.partitions.iter().map(|p| one(&call, &image, &t.topic, p)).collect(),
            topic: t.topic,
        })
        .collect();
    OffsetForLeaderEpochResponse { topics, ..Default::default() }.into()
}

fn one(
    call: &Call,
    image: &Image,
    topic: &str,
    asked: &OffsetForLeaderPartition,
) -> EpochEndOffset {
    let partition = asked.partition;
    let failed = |error_code| EpochEndOffset { partition, error_code, ..Default::default() };
    let found = match partitions::find(call, image, topic, partition) {
        Ok(found) => found,
        Err(error) => return failed(error),
    };
    let epoch = EpochCheck::from_wire(asked.current_leader_epoch);
    match found.end_of_epoch(asked.leader_epoch, epoch) {
        Ok(Some(end)) => EpochEndOffset {
            error_code: ErrorCode::NONE,
            partition,
            leader_epoch: end.epoch,
            end_offset: end.end,
        },
        Ok(None) => EpochEndOffset { partition, ..Default::default() },
        Err(error) => failed(EngineError::code(&error)),
    }
}
