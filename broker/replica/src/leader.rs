//! One partition's leader.

use std::collections::{BTreeMap, BTreeSet};

use ottla_machine::Mono;

use crate::error::ReplicaError;
use crate::world::{NO_BROKER_EPOCH, World};

mod isr;
mod progress;

pub use isr::{IsrAnswer, IsrProposal};
pub use progress::Progress;

/// How many replicas must have a batch before its producer hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// `acks=0`: nobody is told.
    None,
    /// `acks=1`: the leader alone.
    Leader,
    /// `acks=all`: all in-sync replicas.
    All,
}

impl Acks {
    /// By the number in a Produce request; `None` if it is not 0, 1 or -1.
    #[must_use]
    pub fn from_wire(acks: i16) -> Option<Self> {
        match acks {
            0 => Some(Self::None),
            1 => Some(Self::Leader),
            -1 => Some(Self::All),
            _ => None,
        }
    }
}

/// What a request says of the leader epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpochCheck {
    /// Nothing: an old client, or one that does not care.
    Any,
    /// It must be this one.
    Is(i32),
}

impl EpochCheck {
    /// By the number in a request, where negative means that nothing is known.
    #[must_use]
    pub fn from_wire(epoch: i32) -> Self {
        if epoch < 0 { Self::Any } else { Self::Is(epoch) }
    }
}

/// How a leader begins.
#[derive(Clone, Debug)]
pub struct LeaderStart {
    /// Our broker id.
    pub me: i32,
    /// The leader epoch.
    pub epoch: i32,
    /// The partition epoch.
    pub partition_epoch: i32,
    /// All brokers that hold a replica, ours included.
    pub replicas: Vec<i32>,
    /// Those in sync, ours included.
    pub isr: Vec<i32>,
    /// The end of our log.
    pub end_offset: i64,
    /// The high watermark we knew of as follower, or from the checkpoint.
    pub high_watermark: i64,
    /// `min.insync.replicas`.
    pub min_in_sync: usize,
}

/// What metadata of the same leader epoch may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The partition epoch.
    pub partition_epoch: i32,
    /// All brokers that hold a replica, ours included.
    pub replicas: Vec<i32>,
    /// Those in sync, ours included.
    pub isr: Vec<i32>,
}

/// What a follower's fetch says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerFetch {
    /// The follower.
    pub replica: i32,
    /// Its broker epoch, -1 in versions that carry none.
    pub broker_epoch: i64,
    /// The offset it asks for: it has all before it, as our log has it.
    pub offset: i64,
    /// Its log start offset.
    pub start_offset: i64,
}

/// The state of one partition's leader.
#[derive(Clone, Debug)]
pub struct Leader {
    me: i32,
    epoch: i32,
    partition_epoch: i32,
    epoch_start: i64,
    /// The in-sync replicas that the controller agreed to.
    isr: BTreeSet<i32>,
    /// What it is asked to agree to.
    pending: Option<isr::Pending>,
    /// Nothing is proposed before.
    rest_until: Mono,
    followers: BTreeMap<i32, Progress>,
    end_offset: i64,
    high_watermark: i64,
    min_in_sync: usize,
}

impl Leader {
    /// Begins an epoch as leader. The high watermark moves at once if nobody else is in sync.
    #[must_use]
    pub fn new(start: LeaderStart, world: &dyn World) -> Self {
        let mut leader = Self {
            me: start.me,
            epoch: start.epoch,
            partition_epoch: start.partition_epoch,
            epoch_start: start.end_offset,
            isr: start.isr.into_iter().collect(),
            pending: None,
            rest_until: Mono(0),
            followers: BTreeMap::new(),
            end_offset: start.end_offset,
            high_watermark: start.high_watermark.min(start.end_offset),
            min_in_sync: start.min_in_sync,
        };
        leader.set_replicas(&start.replicas, world);
        leader.advance(world);
        leader
    }

    fn set_replicas(&mut self, replicas: &[i32], world: &dyn World) {
        self.followers.retain(|id, _| replicas.contains(id));
        for id in replicas.iter().filter(|id| **id != self.me) {
            if !self.followers.contains_key(id) {
                let since = self.isr.contains(id).then(|| world.now());
                self.followers.insert(*id, Progress::unknown(since));
            }
        }
    }

    /// The leader epoch.
    #[must_use]
    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    /// Where our epoch began. A follower joins the ISR only once it has passed this.
    #[must_use]
    pub fn epoch_start(&self) -> i64 {
        self.epoch_start
    }

    /// The first offset that is not yet on all in-sync replicas.
    #[must_use]
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// The partition epoch that the in-sync replicas are of.
    #[must_use]
    pub fn partition_epoch(&self) -> i32 {
        self.partition_epoch
    }

    /// The in-sync replicas, as the controller agreed to them last.
    #[must_use]
    pub fn isr(&self) -> &BTreeSet<i32> {
        &self.isr
    }

    /// What is known of the followers.
    pub fn followers(&self) -> impl Iterator<Item = (i32, &Progress)> {
        self.followers.iter().map(|(id, follower)| (*id, follower))
    }

    /// Whether no other replica exists, so that all that is appended is committed.
    #[must_use]
    pub fn alone(&self) -> bool {
        self.followers.is_empty()
    }

    /// Refuses a request with an older or newer leader epoch.
    ///
    /// # Errors
    /// [`ReplicaError::FencedEpoch`] or [`ReplicaError::UnknownEpoch`].
    pub fn check_epoch(&self, check: EpochCheck) -> Result<(), ReplicaError> {
        let ours = self.epoch;
        match check {
            EpochCheck::Is(theirs) if theirs < ours => {
                Err(ReplicaError::FencedEpoch { theirs, ours })
            }
            EpochCheck::Is(theirs) if theirs > ours => {
                Err(ReplicaError::UnknownEpoch { theirs, ours })
            }
            EpochCheck::Is(_) | EpochCheck::Any => Ok(()),
        }
    }

    /// How many replicas must be in sync: never more than there are.
    fn required(&self) -> usize {
        self.min_in_sync.min(self.followers.len() + 1)
    }

    /// Whether a write with these acks may be appended.
    ///
    /// # Errors
    /// [`ReplicaError::NotEnoughReplicas`].
    pub fn check_append(&self, acks: Acks) -> Result<(), ReplicaError> {
        let (in_sync, required) = (self.isr.len(), self.required());
        if acks == Acks::All && in_sync < required {
            return Err(ReplicaError::NotEnoughReplicas { in_sync, required });
        }
        Ok(())
    }

    /// Our log ends at `end_offset` now. Returns the high watermark if it moved.
    pub fn appended(&mut self, end_offset: i64, world: &dyn World) -> Option<i64> {
        debug_assert!(end_offset >= self.end_offset, "a leader's log only grows");
        self.end_offset = end_offset;
        self.advance(world)
    }

    /// A follower asked for an offset, so it has all before it. Returns the high watermark if it
    /// moved.
    ///
    /// # Errors
    /// [`ReplicaError::UnknownReplica`], or [`ReplicaError::StaleBroker`] when a later process of
    /// that broker is known.
    pub fn fetched(
        &mut self,
        fetch: &FollowerFetch,
        world: &dyn World,
    ) -> Result<Option<i64>, ReplicaError> {
        let FollowerFetch { replica, broker_epoch: theirs, offset, start_offset } = *fetch;
        let end = self.end_offset;
        let unknown = ReplicaError::UnknownReplica(replica);
        let state = self.followers.get_mut(&replica).ok_or(unknown)?;
        let known = state.broker_epoch.max(world.epoch_of(replica));
        if let Some(known) = known
            && theirs != NO_BROKER_EPOCH
            && theirs < known
        {
            return Err(ReplicaError::StaleBroker { broker: replica, theirs, known });
        }
        let moved = state.end_offset != offset || state.broker_epoch != Some(theirs);
        state.fetched(offset, start_offset, theirs, world.now(), end);
        // Only what moved can move the high watermark, but for a wait that ended by time alone.
        Ok(if moved || self.high_watermark < end { self.advance(world) } else { None })
    }

    /// Metadata of the same leader epoch came. What is older than what the controller answered is
    /// ignored. Returns the high watermark if it moved.
    pub fn changed(&mut self, now: &Membership, world: &dyn World) -> Option<i64> {
        if now.partition_epoch < self.partition_epoch {
            return None;
        }
        if now.partition_epoch > self.partition_epoch {
            self.agree(now.partition_epoch, now.isr.iter().copied());
        }
        // The controller's answer names the in-sync replicas only, so these may be news.
        self.set_replicas(&now.replicas, world);
        self.advance(world)
    }

    /// `min.insync.replicas` changed. Returns the high watermark if it moved.
    pub fn set_min_in_sync(&mut self, min_in_sync: usize, world: &dyn World) -> Option<i64> {
        self.min_in_sync = min_in_sync;
        self.advance(world)
    }

    /// Looks whether the high watermark may move because time went on, or brokers left service.
    pub fn reconsider(&mut self, world: &dyn World) -> Option<i64> {
        self.advance(world)
    }

    /// Followers in sync that have not been caught up for longer than `lag_ms`.
    pub fn lagging(&self, now: Mono, lag_ms: u64) -> impl Iterator<Item = i32> {
        let in_sync = self.followers.iter().filter(|(id, _)| self.isr.contains(id));
        let late = in_sync.filter(move |(_, f)| !f.is_caught_up(self.end_offset, now, lag_ms));
        late.map(|(id, _)| *id)
    }

    /// Below which offset all replicas on brokers in service have deleted what was asked to be
    /// deleted; `ours` is our log start offset.
    #[must_use]
    pub fn low_watermark(&self, ours: i64, world: &dyn World) -> i64 {
        let alive = self.followers.iter().filter(|(id, _)| world.epoch_of(**id).is_some());
        alive.map(|(_, f)| f.start_offset).fold(ours, i64::min)
    }

    /// The in-sync follower that a consumer reads from instead of us, which wants `offset` and to
    /// which those are `near` (KIP-392): of the near ones that have it the one that has most. `None`
    /// if we are near, or nobody is.
    #[must_use]
    pub fn nearest(&self, offset: i64, near: impl Fn(i32) -> bool) -> Option<i32> {
        if near(self.me) {
            return None;
        }
        let has = |f: &Progress| f.start_offset <= offset && f.end_offset >= offset;
        let usable = self.followers.iter().filter(|(id, f)| {
            self.isr.contains(id) && f.broker_epoch.is_some() && has(f) && near(**id)
        });
        usable.max_by_key(|(_, f)| (f.end_offset, f.caught_up)).map(|(id, _)| *id)
    }

    /// The last stable offset: what readers of committed transactions may see.
    #[must_use]
    pub fn last_stable_offset(&self, first_unstable: Option<i64>) -> i64 {
        first_unstable.map_or(self.high_watermark, |first| first.min(self.high_watermark))
    }

    /// Moves the high watermark to the least end of the replicas that it waits for: those in sync,
    /// one that is to join, and those that are all but in sync. Without the last, a follower that
    /// catches up could find the high watermark ahead of it for ever (KIP-497).
    fn advance(&mut self, world: &dyn World) -> Option<i64> {
        // What fewer have than must is not committed: whoever may lead next need not have it
        // (KIP-966). So whoever waits for it and is told that it is has enough replicas in sync,
        // and where they are too few the producer's time runs out, as in Kafka.
        if self.isr.len() < self.required() {
            return None;
        }
        let mut committed = self.end_offset;
        let mut known = 1;
        for (id, f) in &self.followers {
            let counts = self.counts(*id);
            known += usize::from(counts);
            let waits = f.end_offset < committed
                && (counts
                    || (world.may_join(*id, f.broker_epoch)
                        && f.is_caught_up(self.end_offset, world.now(), world.lag_ms())));
            if waits {
                committed = f.end_offset;
            }
        }
        // One in sync that holds no replica as far as we know: nothing is sure.
        if known < self.counted() || committed <= self.high_watermark {
            return None;
        }
        self.high_watermark = committed;
        Some(committed)
    }
}

#[cfg(test)]
mod tests;
