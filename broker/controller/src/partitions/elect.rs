//! ElectLeaders.

use super::change::{Change, Election};
use super::leaders::LeaderRules;
use crate::draft::Draft;
use crate::error::ApiError;
use crate::waits::Waits;
use ottla_wire::ErrorCode;
use ottla_wire::api::elect_leaders::{
    ElectLeadersRequest, ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
};

/// What a refused partition is told. The Java client gives each its own exception only where there is a text.
const NO_PREFERRED: &str = "The preferred leader was not available.";
const NO_ELIGIBLE: &str = "Eligible topic partition leaders are not available.";
const NEEDLESS: &str = "Leader election not needed for topic partition.";

/// Elects leaders of the partitions named, or of all that need one. In the answer for all, those that need none are
/// left out.
pub(crate) fn elect_leaders(
    draft: &mut Draft<'_>,
    waits: &Waits,
    request: &ElectLeadersRequest,
) -> Result<ElectLeadersResponse, ApiError> {
    let election = match request.election_type {
        0 => Election::Preferred,
        1 => Election::Unclean,
        other => {
            let text = format!("Unknown election type {other}");
            return Err(ApiError::new(ErrorCode::INVALID_REQUEST, text));
        }
    };
    let mut results = Vec::new();
    match &request.topic_partitions {
        Some(topics) => {
            for topic in topics {
                let partitions = topic.partitions.iter().map(|id| {
                    let (error_code, error_message) =
                        ApiError::parts(elect(draft, waits, &topic.topic, *id, election));
                    PartitionResult { partition_id: *id, error_code, error_message }
                });
                let partition_result = partitions.collect();
                results
                    .push(ReplicaElectionResult { topic: topic.topic.clone(), partition_result });
            }
        }
        None => {
            let image = draft.image().clone();
            for topic in image.topics() {
                let mut partition_result = Vec::new();
                for (id, _) in topic.partitions.iter() {
                    let (error_code, error_message) =
                        ApiError::parts(elect(draft, waits, &topic.name, id, election));
                    if error_code != ErrorCode::ELECTION_NOT_NEEDED {
                        let result =
                            PartitionResult { partition_id: id, error_code, error_message };
                        partition_result.push(result);
                    }
                }
                if !partition_result.is_empty() {
                    let topic = topic.name.to_string();
                    results.push(ReplicaElectionResult { topic, partition_result });
                }
            }
        }
    }
    Ok(ElectLeadersResponse { replica_election_results: results, ..Default::default() })
}

fn elect(
    draft: &mut Draft<'_>,
    waits: &Waits,
    name: &str,
    id: i32,
    election: Election,
) -> Result<(), ApiError> {
    let unknown = |text| ApiError::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, text);
    let image = draft.image();
    let topic =
        image.topic_named(name).ok_or_else(|| unknown(format!("No such topic as {name}")))?;
    let p = topic.partition(id);
    let p = p.ok_or_else(|| unknown(format!("No such partition as {name}-{id}")))?;
    let (needless, unavailable) = match election {
        Election::Preferred => (
            p.has_preferred_leader(),
            ApiError::new(ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE, NO_PREFERRED),
        ),
        _ => {
            (p.has_leader(), ApiError::new(ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE, NO_ELIGIBLE))
        }
    };
    if needless {
        return Err(ApiError::new(ErrorCode::ELECTION_NOT_NEEDED, NEEDLESS));
    }
    let rules = LeaderRules::new(image, waits.settings(), topic);
    let acceptable = |broker| rules.accepts(p, broker);
    let change = Change::new(p, topic.id, id, &acceptable, rules.of(p)).election(election);
    let record = rules.build(change).ok_or(unavailable)?;
    draft.push(record);
    Ok(())
}
