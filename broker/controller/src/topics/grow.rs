//! CreatePartitions.

use super::assignment::{active, check_assignment, new_partition};
use super::create::{place_partitions, repeated};
use super::{MAX_PARTITIONS_PER_REQUEST, TOO_MANY_PARTITIONS};
use crate::draft::Draft;
use crate::error::ApiError;
use crate::waits::Waits;
use ottla_wire::ErrorCode;
use ottla_wire::api::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
    CreatePartitionsTopicResult,
};
use std::collections::BTreeSet;

/// Adds partitions to topics, each on its own; results stand in the order of the request.
pub(crate) fn create_partitions(
    draft: &mut Draft<'_>,
    waits: &mut Waits,
    request: &CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let repeated = repeated(request.topics.iter().map(|t| t.name.as_str()));
    let too_many = partitions_asked(draft, request) > MAX_PARTITIONS_PER_REQUEST;
    let mut seen = BTreeSet::new();
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        if !seen.insert(topic.name.as_str()) {
            continue;
        }
        let result = if repeated.contains(topic.name.as_str()) {
            Err(ApiError::new(ErrorCode::INVALID_REQUEST, "Duplicate topic name."))
        } else {
            grow(draft, waits, topic, too_many)
        };
        let (error_code, error_message) = ApiError::parts(result);
        let name = topic.name.clone();
        results.push(CreatePartitionsTopicResult { name, error_code, error_message });
    }
    if request.validate_only {
        draft.discard();
    }
    CreatePartitionsResponse { results, ..CreatePartitionsResponse::default() }
}

fn partitions_asked(draft: &Draft<'_>, request: &CreatePartitionsRequest) -> usize {
    let asked = request.topics.iter().map(|topic| {
        let present = draft.image().topic_named(&topic.name).map(|t| t.partitions.len());
        let count = usize::try_from(topic.count).unwrap_or(0);
        present.map_or(0, |present| count.saturating_sub(present))
    });
    asked.fold(0, usize::saturating_add)
}

fn grow(
    draft: &mut Draft<'_>,
    waits: &mut Waits,
    wanted: &CreatePartitionsTopic,
    too_many: bool,
) -> Result<(), ApiError> {
    let assignment = |text| Err(ApiError::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, text));
    let unknown = ApiError::bare(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let topic = draft.image().topic_named(&wanted.name).ok_or(unknown)?.clone();
    let present = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    if wanted.count <= present {
        let (name, count) = (&wanted.name, wanted.count);
        let text = if count == present {
            format!("Topic already has {present} partition(s).")
        } else {
            format!(
                "The topic {name} currently has {present} partition(s); {count} would not be an increase."
            )
        };
        return Err(ApiError::new(ErrorCode::INVALID_PARTITIONS, text));
    }
    let additional = usize::try_from(wanted.count - present).unwrap_or(0);
    if let Some(given) = wanted.assignments.as_ref().filter(|a| a.len() != additional) {
        return assignment(format!(
            "Attempted to add {additional} additional partition(s), but only {} assignment(s) were specified.",
            given.len()
        ));
    }
    if too_many {
        return Err(ApiError::new(ErrorCode::POLICY_VIOLATION, TOO_MANY_PARTITIONS));
    }
    let factor = topic.partition(0).map_or(0, |p| p.replicas.len());
    let placed = match &wanted.assignments {
        None => {
            let factor = i16::try_from(factor).unwrap_or(i16::MAX);
            place_partitions(draft.image(), waits, additional, factor)?
        }
        Some(given) => {
            let mut placed = Vec::with_capacity(given.len());
            for (id, a) in (present..).zip(given) {
                check_assignment(draft.image(), &a.broker_ids, Some(factor))?;
                let isr = active(draft.image(), &a.broker_ids);
                if isr.is_empty() {
                    return assignment(format!(
                        "All brokers specified in the manual partition assignment for partition {id} are fenced \
                         or in controlled shutdown."
                    ));
                }
                placed.push((a.broker_ids.clone(), isr));
            }
            placed
        }
    };
    for (id, (replicas, isr)) in (present..).zip(placed) {
        let record = new_partition(draft.image(), topic.id, id, replicas, isr);
        draft.push(record);
    }
    Ok(())
}
