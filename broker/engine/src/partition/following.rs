//! Following: taking over what a leader sent.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use ottla_log::log::FollowerInfo;
use ottla_log::{Log, LogError};
use ottla_replica::{Cut, EpochEnd, LocalLog};
use parking_lot::MutexGuard;
use tracing::{info, warn};

use super::leading::end_leadership;
use super::{Here, NOT_LEADING, Partition, Role};
use crate::dirs::LogDir;
use crate::error::EngineError;
use crate::wait::{AckWait, AckWaiter};

/// Where a batch has its length.
const LENGTH: Range<usize> = 8..12;

/// Where a batch has its leader epoch.
const EPOCH: Range<usize> = 12..16;

/// A log, as the follower's machine asks it.
#[derive(Debug)]
pub(crate) struct Local<'a>(pub(crate) &'a Log);

impl LocalLog for Local<'_> {
    fn start_offset(&self) -> i64 {
        self.0.start_offset()
    }

    fn end_offset(&self) -> i64 {
        self.0.end_offset()
    }

    fn high_watermark(&self) -> i64 {
        self.0.high_watermark()
    }

    fn latest_epoch(&self) -> Option<i32> {
        self.0.latest_epoch()
    }

    fn end_of_epoch(&self, epoch: i32) -> Option<EpochEnd> {
        self.0.end_of_epoch(epoch).map(|found| EpochEnd { epoch: found.epoch, end: found.end })
    }
}

/// What a leader sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// Batches, the last of which may be cut short.
    pub(crate) records: Bytes,
    /// The leader's high watermark.
    pub(crate) high_watermark: i64,
    /// The leader's log start offset.
    pub(crate) start_offset: i64,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Bytes appended.
    pub(crate) bytes: u64,
    /// What to wait for before the leader may be asked for more, which tells it that these are safe.
    pub(crate) flush: Option<AckWait>,
}

/// Why nothing was taken over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FollowError {
    /// The partition does not follow in that epoch any more.
    #[error("the epoch is over")]
    Over,
    /// The log refused or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Partition {
    /// Begins to follow `leader` (-1 for none) in `epoch`. Whether that is anything new.
    pub(crate) fn follow(&self, leader: i32, epoch: i32) -> bool {
        let mut role = self.role.lock();
        let same = matches!(&*role, Role::Follower { leader: l, epoch: e }
            if (*l, *e) == (leader, epoch));
        if same {
            return false;
        }
        let old = std::mem::replace(&mut *role, Role::Follower { leader, epoch });
        let led = self.leading.swap(NOT_LEADING, Ordering::AcqRel) != NOT_LEADING;
        drop(role);
        if led {
            self.core.cluster().unwatch(self.id);
        }
        end_leadership(old);
        self.fetches.wake_all();
        true
    }

    fn following(&self, epoch: i32) -> Result<MutexGuard<'_, Role>, FollowError> {
        let role = self.role.lock();
        self.check_open()?;
        match &*role {
            Role::Follower { epoch: ours, .. } if *ours == epoch => Ok(role),
            Role::Follower { .. } | Role::Leader(_) => Err(FollowError::Over),
        }
    }

    /// Appends what the leader of `epoch` sent, and takes over its offsets.
    pub(crate) fn append_sent(&self, epoch: i32, sent: &Sent) -> Result<Taken, FollowError> {
        let role = self.following(epoch)?;
        let here = self.here.load();
        let log = &here.log;
        let records = of_epochs_up_to(&sent.records, epoch);
        let info = self.append_records(&here, &records, sent.start_offset)?;
        let reached = sent.high_watermark.min(info.end_offset);
        // Never back: what was committed once every leader to come has, unless one was elected
        // uncleanly, and then the cut of our log takes it back.
        let moved = reached > log.high_watermark();
        if moved {
            log.set_high_watermark(reached);
        }
        let start = sent.start_offset.min(log.high_watermark());
        if start > log.start_offset() {
            log.set_start_offset(start).map_err(|e| here.judge(e))?;
        }
        drop(role);
        let flush = (info.bytes > 0 && self.must_flush(log, info.end_offset)).then(|| {
            let waiter = AckWaiter::new(1);
            self.core.flusher().add(here.target(), info.end_offset, waiter.clone());
            waiter.wait()
        });
        if let Some(rolled_at) = info.rolled_at {
            self.core.flusher().flush_later(here.target(), rolled_at);
        }
        if moved {
            // Consumers read from followers too (KIP-392).
            self.fetches.wake_any();
        }
        Ok(Taken { bytes: info.bytes, flush })
    }

    fn append_records(
        &self,
        here: &Here,
        records: &Bytes,
        leader_start: i64,
    ) -> Result<FollowerInfo, EngineError> {
        let (log, now) = (&here.log, self.core.clock().wall_ms());
        if records.is_empty() {
            let (end_offset, bytes, batches) = (log.end_offset(), 0, 0);
            return Ok(FollowerInfo { end_offset, bytes, batches, rolled_at: None });
        }
        let info = match log.append_as_follower(records, now) {
            // The leader's log begins in the middle of a batch, which comes whole. What is here instead, if anything, are
            // other batches, all of which it deleted.
            Err(LogError::UnexpectedOffset { first, expected })
                if first < expected
                    && (log.start_offset() == log.end_offset()
                        || log.end_offset() <= leader_start) =>
            {
                log.truncate_fully_and_start_at(first, now)
                    .and_then(|()| here.dir.get().files().write_recovery_points())
                    .and_then(|()| log.append_as_follower(records, now))
            }
            other => other,
        };
        let info = info.map_err(|e| here.judge(e))?;
        if info.bytes == 0 {
            return Err(LogError::InvalidBatch("not one whole batch was sent").into());
        }
        Ok(info)
    }

    /// Cuts the log, as the leader of `epoch` has it. Returns the directory whose recovery points
    /// must be written before anything is appended: they may lie behind the end.
    pub(crate) fn cut(&self, epoch: i32, cut: Cut) -> Result<Arc<LogDir>, FollowError> {
        let role = self.following(epoch)?;
        let here = self.here.load();
        let (log, now) = (&here.log, self.core.clock().wall_ms());
        let (high_watermark, end) = (log.high_watermark(), log.end_offset());
        let done = match cut {
            Cut::To(offset) => log.truncate_to(offset, now).map(drop),
            Cut::Anew(offset) => log.truncate_fully_and_start_at(offset, now),
        };
        done.map_err(|e| here.judge(e))?;
        drop(role);
        let name = log.name();
        match cut {
            Cut::To(to) if to < high_watermark => {
                warn!(log = %name, to, high_watermark, end, epoch, "log cut below its high watermark");
            }
            _ => info!(log = %name, ?cut, high_watermark, end, epoch, "log cut"),
        }
        self.fetches.wake_all();
        Ok(Arc::clone(here.dir.get()))
    }
}

/// The batches up to the first of a later epoch: what a leader wrote in an epoch that we do not
/// follow yet may have been read while it changed.
fn of_epochs_up_to(records: &Bytes, epoch: i32) -> Bytes {
    let mut at = 0;
    while let Some(batch) = records.get(at..).filter(|rest| rest.len() >= EPOCH.end) {
        let word = |range: Range<usize>| batch.get(range).and_then(|w| <[u8; 4]>::try_from(w).ok());
        let (Some(length), Some(of)) = (word(LENGTH), word(EPOCH)) else { break };
        if i32::from_be_bytes(of) > epoch {
            return records.slice(..at);
        }
        // A length that makes no sense is found by the log.
        let Ok(length) = usize::try_from(i32::from_be_bytes(length)) else { break };
        at = at.saturating_add(LENGTH.end).saturating_add(length);
    }
    records.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(epoch: i32, body: usize) -> Vec<u8> {
        let mut bytes = vec![0; 16 + body];
        bytes[LENGTH].copy_from_slice(&i32::try_from(4 + body).unwrap().to_be_bytes());
        bytes[EPOCH].copy_from_slice(&epoch.to_be_bytes());
        bytes
    }

    #[test]
    fn batches_of_later_epochs_are_left_out() {
        let all: Bytes = [batch(3, 50), batch(4, 60), batch(6, 10), batch(4, 5)].concat().into();
        assert_eq!(of_epochs_up_to(&all, 6), all);
        assert_eq!(of_epochs_up_to(&all, 5), all.slice(..16 + 50 + 16 + 60));
        assert_eq!(of_epochs_up_to(&all, 2), Bytes::new());
        let short = all.slice(..70);
        assert_eq!(of_epochs_up_to(&short, 3), short);
        assert_eq!(of_epochs_up_to(&Bytes::from_static(&[0xFF; 40]), 3).len(), 40);
    }
}
