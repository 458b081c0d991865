//! Leading: what moves the high watermark, who waits for it, and who is in sync.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ottla_config::LogConfig;
use ottla_replica::{
    AckWaits, EpochCheck, FollowerFetch, IsrAnswer, IsrProposal, Leader, LeaderStart, Membership,
};
use ottla_wire::ErrorCode;
use parking_lot::MutexGuard;
use tracing::{debug, info};

use super::read::{Position, ReadAsk, position};
use super::{Ack, Partition, Role};
use crate::cluster::Cluster;
use crate::error::EngineError;
use crate::settings::TopicSettings;
use crate::wait::{AckWaiter, Moved};

/// What a leader keeps.
#[derive(Debug)]
pub(super) struct Leading {
    pub(super) leader: Leader,
    /// Those who wait for the high watermark.
    pub(super) acks: AckWaits<AckWaiter>,
    /// Those who wait until all replicas have deleted what was asked to be deleted.
    deletions: AckWaits<AckWaiter>,
}

/// How leadership begins, as the Image says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lead {
    /// Our broker id.
    pub me: i32,
    /// The leader epoch.
    pub epoch: i32,
    /// The partition epoch.
    pub partition_epoch: i32,
    /// All brokers that hold a replica.
    pub replicas: Vec<i32>,
    /// Those in sync.
    pub isr: Vec<i32>,
}

/// Which process fetches as a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerId {
    /// Its broker id.
    pub broker: i32,
    /// Its broker epoch; -1 in versions of Fetch before 15, which carry none.
    pub epoch: i64,
}

/// How many bytes may be read now that could not be read before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// These were appended; if the high watermark moved, it moved by them.
    Appended(usize),
    /// Nothing was appended. If the high watermark moved, it moved by what nobody counted.
    Committed,
}

impl Partition {
    /// Begins to lead, or goes on leading with other replicas.
    pub(crate) fn lead(self: &Arc<Self>, lead: Lead) {
        let cluster = self.core.cluster();
        let followed = lead.replicas.len() > 1;
        let mut role = self.role.lock();
        let log = self.log();
        let moved = match &mut *role {
            Role::Leader(leading) if leading.leader.epoch() == lead.epoch => {
                let Lead { partition_epoch, replicas, isr, .. } = lead;
                let now = Membership { partition_epoch, replicas, isr };
                leading.leader.changed(&now, &**cluster)
            }
            other => {
                let Lead { me, epoch, partition_epoch, replicas, isr } = lead;
                log.begin_epoch(epoch);
                let start = LeaderStart {
                    me,
                    epoch,
                    partition_epoch,
                    replicas,
                    isr,
                    end_offset: log.end_offset(),
                    high_watermark: log.high_watermark(),
                    min_in_sync: min_in_sync(&self.config.load()),
                };
                let leader = Leader::new(start, &**cluster);
                let high_watermark = leader.high_watermark();
                let (acks, deletions) = (AckWaits::default(), AckWaits::default());
                let leading = Box::new(Leading { leader, acks, deletions });
                let old = std::mem::replace(other, Role::Leader(leading));
                end_leadership(old);
                self.leading.store(epoch, Ordering::Release);
                debug!(topic = %self.topic, partition = self.id.partition, epoch, "leading");
                Some(high_watermark)
            }
        };
        self.settle(role, moved, News::Committed);
        self.fetches.wake_all();
        if followed {
            cluster.watch(self);
        } else {
            cluster.unwatch(self.id);
        }
    }

    /// Takes new settings.
    pub(crate) fn set_settings(&self, settings: TopicSettings) {
        let least = min_in_sync(&settings.config);
        self.config.store(settings.config);
        let mut role = self.role.lock();
        self.here.load().log.set_settings(settings.log);
        let Role::Leader(leading) = &mut *role else { return };
        let moved = leading.leader.set_min_in_sync(least, &**self.core.cluster());
        self.settle(role, moved, News::Committed);
    }

    /// A follower asks for records: it has all before the offset that it asks for. Moves the high
    /// watermark, and proposes to let it into the in-sync replicas. Of a follower whose log is not
    /// ours up to there nothing is noted; [`read`](Self::read) tells it.
    ///
    /// # Errors
    /// That this node does not lead in the follower's epoch, or the broker holds no replica, or a
    /// later process of it is known.
    pub fn follower_fetched(
        self: &Arc<Self>,
        ask: &ReadAsk,
        from: FollowerId,
        start_offset: i64,
    ) -> Result<(), EngineError> {
        let epoch = self.check_leader(ask.epoch)?;
        let start = {
            let here = self.here.load();
            if position(&here.log, ask)? != Position::Continues {
                return Ok(());
            }
            here.log.start_offset()
        };
        let FollowerId { broker: replica, epoch: broker_epoch } = from;
        let fetch = FollowerFetch { replica, broker_epoch, offset: ask.offset, start_offset };
        let cluster = self.core.cluster();
        let mut role = self.role.lock();
        let Role::Leader(leading) = &mut *role else { return Err(EngineError::NotLeader) };
        leading.leader.check_epoch(EpochCheck::Is(epoch))?;
        let moved = leading.leader.fetched(&fetch, &**cluster)?;
        let proposal = leading.leader.propose_join(replica, start, &**cluster);
        if proposal.is_none() && moved.is_none() && leading.deletions.is_empty() {
            return Ok(());
        }
        self.settle(role, moved, News::Committed);
        if let Some(proposal) = proposal {
            cluster.changes().propose(self, proposal);
        }
        Ok(())
    }

    /// The in-sync follower that a consumer is to read from instead, which wants `offset` and to
    /// which those are `near` (KIP-392); `None` if this node is near, nobody is, or it does not lead.
    #[must_use]
    pub fn nearest(&self, offset: i64, near: impl Fn(i32) -> bool) -> Option<i32> {
        match &*self.role.lock() {
            Role::Leader(leading) => leading.leader.nearest(offset, near),
            Role::Follower { .. } => None,
        }
    }

    /// Whether a broker is in sync, as the leader knows.
    pub(crate) fn has_in_sync(&self, broker: i32) -> bool {
        match &*self.role.lock() {
            Role::Leader(leading) => leading.leader.isr().contains(&broker),
            Role::Follower { .. } => false,
        }
    }

    /// Looks for followers in sync that lag, and proposes that they leave.
    pub(crate) fn check_in_sync(self: &Arc<Self>) {
        let cluster = self.core.cluster();
        let mut role = self.role.lock();
        let Role::Leader(leading) = &mut *role else { return };
        let proposal = leading.leader.propose_leave(&**cluster);
        let moved = leading.leader.reconsider(&**cluster);
        self.settle(role, moved, News::Committed);
        if let Some(proposal) = proposal {
            let (topic, partition) = (&self.topic, self.id.partition);
            info!(%topic, partition, to = ?proposal.isr, "in-sync replicas are to shrink");
            cluster.changes().propose(self, proposal);
        }
    }

    /// Looks what may change because time went on, or brokers came into service or left it: the high
    /// watermark, and who may join those in sync.
    pub(crate) fn reconsider(self: &Arc<Self>) {
        let cluster = self.core.cluster();
        let mut role = self.role.lock();
        let Role::Leader(leading) = &mut *role else { return };
        let moved = leading.leader.reconsider(&**cluster);
        let start = self.here.load().log.start_offset();
        let proposal = leading.leader.propose_any_join(start, &**cluster);
        self.settle(role, moved, News::Committed);
        if let Some(proposal) = proposal {
            cluster.changes().propose(self, proposal);
        }
    }

    /// Takes in what the controller said to a proposal.
    pub(crate) fn isr_answered(self: &Arc<Self>, proposal: &IsrProposal, answer: IsrAnswer) {
        let cluster = self.core.cluster();
        let mut role = self.role.lock();
        let Role::Leader(leading) = &mut *role else { return };
        let moved = leading.leader.isr_answered(proposal, answer, &**cluster);
        let start = self.here.load().log.start_offset();
        let next = leading.leader.propose_any_join(start, &**cluster);
        self.settle(role, moved, News::Committed);
        if let Some(next) = next {
            cluster.changes().propose(self, next);
        }
    }

    /// Resolves when all replicas on brokers in service have deleted what lies below `offset`.
    ///
    /// # Errors
    /// That this node does not lead.
    pub fn wait_deleted(&self, offset: i64) -> Result<Ack, EngineError> {
        let mut role = self.role.lock();
        let start = self.here.load().log.start_offset();
        let Role::Leader(leading) = &mut *role else { return Err(EngineError::NotLeader) };
        if leading.low_watermark(start, self.core.cluster()) >= offset {
            return Ok(Ack::Now);
        }
        let waiter = AckWaiter::new(1);
        leading.deletions.push(offset, waiter.clone());
        Ok(Ack::Wait(waiter.wait()))
    }

    /// The least log start offset of all replicas on brokers in service, which DeleteRecords tells;
    /// -1 while one of them has not fetched yet.
    ///
    /// # Errors
    /// That this node does not lead.
    pub fn low_watermark(&self) -> Result<i64, EngineError> {
        let role = self.role.lock();
        let start = self.here.load().log.start_offset();
        let Role::Leader(leading) = &*role else { return Err(EngineError::NotLeader) };
        Ok(leading.low_watermark(start, self.core.cluster()))
    }

    /// Makes a moved high watermark known to the log and to those who waited for it. Takes the
    /// role's lock, which orders high watermarks, and gives it back.
    pub(super) fn settle(&self, mut role: MutexGuard<'_, Role>, moved: Option<i64>, news: News) {
        let Role::Leader(leading) = &mut *role else { return };
        if !leading.deletions.is_empty() {
            let start = self.here.load().log.start_offset();
            let low = leading.low_watermark(start, self.core.cluster());
            leading.deletions.reached(low).for_each(|waiter| waiter.finish(Ok(())));
        }
        let Some(high_watermark) = moved else {
            drop(role);
            if let News::Appended(bytes) = news {
                self.fetches.moved(Moved::End, bytes, 0);
            }
            return;
        };
        let log = self.log();
        let (stable_before, committed_before) = (log.last_stable_offset(), log.high_watermark());
        log.set_high_watermark(high_watermark);
        let reached = (!leading.acks.is_empty()).then(|| leading.acks.reached(high_watermark));
        drop(role);
        reached.into_iter().flatten().for_each(|waiter| waiter.finish(Ok(())));
        let what = match log.last_stable_offset() {
            stable if stable == stable_before => Moved::HighWatermark,
            stable if (stable_before, stable) == (committed_before, high_watermark) => {
                Moved::Stable
            }
            _ => Moved::Released,
        };
        match news {
            News::Appended(bytes) => self.fetches.moved(what, bytes, bytes),
            News::Committed => self.fetches.moved(what, 0, usize::MAX),
        }
    }
}

impl Leading {
    fn low_watermark(&self, start: i64, cluster: &Cluster) -> i64 {
        self.leader.low_watermark(start, cluster)
    }
}

fn min_in_sync(config: &LogConfig) -> usize {
    usize::try_from(config.min_insync_replicas).unwrap_or(1)
}

/// Tells all who wait for what a leader knows that it leads no more.
pub(super) fn end_leadership(old: Role) {
    if let Role::Leader(mut leading) = old {
        let lost = Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        leading.acks.all().chain(leading.deletions.all()).for_each(|waiter| waiter.finish(lost));
    }
}
