//! AlterPartitionReassignments and ListPartitionReassignments.

use super::change::{Change, Election};
use super::leaders::LeaderRules;
use crate::draft::Draft;
use crate::error::ApiError;
use crate::topics::check_assignment;
use crate::waits::Waits;
use ottla_metadata::{Image, Partition, Topic};
use ottla_wire::ErrorCode;
use ottla_wire::api::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartition,
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use ottla_wire::api::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use ottla_wire::schema::metadata::PartitionChangeRecord;

/// Begins and cancels reassignments, each partition on its own.
pub(crate) fn alter_partition_reassignments(
    draft: &mut Draft<'_>,
    waits: &Waits,
    request: &AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let allowed = request.allow_replication_factor_change;
    let responses = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|wanted| {
            let done = alter(draft, waits, &topic.name, wanted, allowed);
            let (error_code, error_message) = ApiError::parts(done);
            let partition_index = wanted.partition_index;
            ReassignablePartitionResponse { partition_index, error_code, error_message }
        });
        let partitions = partitions.collect();
        ReassignableTopicResponse { name: topic.name.clone(), partitions }
    });
    AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: allowed,
        responses: responses.collect(),
        ..AlterPartitionReassignmentsResponse::default()
    }
}

fn alter(
    draft: &mut Draft<'_>,
    waits: &Waits,
    name: &str,
    wanted: &ReassignablePartition,
    allow_factor_change: bool,
) -> Result<(), ApiError> {
    let unknown = |text| ApiError::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, text);
    let id = wanted.partition_index;
    let image = draft.image().clone();
    let topic = image.topic_named(name);
    let topic = topic.ok_or_else(|| unknown(format!("Unable to find a topic named {name}.")))?;
    let p = topic.partition(id);
    let p = p.ok_or_else(|| unknown(format!("Unable to find partition {name}:{id}.")))?;
    let record = match &wanted.replicas {
        None => cancel(&image, waits, topic, id, p)?,
        Some(replicas) => begin(&image, waits, topic, id, p, replicas, allow_factor_change)?,
    };
    if let Some(record) = record {
        draft.push(record);
    }
    Ok(())
}

/// Goes back to the replicas from before: those being added go, those being removed stay.
fn cancel(
    image: &Image,
    waits: &Waits,
    topic: &Topic,
    id: i32,
    p: &Partition,
) -> Result<Option<PartitionChangeRecord>, ApiError> {
    if !p.is_reassigning() {
        let text = "No partition reassignment is in progress.";
        return Err(ApiError::new(ErrorCode::NO_REASSIGNMENT_IN_PROGRESS, text));
    }
    let staying = |ids: &[i32]| -> Vec<i32> {
        ids.iter().copied().filter(|r| !p.adding().contains(r)).collect()
    };
    let (replicas, mut isr) = (staying(&p.replicas), staying(&p.isr));
    let rules = LeaderRules::new(image, waits.settings(), topic);
    let acceptable = |broker| rules.accepts(p, broker);
    let mut change = Change::new(p, topic.id, id, &acceptable, rules.of(p));
    let assignment = |text| Err(ApiError::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, text));
    if isr.is_empty() {
        let Some(first) = replicas.first() else {
            return assignment(
                "Invalid replica assignment: addingReplicas contains all replicas.".to_owned(),
            );
        };
        if !rules.unclean() {
            let name = &topic.name;
            return assignment(format!(
                "Unable to revert partition assignment for {name}:{id} because it would require an unclean leader \
                 election."
            ));
        }
        isr.push(*first);
        change = change.election(Election::Unclean);
    }
    let change = change.isr(isr).replicas(replicas).adding(Vec::new()).removing(Vec::new());
    Ok(rules.build(change))
}

fn begin(
    image: &Image,
    waits: &Waits,
    topic: &Topic,
    id: i32,
    p: &Partition,
    target: &[i32],
    allow_factor_change: bool,
) -> Result<Option<PartitionChangeRecord>, ApiError> {
    check_assignment(image, target, None)?;
    // The replicas from before a reassignment that is still under way.
    let origin = p.replicas.iter().filter(|r| !p.adding().contains(r)).count();
    if !allow_factor_change && target.len() != origin {
        let text = format!("The replication factor is changed from {origin} to {}", target.len());
        return Err(ApiError::new(ErrorCode::INVALID_REPLICATION_FACTOR, text));
    }
    let mut removing: Vec<i32> =
        p.replicas.iter().copied().filter(|r| !target.contains(r)).collect();
    removing.sort_unstable();
    let mut adding: Vec<i32> = target.iter().copied().filter(|r| !p.replicas.contains(r)).collect();
    adding.sort_unstable();
    // The target comes first, so that its order holds when the others are gone.
    let replicas = target.iter().chain(&removing).copied().collect();
    let rules = LeaderRules::new(image, waits.settings(), topic);
    let acceptable = |broker| rules.accepts(p, broker);
    let change = Change::new(p, topic.id, id, &acceptable, rules.of(p));
    Ok(rules.build(change.replicas(replicas).adding(adding).removing(removing)))
}

/// Reassignments under way, of the partitions named or of all.
pub(crate) fn list_partition_reassignments(
    image: &Image,
    request: &ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    let ongoing = |id: i32, p: &Partition| {
        p.is_reassigning().then(|| OngoingPartitionReassignment {
            partition_index: id,
            replicas: p.replicas.to_vec(),
            adding_replicas: p.adding().to_vec(),
            removing_replicas: p.removing().to_vec(),
        })
    };
    let listed = |topic: &Topic, wanted: Option<&[i32]>| {
        let partitions: Vec<_> = match wanted {
            None => topic.partitions.iter().filter_map(|(id, p)| ongoing(id, p)).collect(),
            Some(ids) => {
                let found = ids.iter().filter_map(|id| Some((*id, topic.partition(*id)?)));
                found.filter_map(|(id, p)| ongoing(id, p)).collect()
            }
        };
        let name = topic.name.to_string();
        (!partitions.is_empty()).then_some(OngoingTopicReassignment { name, partitions })
    };
    let topics = match &request.topics {
        None => image.topics().filter_map(|t| listed(t, None)).collect(),
        Some(wanted) => {
            let found = wanted.iter().filter_map(|w| Some((image.topic_named(&w.name)?, w)));
            found.filter_map(|(t, w)| listed(t, Some(&w.partition_indexes))).collect()
        }
    };
    ListPartitionReassignmentsResponse { topics, ..Default::default() }
}
