//! Whether the quorum can spare a voter.
//!
//! A voter that lost its log, or began after the others, neither votes nor is elected before a leader has given it the log.
//! If most voters were such, nobody could be elected once the leader ends, and nobody could ever give them the log. So a
//! vote is taken only while most of those left say that they vote.

use std::collections::BTreeSet;
use std::time::Duration;

use super::members::Changer;
use crate::error::QuorumError;
use crate::peers::{Peers, Word};
use crate::voter::NodeKey;

/// How long a leader just elected waits to hear from the voters what they are.
const HEARING: Duration = Duration::from_secs(4);

impl Changer {
    /// Makes sure that those who are left without a voter can elect a leader.
    pub(super) async fn check_spare(&self, gone: NodeKey) -> Result<(), QuorumError> {
        let Some(peers) = &self.peers else { return Ok(()) };
        let enough = async {
            while self.can_elect_without(gone, peers).is_err() {
                peers.word().await;
            }
        };
        let _ = tokio::time::timeout(HEARING, enough).await;
        self.must_lead()?;
        self.can_elect_without(gone, peers)
    }

    fn can_elect_without(&self, gone: NodeKey, peers: &Peers) -> Result<(), QuorumError> {
        let epoch = self.leadership.borrow().epoch;
        let left: BTreeSet<NodeKey> =
            self.membership().voter_ids().filter(|voter| *voter != gone).collect();
        let others = left.iter().filter(|voter| **voter != self.node);
        let missing: Vec<String> = others
            .filter_map(|voter| match peers.word_of(*voter, epoch) {
                Word::Votes => None,
                Word::Behind => Some(format!("node {voter} has not yet got the metadata log back")),
                Word::None => Some(format!("node {voter} was not heard since this node leads")),
            })
            .collect();
        let (count, least) = (left.len(), left.len() / 2 + 1);
        let there = count - missing.len();
        if there >= least {
            return Ok(());
        }
        Err(QuorumError::Busy(format!(
            "the vote of node {gone} cannot be taken now: of the {count} voters left, {least} must be able to elect a leader, \
             and only {there} are known to be: {}. Start those that are down, wait until they have the metadata log \
             (kafka-metadata-quorum.sh describe --replication shows how far each is), then take the vote",
            missing.join(", ")
        )))
    }
}
