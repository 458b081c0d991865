//! AlterReplicaLogDirs: moves replicas between this node's log directories (KIP-113).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ottla_engine::{LogDir, PartitionId};
use ottla_metadata::Image;
use ottla_wire::ErrorCode;
use ottla_wire::api::alter_replica_log_dirs::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult, AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
};
use tracing::warn;

use crate::answer::Answer;
use crate::api::describe_log_dirs::absolute;
use crate::api::partitions;
use crate::call::Call;

/// What the name of a directory has at most; a copy's is the topic's, and 42 more.
const LONGEST_NAME: usize = 255;

/// Answers AlterReplicaLogDirs.
pub fn handle(
    call: Call,
    request: AlterReplicaLogDirsRequest,
) -> Answer<AlterReplicaLogDirsResponse> {
    let image = call.context.image();
    Answer::later(async move {
        let theirs = call.clone();
        let work = move || alter_all(&theirs, &image, request);
        partitions::on_disk(&call, work).await.unwrap_or_default()
    })
}

fn alter_all(
    call: &Call,
    image: &Arc<Image>,
    request: AlterReplicaLogDirsRequest,
) -> AlterReplicaLogDirsResponse {
    // Of a partition that is named twice, what is said last holds.
    let mut wanted: BTreeMap<(String, i32), String> = BTreeMap::new();
    for dir in request.dirs {
        for topic in dir.topics {
            for partition in topic.partitions {
                wanted.insert((topic.name.clone(), partition), dir.path.clone());
            }
        }
    }
    let mut results: Vec<AlterReplicaLogDirTopicResult> = Vec::new();
    for ((topic, partition_index), path) in wanted {
        let done = alter(call, image, &topic, partition_index, &path);
        if let Err(error) = done {
            warn!(topic, partition = partition_index, path, %error, "a replica is not moved");
        }
        let error_code = done.err().unwrap_or(ErrorCode::NONE);
        let row = AlterReplicaLogDirPartitionResult { partition_index, error_code };
        match results.last_mut() {
            Some(last) if last.topic_name == topic => last.partitions.push(row),
            _ => results
                .push(AlterReplicaLogDirTopicResult { topic_name: topic, partitions: vec![row] }),
        }
    }
    AlterReplicaLogDirsResponse { results, ..Default::default() }
}

fn alter(
    call: &Call,
    image: &Image,
    topic: &str,
    partition: i32,
    path: &str,
) -> Result<(), ErrorCode> {
    if topic.len() + format!("-{partition}.{:032x}-future", 0).len() > LONGEST_NAME {
        return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
    }
    let dir = find_dir(call, path)?;
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let found = image.topic_named(topic).ok_or(unknown)?;
    found.partition(partition).ok_or(unknown)?;
    let replica = call.context.replicas.get(PartitionId::new(found.id, partition));
    let replica = replica.map_err(|e| match e.code() {
        // As brokers before them, Kafka's of today call it so.
        ErrorCode::NOT_LEADER_OR_FOLLOWER => ErrorCode::REPLICA_NOT_AVAILABLE,
        other => other,
    })?;
    call.context.moves.alter(&replica, &dir).map_err(|e| e.code())
}

/// The directory of this path, written as DescribeLogDirs writes it.
fn find_dir(call: &Call, path: &str) -> Result<Arc<LogDir>, ErrorCode> {
    let dirs = &call.context.dirs;
    let is = |dir: &Path| absolute(dir) == path;
    let Some(dir) = dirs.all().iter().find(|dir| is(dir.path())) else {
        let unreadable = dirs.unreadable().iter().any(|dir| is(dir));
        return Err(match unreadable {
            true => ErrorCode::KAFKA_STORAGE_ERROR,
            false => ErrorCode::LOG_DIR_NOT_FOUND,
        });
    };
    if dirs.cordoned().contains(&dir.id()) {
        return Err(ErrorCode::INVALID_REPLICA_ASSIGNMENT);
    }
    if !dir.is_online() {
        return Err(ErrorCode::KAFKA_STORAGE_ERROR);
    }
    Ok(Arc::clone(dir))
}
