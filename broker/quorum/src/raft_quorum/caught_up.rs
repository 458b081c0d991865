//! When an image of a node that was started can be served from.

use openraft::async_runtime::WatchReceiver;
use openraft::vote::RaftLeaderId;

use super::{Node, reason};
use crate::error::QuorumError;
use crate::state_machine::Signals;
use crate::types::LogId;

/// What is known of the quorum and of this node's image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct View {
    /// The epoch, and whether its leader is known.
    epoch: i32,
    led: bool,
    /// The last entry that is known to be committed anywhere.
    committed: Option<LogId>,
    /// The last entry in the published image.
    published: Option<LogId>,
}

impl View {
    /// Whether the image holds all that was committed before this node started with a log that ended in `at_start`.
    ///
    /// The first entry of an epoch stands behind all that was committed in epochs before. Where the epoch is the one
    /// in which the log at the start ended, that log is a part of the leader's, and all of it may be committed.
    fn has_all(&self, at_start: Option<LogId>) -> bool {
        let published_in = self.published.map_or(0, |id| id.leader_id.term);
        self.led
            && published_in >= self.epoch
            && self.published >= at_start
            && self.published >= self.committed
    }
}

/// Waits until the published image holds all that was committed before the node started, as far as this node or the
/// leader of now knows. `at_start` is the last entry of the node's log when it started.
pub(super) async fn caught_up(
    raft: &Node,
    signals: &Signals,
    at_start: Option<LogId>,
) -> Result<(), QuorumError> {
    let mut metrics = raft.metrics();
    let mut published = signals.published.subscribe();
    // More may be committed all the time: what counts is what is known first.
    let mut committed = None;
    loop {
        let newest = *published.borrow_and_update();
        {
            let now = metrics.borrow_watched();
            if let Err(why) = &now.running_state {
                return Err(QuorumError::Stopped(reason(signals, why)));
            }
            let led = now.current_leader.is_some() && now.vote.is_committed();
            if led && committed.is_none() {
                committed = now.cluster_committed;
            }
            let epoch = now.vote.leader_id().term();
            if (View { epoch, led, committed, published: newest }).has_all(at_start) {
                return Ok(());
            }
        }
        tokio::select! {
            changed = metrics.changed() => if let Err(why) = changed {
                return Err(QuorumError::Stopped(reason(signals, &why)));
            },
            changed = published.changed() => if let Err(why) = changed {
                return Err(QuorumError::Stopped(reason(signals, &why)));
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::CommittedLeaderId;

    fn id(epoch: i32, index: u64) -> Option<LogId> {
        Some(LogId::new(CommittedLeaderId::new(epoch), index))
    }

    #[test]
    fn a_piece_of_what_was_committed_is_not_enough() {
        let at = |epoch, published, committed| View { epoch, led: true, committed, published };
        // The only voter, elected anew: its first entry is the last of all.
        assert!(!at(3, None, None).has_all(id(2, 900)));
        assert!(!at(3, id(2, 255), None).has_all(id(2, 900)));
        assert!(!at(3, id(2, 900), None).has_all(id(2, 900)));
        assert!(at(3, id(3, 901), None).has_all(id(2, 900)));
        // A follower of a leader that stayed.
        assert!(!at(2, id(2, 255), None).has_all(id(2, 900)));
        assert!(at(2, id(2, 900), None).has_all(id(2, 900)));
        assert!(!at(2, id(2, 900), id(2, 950)).has_all(id(2, 900)));
        assert!(at(2, id(2, 950), id(2, 950)).has_all(id(2, 900)));
        // What its log had behind the new leader's was never committed, and is gone.
        assert!(at(3, id(3, 880), id(3, 880)).has_all(id(2, 900)));
        // Nobody leads yet.
        assert!(!View { led: false, ..at(2, id(2, 900), None) }.has_all(id(2, 900)));
    }
}
