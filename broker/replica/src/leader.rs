//! One partition's leader.

use std::collections::{BTreeMap, BTreeSet};

use ottla_machine::Mono;

use crate::error::ReplicaError;

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

/// What a leader knows of a follower.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Follower {
    /// Its log end offset, as of its last fetch; -1 while unknown.
    pub end_offset: i64,
    /// Its log start offset, as of its last fetch; -1 while unknown.
    pub start_offset: i64,
    /// When it last had everything that was there when it asked.
    pub caught_up: Mono,
    /// When it last asked, and the end of our log then.
    pub asked: Option<(Mono, i64)>,
}

/// How a leader begins.
#[derive(Clone, Debug)]
pub struct LeaderStart {
    /// Our broker id.
    pub me: i32,
    /// The leader epoch.
    pub epoch: i32,
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
    /// Now: followers are given time from here on.
    pub now: Mono,
}

/// The state of one partition's leader.
#[derive(Clone, Debug)]
pub struct Leader {
    me: i32,
    epoch: i32,
    epoch_start: i64,
    isr: BTreeSet<i32>,
    followers: BTreeMap<i32, Follower>,
    end_offset: i64,
    high_watermark: i64,
    min_in_sync: usize,
}

impl Leader {
    /// Begins an epoch as leader. The high watermark moves at once if nobody else is in sync.
    #[must_use]
    pub fn new(start: LeaderStart) -> Self {
        let unknown =
            Follower { end_offset: -1, start_offset: -1, caught_up: start.now, asked: None };
        let others = start.replicas.iter().filter(|id| **id != start.me);
        let mut leader = Self {
            me: start.me,
            epoch: start.epoch,
            epoch_start: start.end_offset,
            isr: start.isr.into_iter().collect(),
            followers: others.map(|id| (*id, unknown)).collect(),
            end_offset: start.end_offset,
            high_watermark: start.high_watermark.min(start.end_offset),
            min_in_sync: start.min_in_sync,
        };
        leader.advance();
        leader
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

    /// The in-sync replicas.
    #[must_use]
    pub fn isr(&self) -> &BTreeSet<i32> {
        &self.isr
    }

    /// What is known of the followers.
    pub fn followers(&self) -> impl Iterator<Item = (i32, &Follower)> {
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

    /// Whether what waited for the high watermark and has it may be acknowledged as `acks=all`: the
    /// in-sync replicas may have become too few meanwhile.
    #[must_use]
    pub fn enough_in_sync(&self) -> bool {
        self.isr.len() >= self.required()
    }

    /// Our log ends at `end_offset` now. Returns the high watermark if it moved.
    pub fn appended(&mut self, end_offset: i64) -> Option<i64> {
        debug_assert!(end_offset >= self.end_offset, "a leader's log only grows");
        self.end_offset = end_offset;
        self.advance()
    }

    /// A follower asked for `offset`, so it has all before it. Returns the high watermark if it
    /// moved.
    ///
    /// # Errors
    /// [`ReplicaError::UnknownReplica`].
    pub fn fetched(
        &mut self,
        follower: i32,
        offset: i64,
        start_offset: i64,
        now: Mono,
    ) -> Result<Option<i64>, ReplicaError> {
        let end = self.end_offset;
        let unknown = ReplicaError::UnknownReplica(follower);
        let state = self.followers.get_mut(&follower).ok_or(unknown)?;
        // It is caught up as of now if it has all, and as of its last request if it has all that
        // was there then.
        if offset >= end {
            state.caught_up = now;
        } else if let Some((asked, end_then)) = state.asked
            && offset >= end_then
        {
            state.caught_up = state.caught_up.max(asked);
        }
        state.asked = Some((now, end));
        state.end_offset = offset;
        state.start_offset = start_offset;
        Ok(self.advance())
    }

    /// The in-sync replicas changed by the controller's decision. Returns the high watermark if it
    /// moved.
    pub fn set_isr(&mut self, isr: impl IntoIterator<Item = i32>) -> Option<i64> {
        self.isr = isr.into_iter().collect();
        self.advance()
    }

    /// `min.insync.replicas` changed. Returns the high watermark if it moved.
    pub fn set_min_in_sync(&mut self, min_in_sync: usize) -> Option<i64> {
        self.min_in_sync = min_in_sync;
        self.advance()
    }

    /// Followers in sync that have not been caught up for longer than `lag_ms`.
    pub fn lagging(&self, now: Mono, lag_ms: u64) -> impl Iterator<Item = i32> {
        let in_sync = self.followers.iter().filter(|(id, _)| self.isr.contains(id));
        let late = in_sync.filter(move |(_, f)| {
            f.end_offset < self.end_offset && now.since(f.caught_up) > lag_ms
        });
        late.map(|(id, _)| *id)
    }

    /// Whether a follower out of sync may be let in: it has all that is committed, and is past the
    /// beginning of our epoch.
    #[must_use]
    pub fn may_join(&self, follower: i32) -> bool {
        let Some(state) = self.followers.get(&follower) else { return false };
        !self.isr.contains(&follower)
            && state.end_offset >= self.high_watermark
            && state.end_offset >= self.epoch_start
    }

    /// The last stable offset: what readers of committed transactions may see.
    #[must_use]
    pub fn last_stable_offset(&self, first_unstable: Option<i64>) -> i64 {
        first_unstable.map_or(self.high_watermark, |first| first.min(self.high_watermark))
    }

    fn advance(&mut self) -> Option<i64> {
        if !self.enough_in_sync() {
            return None;
        }
        let theirs = self.isr.iter().filter(|id| **id != self.me);
        let ends = theirs.map(|id| self.followers.get(id).map_or(-1, |f| f.end_offset));
        let committed = ends.fold(self.end_offset, i64::min);
        if committed <= self.high_watermark {
            return None;
        }
        self.high_watermark = committed;
        Some(committed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leader(replicas: &[i32], isr: &[i32], min_in_sync: usize) -> Leader {
        Leader::new(LeaderStart {
            me: 1,
            epoch: 5,
            replicas: replicas.to_vec(),
            isr: isr.to_vec(),
            end_offset: 10,
            high_watermark: 4,
            min_in_sync,
            now: Mono(1000),
        })
    }

    #[test]
    fn alone_everything_is_committed_at_once() {
        let mut leader = leader(&[1], &[1], 2);
        assert!(leader.alone());
        assert_eq!(leader.high_watermark(), 10);
        assert_eq!(leader.appended(17), Some(17));
        assert_eq!(leader.appended(17), None);
        leader.check_append(Acks::All).unwrap();
    }

    #[test]
    fn the_high_watermark_is_the_least_end_in_sync() {
        let mut leader = leader(&[1, 2, 3], &[1, 2, 3], 1);
        assert_eq!(leader.high_watermark(), 4);
        assert_eq!(leader.fetched(2, 10, 0, Mono(1001)), Ok(None));
        assert_eq!(leader.fetched(3, 7, 0, Mono(1001)), Ok(Some(7)));
        assert_eq!(leader.fetched(3, 6, 0, Mono(1002)), Ok(None), "never back");
        assert_eq!(leader.high_watermark(), 7);
        assert_eq!(leader.set_isr([1, 2]), Some(10));
        assert_eq!(leader.fetched(9, 0, 0, Mono(0)), Err(ReplicaError::UnknownReplica(9)));
    }

    #[test]
    fn too_few_in_sync_stop_writes_and_the_high_watermark() {
        let mut leader = leader(&[1, 2, 3], &[1], 2);
        assert_eq!(leader.high_watermark(), 4);
        let refused = ReplicaError::NotEnoughReplicas { in_sync: 1, required: 2 };
        assert_eq!(leader.check_append(Acks::All), Err(refused));
        leader.check_append(Acks::Leader).unwrap();
        assert_eq!(leader.appended(12), None);
        leader.fetched(2, 12, 0, Mono(1001)).unwrap();
        assert!(leader.may_join(2) && !leader.may_join(3));
        assert_eq!(leader.set_isr([1, 2]), Some(12));
        assert!(!leader.may_join(2), "it is in already");
    }

    #[test]
    fn a_follower_that_keeps_asking_stays_in_while_the_log_grows() {
        let mut leader = leader(&[1, 2], &[1, 2], 1);
        leader.fetched(2, 10, 0, Mono(1500)).unwrap();
        leader.appended(20);
        // It asks at 2000 for what ended the log at 1500: caught up as of then.
        leader.fetched(2, 10, 0, Mono(2000)).unwrap();
        leader.appended(30);
        leader.fetched(2, 20, 0, Mono(2500)).unwrap();
        assert_eq!(leader.lagging(Mono(2600), 700).count(), 0);
        assert_eq!(leader.lagging(Mono(2800), 700).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn epochs_fence() {
        let leader = leader(&[1], &[1], 1);
        leader.check_epoch(EpochCheck::from_wire(-1)).unwrap();
        leader.check_epoch(EpochCheck::from_wire(5)).unwrap();
        let fenced = ReplicaError::FencedEpoch { theirs: 4, ours: 5 };
        assert_eq!(leader.check_epoch(EpochCheck::Is(4)), Err(fenced));
        let unknown = ReplicaError::UnknownEpoch { theirs: 6, ours: 5 };
        assert_eq!(leader.check_epoch(EpochCheck::Is(6)), Err(unknown));
        assert_eq!(leader.last_stable_offset(Some(3)), 3);
        assert_eq!(leader.last_stable_offset(None), 10);
    }
}
