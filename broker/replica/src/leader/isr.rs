//! Changes of the in-sync replicas that the controller has yet to agree to (KIP-497).
//!
//! While a change is under way the leader must be right whether it comes about or not: a follower
//! that is to join counts for the high watermark already, and one that is to leave counts still.
//! The number of replicas that producers ask for is judged by what is agreed.

use std::collections::BTreeSet;

use ottla_machine::Mono;
use ottla_wire::ErrorCode;
use ottla_wire::api::alter_partition::AlterPartitionResponsePartitionData;

use super::Leader;
use crate::world::{NO_BROKER_EPOCH, World};

/// For how long nothing is proposed after the controller refused something, in milliseconds: it
/// knows something of a broker that we are about to hear.
const REST_AFTER_REFUSAL_MS: u64 = 100;

/// A change under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    /// This follower is to join.
    Joins(i32),
    /// Followers are to leave.
    Leave,
}

/// A change that the controller is asked for. One is under way at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsrProposal {
    /// The epoch of the leader that asks.
    pub leader_epoch: i32,
    /// The partition epoch that the change rests on.
    pub partition_epoch: i32,
    /// The wanted in-sync replicas, with the broker epochs that they fetched with; -1 where none is
    /// known, and for the leader itself.
    pub isr: Vec<(i32, i64)>,
}

/// What became of a proposal. As long as nothing is known it is proposed again, unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IsrAnswer {
    /// The controller agreed; this is what holds now.
    Committed {
        /// The leader epoch.
        leader_epoch: i32,
        /// The partition epoch.
        partition_epoch: i32,
        /// The in-sync replicas.
        isr: Vec<i32>,
    },
    /// The controller refused: the in-sync replicas are what they were.
    Refused,
    /// What the proposal rests on is outdated: perhaps by an earlier try of itself, so nothing is
    /// taken back. Newer metadata are on their way, and say what holds.
    Outdated,
}

impl IsrAnswer {
    /// What the controller's answer to AlterPartition says; `None` when it says nothing.
    #[must_use]
    pub fn of(data: &AlterPartitionResponsePartitionData) -> Option<Self> {
        match data.error_code {
            ErrorCode::NONE => Some(Self::Committed {
                leader_epoch: data.leader_epoch,
                partition_epoch: data.partition_epoch,
                isr: data.isr.clone(),
            }),
            // These are judged after the epochs, so that no earlier try can have come about.
            ErrorCode::INELIGIBLE_REPLICA
            | ErrorCode::OPERATION_NOT_ATTEMPTED
            | ErrorCode::INVALID_REQUEST => Some(Self::Refused),
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            | ErrorCode::UNKNOWN_TOPIC_ID
            | ErrorCode::FENCED_LEADER_EPOCH
            | ErrorCode::INVALID_UPDATE_VERSION
            | ErrorCode::NEW_LEADER_ELECTED => Some(Self::Outdated),
            _ => None,
        }
    }
}

impl Leader {
    /// Whether a change of the in-sync replicas is under way.
    #[must_use]
    pub fn isr_is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Whether the high watermark waits for this replica: it is in sync as agreed, or is to join.
    pub(super) fn counts(&self, follower: i32) -> bool {
        self.isr.contains(&follower) || self.pending == Some(Pending::Joins(follower))
    }

    /// How many replicas count for the high watermark, ours included.
    pub(super) fn counted(&self) -> usize {
        let joins = match self.pending {
            Some(Pending::Joins(id)) => usize::from(!self.isr.contains(&id)),
            Some(Pending::Leave) | None => 0,
        };
        self.isr.len() + joins
    }

    /// Whether a follower out of sync may be let in: it has all that is committed, is past the
    /// beginning of our epoch, and is the process that the metadata know. `start` is our log start
    /// offset: what we deleted below it the follower has to have deleted as well, because what it
    /// has there may be something else, that was never committed.
    #[must_use]
    pub fn may_join(&self, follower: i32, start: i64, world: &dyn World) -> bool {
        let Some(state) = self.followers.get(&follower) else { return false };
        !self.isr.contains(&follower)
            && state.end_offset >= self.high_watermark
            && state.end_offset >= self.epoch_start
            && state.start_offset >= start
            && world.may_join(follower, state.broker_epoch)
    }

    /// Proposes that a follower joins, if it may and nothing else is under way; `start` is our log
    /// start offset.
    pub fn propose_join(
        &mut self,
        follower: i32,
        start: i64,
        world: &dyn World,
    ) -> Option<IsrProposal> {
        if self.isr.contains(&follower) || self.pending.is_some() {
            return None;
        }
        if !self.may_join(follower, start, world) || world.now() < self.rest_until {
            return None;
        }
        self.pending = Some(Pending::Joins(follower));
        let mut wanted = self.isr.clone();
        wanted.insert(follower);
        Some(self.proposal(&wanted))
    }

    /// Proposes that one of those joins that may, if there is any and nothing else is under way: as
    /// when brokers come into service, or another change has come about; `start` is our log start
    /// offset.
    pub fn propose_any_join(&mut self, start: i64, world: &dyn World) -> Option<IsrProposal> {
        if self.isr.len() > self.followers.len() {
            return None;
        }
        let may = self.followers.keys().copied().find(|id| self.may_join(*id, start, world))?;
        self.propose_join(may, start, world)
    }

    /// Proposes that those leave which have not been caught up for longer than they may lag, if
    /// there are any and nothing else is under way.
    pub fn propose_leave(&mut self, world: &dyn World) -> Option<IsrProposal> {
        if self.pending.is_some() || world.now() < self.rest_until {
            return None;
        }
        let late: BTreeSet<i32> = self.lagging(world.now(), world.lag_ms()).collect();
        if late.is_empty() {
            return None;
        }
        self.pending = Some(Pending::Leave);
        let wanted = &self.isr - &late;
        Some(self.proposal(&wanted))
    }

    fn proposal(&self, wanted: &BTreeSet<i32>) -> IsrProposal {
        let epoch = |id: &i32| {
            let known = self.followers.get(id).and_then(|state| state.broker_epoch);
            (*id, known.unwrap_or(NO_BROKER_EPOCH))
        };
        IsrProposal {
            leader_epoch: self.epoch,
            partition_epoch: self.partition_epoch,
            isr: wanted.iter().map(epoch).collect(),
        }
    }

    /// Takes in what became of a proposal; one that metadata have overtaken is ignored. Returns the
    /// high watermark if it moved.
    pub fn isr_answered(
        &mut self,
        proposal: &IsrProposal,
        answer: IsrAnswer,
        world: &dyn World,
    ) -> Option<i64> {
        let ours = proposal.leader_epoch == self.epoch
            && proposal.partition_epoch == self.partition_epoch
            && self.pending.is_some();
        match answer {
            IsrAnswer::Committed { leader_epoch, partition_epoch, isr }
                if leader_epoch == self.epoch && partition_epoch >= self.partition_epoch =>
            {
                // An answer of the same partition epoch is to a change that changed nothing.
                if partition_epoch > self.partition_epoch || ours {
                    self.agree(partition_epoch, isr);
                }
                self.advance(world)
            }
            IsrAnswer::Refused if ours => {
                self.pending = None;
                self.rest_until = world.now().plus_ms(REST_AFTER_REFUSAL_MS);
                self.advance(world)
            }
            IsrAnswer::Committed { .. } | IsrAnswer::Refused | IsrAnswer::Outdated => None,
        }
    }

    pub(super) fn agree(&mut self, partition_epoch: i32, isr: impl IntoIterator<Item = i32>) {
        self.isr = isr.into_iter().collect();
        self.partition_epoch = partition_epoch;
        self.pending = None;
        self.rest_until = Mono(0);
    }
}
