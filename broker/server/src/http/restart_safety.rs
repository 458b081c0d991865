//! `GET /api/v1/nodes/{id}/restart-safety`: whether a node may be restarted now, and if not, why.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use ottla_controller::Settings;
use ottla_controller::restart::{QuorumView, Reason, Verdict, VoterView, restart_safety};
use ottla_quorum::Description;
use ottla_wire::api::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumRequestPartitionData, DescribeQuorumRequestTopicData,
    DescribeQuorumResponse,
};
use serde::Serialize;

use crate::context::Context;
use crate::peers::metadata::TOPIC as METADATA_TOPIC;

/// How long the quorum's leader may take to say how far the voters are.
const LEADER_PATIENCE: Duration = Duration::from_secs(3);

/// The answer.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    node: i32,
    safe: bool,
    reasons: Vec<Told>,
    /// How many more reasons there are than are told.
    more: usize,
}

/// A reason.
#[derive(Debug, Serialize)]
struct Told {
    /// Its name for programs, such as `UNDER_MIN_ISR`.
    code: &'static str,
    /// What it means, for people.
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    voter: Option<i32>,
}

/// Answers with 200 whatever the verdict is.
pub(super) async fn get(
    State(context): State<Arc<Context>>,
    Path(node): Path<i32>,
) -> Json<Answer> {
    let (image, config) = (context.image(), context.config());
    let quorum = quorum(&context).await;
    let cluster = context.cluster_id.clone();
    // Many partitions take a while, and this thread is the quorum's too.
    let judged = tokio::task::spawn_blocking(move || {
        let settings = Settings::from_broker(&config, &cluster);
        restart_safety(&image, &settings, &quorum, node)
    });
    let verdict = judged.await.unwrap_or_else(|_| Verdict { reasons: Vec::new(), more: 1 });
    Json(answer(node, &verdict))
}

fn answer(node: i32, verdict: &Verdict) -> Answer {
    Answer {
        node,
        safe: verdict.is_safe() && verdict.more == 0,
        reasons: verdict.reasons.iter().map(told).collect(),
        more: verdict.more,
    }
}

fn told(reason: &Reason) -> Told {
    Told {
        code: reason.code(),
        text: reason.to_string(),
        topic: reason.partition().map(|p| p.topic.to_string()),
        partition: reason.partition().map(|p| p.partition),
        voter: reason.voter(),
    }
}

/// The quorum as its leader knows it; as this node does, where the leader cannot be asked.
async fn quorum(context: &Context) -> QuorumView {
    let own = view(&context.quorum.describe());
    if own.leader.is_none_or(|leader| leader == context.node_id) {
        return own;
    }
    let partitions = vec![DescribeQuorumRequestPartitionData { partition_index: 0 }];
    let topic_name = METADATA_TOPIC.to_owned();
    let topics = vec![DescribeQuorumRequestTopicData { topic_name, partitions }];
    let request = DescribeQuorumRequest { topics };
    let asked = context.controllers.forward(&request, None);
    match tokio::time::timeout(LEADER_PATIENCE, asked).await {
        Ok(Ok(told)) => told_view(&told).unwrap_or(own),
        Ok(Err(_)) | Err(_) => own,
    }
}

/// What a leader told. Its own time stands with its own replica: clocks need not agree.
fn told_view(told: &DescribeQuorumResponse) -> Option<QuorumView> {
    let quorum = told.topics.first()?.partitions.first()?;
    if quorum.error_code.is_error() || quorum.leader_id < 0 {
        return None;
    }
    let leader = quorum.current_voters.iter().find(|v| v.replica_id == quorum.leader_id);
    let now = leader.map(|leader| leader.last_fetch_timestamp);
    let voters = quorum.current_voters.iter().map(|v| VoterView {
        id: v.replica_id,
        end_offset: Some(v.log_end_offset).filter(|end| *end >= 0),
        heard_ms_ago: now
            .filter(|_| v.last_fetch_timestamp >= 0)
            .map(|now| u64::try_from(now.saturating_sub(v.last_fetch_timestamp)).unwrap_or(0)),
    });
    Some(QuorumView {
        leader: Some(quorum.leader_id),
        high_watermark: quorum.high_watermark,
        voters: voters.collect(),
    })
}

/// The quorum as this node knows it. How far the others are is known to the leader alone.
fn view(quorum: &Description) -> QuorumView {
    let leader = quorum.leadership.leader;
    let voters = quorum.voters.iter().map(|v| VoterView {
        id: v.key.id,
        end_offset: v.log_end_offset,
        heard_ms_ago: if Some(v.key) == leader { Some(0) } else { v.last_heard_ms_ago },
    });
    QuorumView {
        leader: leader.map(|l| l.id),
        high_watermark: quorum.high_watermark,
        voters: voters.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_controller::restart::Named;

    #[test]
    fn what_a_leader_tells() {
        use ottla_wire::ErrorCode;
        use ottla_wire::api::describe_quorum::{
            DescribeQuorumResponsePartitionData, DescribeQuorumResponseTopicData, ReplicaState,
        };
        let replica = |replica_id, log_end_offset, last_fetch_timestamp| ReplicaState {
            replica_id,
            log_end_offset,
            last_fetch_timestamp,
            ..Default::default()
        };
        let told = |error_code| DescribeQuorumResponse {
            topics: vec![DescribeQuorumResponseTopicData {
                partitions: vec![DescribeQuorumResponsePartitionData {
                    error_code,
                    leader_id: 2,
                    high_watermark: 70,
                    current_voters: vec![
                        replica(1, 69, 4_990),
                        replica(2, 71, 5_000),
                        replica(3, -1, -1),
                    ],
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        let view = |id, end_offset, heard_ms_ago| VoterView { id, end_offset, heard_ms_ago };
        let expected = QuorumView {
            leader: Some(2),
            high_watermark: 70,
            voters: vec![
                view(1, Some(69), Some(10)),
                view(2, Some(71), Some(0)),
                view(3, None, None),
            ],
        };
        assert_eq!(told_view(&told(ErrorCode::NONE)), Some(expected));
        assert_eq!(told_view(&told(ErrorCode::NOT_LEADER_OR_FOLLOWER)), None);
        assert_eq!(told_view(&DescribeQuorumResponse::default()), None);
    }

    #[test]
    fn verdicts_as_json() {
        let json = |verdict| serde_json::to_string(&answer(1, &verdict)).unwrap();
        assert_eq!(json(Verdict::default()), r#"{"node":1,"safe":true,"reasons":[],"more":0}"#);
        let partition = Named { topic: "t".into(), partition: 3 };
        let reasons = vec![
            Reason::VoterUnknown { voter: 2 },
            Reason::UnderMinIsr { partition, left: 1, needed: 2 },
        ];
        let text = json(Verdict { reasons, more: 4 });
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed["safe"], false);
        assert_eq!(parsed["more"], 4);
        assert_eq!(parsed["reasons"][0]["voter"], 2);
        assert_eq!(parsed["reasons"][0].get("topic"), None);
        assert_eq!(parsed["reasons"][1]["code"], "UNDER_MIN_ISR");
        assert_eq!(parsed["reasons"][1]["topic"], "t");
        assert_eq!(parsed["reasons"][1]["partition"], 3);
        assert!(parsed["reasons"][1]["text"].as_str().unwrap().starts_with("t-3 would have 1"));
    }
}
