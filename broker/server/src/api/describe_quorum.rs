//! DescribeQuorum: the voters of the metadata log, and how far each is (KIP-595, KIP-853).

use ottla_metadata::features;
use ottla_quorum::{Description, Replica};
use ottla_wire::api::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumResponse, DescribeQuorumResponsePartitionData,
    DescribeQuorumResponseTopicData, Listener, Node, ReplicaState,
};
use ottla_wire::{ErrorCode, Uuid};

use crate::answer::Answer;
use crate::api::voters::elsewhere;
use crate::call::Call;

/// The topic whose partition 0 is the metadata log.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// The first version that says where the voters listen, and which directories are theirs.
const WITH_NODES: i16 = 2;

/// Answers DescribeQuorum. Only the leader knows how far the others are.
pub fn handle(call: Call, request: DescribeQuorumRequest) -> Answer<DescribeQuorumResponse> {
    Answer::later(async move {
        let mut answer = match elsewhere(&call, &request).await {
            Some(Ok(answer)) => answer,
            // Nobody leads, or nobody can be asked: what this node knows is better than nothing, if it
            // knows anything.
            Some(Err(code)) => {
                let mine = own(&call, request);
                if mine.nodes.is_empty() {
                    DescribeQuorumResponse { error_code: code, ..Default::default() }
                } else {
                    mine
                }
            }
            None => own(&call, request),
        };
        if call.version < WITH_NODES {
            shorten(&mut answer);
        }
        answer
    })
}

/// Takes out what versions before [`WITH_NODES`] cannot say. The leader was asked in its newest version.
fn shorten(answer: &mut DescribeQuorumResponse) {
    answer.nodes.clear();
    for partition in answer.topics.iter_mut().flat_map(|t| &mut t.partitions) {
        let replicas = partition.current_voters.iter_mut().chain(&mut partition.observers);
        replicas.for_each(|replica| replica.replica_directory_id = Uuid::ZERO);
    }
}

fn own(call: &Call, request: DescribeQuorumRequest) -> DescribeQuorumResponse {
    let quorum = call.context.quorum.describe();
    let wanted = request.topics.iter().all(|t| {
        t.topic_name == METADATA_TOPIC && t.partitions.iter().all(|p| p.partition_index == 0)
    });
    let topics = if wanted && !request.topics.is_empty() {
        vec![DescribeQuorumResponseTopicData {
            topic_name: METADATA_TOPIC.to_owned(),
            partitions: vec![describe(call, &quorum)],
        }]
    } else {
        let unknown = |partition_index| DescribeQuorumResponsePartitionData {
            partition_index,
            error_code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            error_message: None,
            ..Default::default()
        };
        let topic = |t: ottla_wire::api::describe_quorum::DescribeQuorumRequestTopicData| {
            let partitions = t.partitions.iter().map(|p| unknown(p.partition_index)).collect();
            DescribeQuorumResponseTopicData { topic_name: t.topic_name, partitions }
        };
        request.topics.into_iter().map(topic).collect()
    };
    let nodes = nodes(&quorum);
    DescribeQuorumResponse { topics, nodes, error_message: None, ..Default::default() }
}

fn describe(call: &Call, quorum: &Description) -> DescribeQuorumResponsePartitionData {
    let now = call.context.core.clock().wall_ms();
    let leader = quorum.leadership.leader;
    // A cluster whose voters stand in configuration files knows no directory ids. The quorum's own image says so: a
    // controller that starts leads and answers before anything is published.
    let image = call.context.quorum.updates().image();
    let dynamic = image.features().level(features::KRAFT) > 0;
    let state = |r: &Replica| {
        let at = |ago: Option<u64>| match ago {
            _ if Some(r.key) == leader => now,
            Some(ago) => now.saturating_sub_unsigned(ago),
            None => -1,
        };
        let (heard, caught_up) = (at(r.last_heard_ms_ago), at(r.caught_up_ms_ago));
        ReplicaState {
            replica_id: r.key.id,
            replica_directory_id: if dynamic { r.key.directory } else { Default::default() },
            log_end_offset: r.log_end_offset.unwrap_or(-1),
            last_fetch_timestamp: heard,
            last_caught_up_timestamp: caught_up,
        }
    };
    DescribeQuorumResponsePartitionData {
        partition_index: 0,
        error_code: if leader.is_some() {
            ErrorCode::NONE
        } else {
            ErrorCode::NOT_LEADER_OR_FOLLOWER
        },
        error_message: None,
        leader_id: leader.map_or(-1, |l| l.id),
        leader_epoch: quorum.leadership.epoch,
        high_watermark: quorum.high_watermark,
        current_voters: quorum.voters.iter().map(state).collect(),
        observers: quorum.observers.iter().map(state).collect(),
    }
}

fn nodes(quorum: &Description) -> Vec<Node> {
    let listener = |e: &ottla_quorum::Endpoint| Listener {
        name: e.name.clone(),
        host: e.host.clone(),
        port: e.port,
    };
    let node = |r: &Replica| Node {
        node_id: r.key.id,
        listeners: r.member.endpoints.iter().map(listener).collect(),
    };
    quorum.voters.iter().map(node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_wire::{Encoder, Message};

    #[test]
    fn a_newest_answer_is_told_in_older_versions() {
        let replica = ReplicaState { replica_directory_id: Uuid::ONE, ..Default::default() };
        let partition = DescribeQuorumResponsePartitionData {
            current_voters: vec![replica.clone()],
            observers: vec![replica],
            ..Default::default()
        };
        let topic =
            DescribeQuorumResponseTopicData { partitions: vec![partition], ..Default::default() };
        let node = Node { node_id: 1, ..Default::default() };
        let newest =
            DescribeQuorumResponse { topics: vec![topic], nodes: vec![node], ..Default::default() };
        for version in 0..WITH_NODES {
            let mut answer = newest.clone();
            assert!(answer.encode(&mut Encoder::new(), version).is_err());
            shorten(&mut answer);
            assert!(answer.encode(&mut Encoder::new(), version).is_ok());
        }
    }
}
