//! The tasks beside openraft's own: who leads, whether the clock has to tick, and when a snapshot is due.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use openraft::impls::ProgressResponder;
use openraft::vote::RaftLeaderId;
use ottla_wire::schema::metadata::AbortTransactionRecord;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{Node, fatal, refused, stopped};
use crate::Clock;
use crate::batch;
use crate::error::QuorumError;
use crate::quorum::{Leadership, Role};
use crate::simulated;
use crate::state_machine::{Signals, SnapshotPolicy};
use crate::types::{CommittedLeaderId, Vote};
use crate::voter::NodeKey;

/// How long to wait for a snapshot to begin that was asked for, before asking again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The rest before another leader's transaction is aborted again, when that was refused.
const ABORT_AGAIN: Duration = Duration::from_millis(100);

/// Starts the tasks. A leader that hears of no majority for `patience` counts as none.
pub(super) fn start(
    raft: &Node,
    signals: &Arc<Signals>,
    policy: SnapshotPolicy,
    clock: Clock,
    patience: Duration,
) -> (watch::Receiver<Leadership>, Vec<JoinHandle<()>>) {
    let (leadership, reader) = watch::channel(Leadership::default());
    let heard = Heard { raft: raft.clone(), patience, led: None };
    let follow = simulated::spawn(follow(raft.clone(), signals.clone(), leadership, clock, heard));
    let save = simulated::spawn(save(raft.clone(), signals.clone(), policy.max_interval_ms));
    (reader, vec![follow, save])
}

/// When a leader last heard of a majority.
struct Heard {
    raft: Node,
    patience: Duration,
    /// The epoch this node leads, and since when it is known to.
    led: Option<(i32, Instant)>,
}

impl Heard {
    /// Whether this node, which was elected for the epoch, is cut off from the others: they may have elected another
    /// one long ago, and what it decides would only hang.
    fn is_cut_off(&mut self, epoch: i32) -> bool {
        let since = match self.led {
            Some((led, since)) if led == epoch => since,
            _ => self.led.insert((epoch, Instant::now())).1,
        };
        let metrics = self.raft.metrics();
        let acked = metrics.borrow_watched().last_quorum_acked;
        let acked = acked.map(|at| openraft::Instant::elapsed(&*at));
        acked.map_or(since.elapsed(), |ago| ago.min(since.elapsed())) > self.patience
    }
}

/// Publishes who leads. A leader counts as one only when the first entry of its epoch, and so everything before it, is
/// in its image, and while it hears of a majority.
///
/// A metadata transaction that an earlier leader left open is ended before, or nothing written since would be seen.
async fn follow(
    raft: Node,
    signals: Arc<Signals>,
    leadership: watch::Sender<Leadership>,
    clock: Clock,
    mut heard: Heard,
) {
    let mut metrics = raft.server_metrics();
    let mut applied = signals.leader_applied.subscribe();
    let mut orphaned = signals.orphaned.subscribe();
    let (mut aborted_in, mut aborting) = (0, None);
    let me = *raft.node_id();
    loop {
        let mut abort = false;
        let (now, alone, elected) = {
            let metrics = metrics.borrow_watched();
            let epoch = metrics.vote.leader_id().term();
            let mut leader = leader_of(&metrics.vote, metrics.current_leader);
            let membership = metrics.membership_config.membership();
            let members: BTreeSet<NodeKey> = membership.nodes().map(|(key, _)| *key).collect();
            let alone = members == BTreeSet::from([me]);
            let others_vote = membership.voter_ids().any(|voter| voter != me);
            let elected = leader == Some(me);
            let role = if !elected {
                Role::Follower
            } else if others_vote && heard.is_cut_off(epoch) {
                leader = None;
                Role::Follower
            } else if *applied.borrow_and_update() < epoch {
                Role::Elected
            } else if *orphaned.borrow_and_update() {
                abort = aborted_in < epoch;
                Role::Elected
            } else {
                Role::Leader
            };
            (Leadership { epoch, leader, role }, alone, elected)
        };
        // With nobody to beat for and nobody to wait for, a ticking clock would only wake the processor.
        raft.runtime_config().tick(!alone);
        leadership.send_if_modified(|known| {
            let changed = *known != now;
            *known = now;
            changed
        });
        if abort {
            aborted_in = now.epoch;
            aborting = Some(simulated::spawn(abort_transaction(raft.clone(), now.epoch, clock())));
        }
        tokio::select! {
            changed = metrics.changed() => if changed.is_err() { return },
            changed = applied.changed() => if changed.is_err() { return },
            changed = orphaned.changed() => if changed.is_err() { return },
            ended = ended(&mut aborting) => if let Err(e) = ended {
                tracing::warn!("a metadata transaction of an earlier leader is still open: {e}");
                aborted_in = 0;
            },
            () = tokio::time::sleep(heard.patience / 4), if elected && !alone => {}
        }
    }
}

/// Who leads by a vote that is on disk. openraft names the next leader while it still writes the vote for it.
pub(super) fn leader_of(vote: &Vote, newest: Option<NodeKey>) -> Option<NodeKey> {
    newest.filter(|leader| vote.is_committed() && vote.leader_id().node_id() == leader)
}

/// Resolves when a task has ended, which is taken out then; never where there is none.
async fn ended(task: &mut Option<JoinHandle<Result<(), QuorumError>>>) -> Result<(), QuorumError> {
    let Some(running) = task else { return std::future::pending().await };
    let ended = running.await;
    *task = None;
    ended.map_err(|e| stopped(&e))?
}

/// Resolves when it is committed; where it is not, after a rest. A leader that has not heard of the others lately refuses
/// what it is given, and may lead on all the same.
async fn abort_transaction(raft: Node, epoch: i32, now_ms: i64) -> Result<(), QuorumError> {
    tracing::warn!(epoch, "aborting the metadata transaction that an earlier leader left open");
    let reason = Some("its leader is gone".to_owned());
    let record = AbortTransactionRecord { reason }.into();
    let batch = batch::encode(&[(record, 0)], now_ms)?;
    let (responder, answer) = ProgressResponder::complete_only();
    let write = raft.write(batch).with_leader(CommittedLeaderId::new(epoch));
    write.responder(responder).await.map_err(|e| fatal(&e))?;
    let done = match answer.await {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(e)) => refused(&e),
        Err(e) => stopped(&e),
    };
    tokio::time::sleep(ABORT_AGAIN).await;
    Err(done)
}

/// Has a snapshot written when enough was applied since the last one, or long enough ago.
async fn save(raft: Node, signals: Arc<Signals>, max_interval_ms: u64) {
    let mut unsaved = signals.unsaved_since.subscribe();
    loop {
        let since = *unsaved.borrow_and_update();
        let old = async {
            match since.filter(|_| max_interval_ms > 0) {
                None => std::future::pending().await,
                Some(since) => {
                    let due = since + Duration::from_millis(max_interval_ms);
                    tokio::time::sleep_until(due).await;
                }
            }
        };
        tokio::select! {
            changed = unsaved.changed() => {
                if changed.is_err() {
                    return;
                }
                continue;
            }
            () = signals.snapshot_due.notified() => {}
            () = old => {}
        }
        // The snapshot's begin clears the time since which there is something to save. While another one is being written
        // the wish is dropped; then that time stays, though it may have been set only now, which is news, too.
        let wished = *unsaved.borrow_and_update();
        while wished.is_some() {
            if raft.trigger().snapshot().await.is_err() {
                return;
            }
            let begun = unsaved.wait_for(|since| *since != wished);
            match tokio::time::timeout(ASK_AGAIN, begun).await {
                Ok(Ok(_)) => break,
                Ok(Err(_)) => return,
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use openraft::vote::RaftVote;
    use ottla_wire::Uuid;

    use super::*;

    #[test]
    fn who_is_elected_leads_no_earlier_epoch() {
        let [old, new] = [1, 2].map(|id| NodeKey::new(id, Uuid::ZERO));
        let vote =
            |granted| Vote::from_leader_id(<Vote as RaftVote>::LeaderId::new(3, old), granted);
        assert_eq!(leader_of(&vote(true), Some(old)), Some(old));
        assert_eq!(leader_of(&vote(true), Some(new)), None);
        assert_eq!(leader_of(&vote(false), Some(old)), None);
        assert_eq!(leader_of(&vote(true), None), None);
    }
}
