//! `GET /api/v1/nodes/{id}/restart-safety`: whether a node may be restarted now, and if not, why.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use ottla_controller::Settings;
use ottla_controller::restart::{QuorumView, Reason, Verdict, VoterView, restart_safety};
use ottla_quorum::Description;
use serde::Serialize;

use crate::context::Context;

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
    let quorum = view(&context.quorum.describe());
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
