//! AssignReplicasToDirs (KIP-858): a broker says into which directory it put its replicas.

use super::change::Change;
use super::leaders::{Cause, LeaderRules, update_leaders};
use crate::brokers::check_epoch;
use crate::draft::Draft;
use crate::error::ApiError;
use crate::waits::Waits;
use ottla_wire::api::assign_replicas_to_dirs::{
    AssignReplicasToDirsRequest, AssignReplicasToDirsResponse,
    AssignReplicasToDirsResponseDirectoryData, AssignReplicasToDirsResponsePartitionData,
    AssignReplicasToDirsResponseTopicData,
};
use ottla_wire::{ErrorCode, Uuid};

/// Records directories of replicas, each on its own.
pub(crate) fn assign_replicas_to_dirs(
    draft: &mut Draft<'_>,
    waits: &Waits,
    request: &AssignReplicasToDirsRequest,
) -> Result<AssignReplicasToDirsResponse, ApiError> {
    if !draft.image().features().version().has_directories() {
        let text = "Directory assignment is not supported yet.";
        return Err(ApiError::new(ErrorCode::UNSUPPORTED_VERSION, text));
    }
    let id = request.broker_id;
    let broker = check_epoch(draft.image(), id, request.broker_epoch)?.clone();
    let mut offline: Vec<Uuid> = Vec::new();
    let mut directories = Vec::with_capacity(request.directories.len());
    for dir in &request.directories {
        if !broker.has_online_directory(dir.id) {
            offline.push(dir.id);
        }
        let topics = dir.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|p| {
                let done = assign(draft, waits, id, dir.id, topic.topic_id, p.partition_index);
                AssignReplicasToDirsResponsePartitionData {
                    partition_index: p.partition_index,
                    error_code: done.err().unwrap_or(ErrorCode::NONE),
                }
            });
            let partitions = partitions.collect();
            AssignReplicasToDirsResponseTopicData { topic_id: topic.topic_id, partitions }
        });
        let topics = topics.collect();
        directories.push(AssignReplicasToDirsResponseDirectoryData { id: dir.id, topics });
    }
    if !offline.is_empty() {
        let lost = |p: &ottla_metadata::Partition| {
            p.directory_of(id).is_some_and(|dir| offline.contains(&dir))
        };
        update_leaders(draft, waits.settings(), Cause::Left(id), &lost);
    }
    Ok(AssignReplicasToDirsResponse { directories, ..AssignReplicasToDirsResponse::default() })
}

fn assign(
    draft: &mut Draft<'_>,
    waits: &Waits,
    broker: i32,
    dir: Uuid,
    topic_id: Uuid,
    id: i32,
) -> Result<(), ErrorCode> {
    let image = draft.image();
    let topic = image.topic(topic_id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID)?;
    let p = topic.partition(id).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    if !p.replicas.contains(&broker) {
        return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    }
    let rules = LeaderRules::new(image, waits.settings(), topic);
    let acceptable = |broker| rules.accepts(p, broker);
    let change = Change::new(p, topic_id, id, &acceptable, rules.of(p)).directory(broker, dir);
    if let Some(record) = rules.build(change) {
        draft.push(record);
    }
    Ok(())
}
