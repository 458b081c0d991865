//! Replicas that a request names itself, and the records of new partitions.

use crate::error::ApiError;
use ottla_metadata::{Image, Recovery, directory};
use ottla_wire::schema::metadata::PartitionRecord;
use ottla_wire::{ErrorCode, Uuid};

/// Checks replicas that a request names: registered brokers, each once, and as many as in the partitions before.
pub(crate) fn check_assignment(
    image: &Image,
    replicas: &[i32],
    expected: Option<usize>,
) -> Result<(), ApiError> {
    let refuse = |text: String| Err(ApiError::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, text));
    if replicas.is_empty() {
        return refuse("The manual partition assignment includes an empty replica list.".into());
    }
    let mut sorted = replicas.to_vec();
    sorted.sort_unstable();
    let mut previous = None;
    for id in &sorted {
        if image.broker(*id).is_none() {
            return refuse(format!(
                "The manual partition assignment includes broker {id}, but no such broker is registered."
            ));
        }
        if previous == Some(id) {
            return refuse(format!(
                "The manual partition assignment includes the broker {id} more than once."
            ));
        }
        previous = Some(id);
    }
    match expected {
        Some(expected) if expected != replicas.len() => refuse(format!(
            "The manual partition assignment includes a partition with {} replica(s), but this is not consistent \
             with previous partitions, which have {expected} replica(s).",
            replicas.len()
        )),
        _ => Ok(()),
    }
}

/// The replicas that may be in sync at once: those of brokers in service.
pub(super) fn active(image: &Image, replicas: &[i32]) -> Vec<i32> {
    replicas.iter().copied().filter(|id| image.is_active(*id)).collect()
}

/// The directory in which a broker's new replica starts.
pub(crate) fn default_directory(image: &Image, broker: i32) -> Uuid {
    image.broker(broker).map_or(directory::UNASSIGNED, |b| b.default_directory())
}

/// The record of a new partition, led by the first replica in sync.
pub(super) fn new_partition(
    image: &Image,
    topic_id: Uuid,
    partition_id: i32,
    replicas: Vec<i32>,
    isr: Vec<i32>,
) -> PartitionRecord {
    let directories = if image.features().version().has_directories() {
        replicas.iter().map(|id| default_directory(image, *id)).collect()
    } else {
        Vec::new()
    };
    PartitionRecord {
        partition_id,
        topic_id,
        leader: isr.first().copied().unwrap_or(ottla_metadata::NO_LEADER),
        replicas,
        isr,
        leader_recovery_state: Recovery::Recovered.code(),
        leader_epoch: 0,
        partition_epoch: 0,
        directories,
        ..PartitionRecord::default()
    }
}
