//! Appending as leader.

use ottla_log::Log;
use ottla_log::log::{AppendBatch, LeaderAppend, Outcome};
use ottla_log::producers::{Origin, Rules, Verified};
use ottla_replica::{Acks, EpochCheck};

use super::leading::News;
use super::{Partition, Role};
use crate::error::EngineError;
use crate::wait::{AckWait, AckWaiter};

/// How batches are to be appended.
#[derive(Clone, Copy, Debug)]
pub struct AppendHow {
    /// Who must have them before the producer is told.
    pub acks: Acks,
    /// What the log checks.
    pub rules: Rules,
    /// The epoch the caller believes to lead in.
    pub epoch: EpochCheck,
}

impl AppendHow {
    /// As a client's Produce request appends.
    #[must_use]
    pub fn client(acks: Acks) -> Self {
        Self { acks, rules: Rules::of(Origin::Client), epoch: EpochCheck::Any }
    }

    /// The same, of batches that begin transactions with what is known of them.
    #[must_use]
    pub fn verified(self, verified: Verified) -> Self {
        Self { rules: Rules { verified, ..self.rules }, ..self }
    }

    /// As a coordinator on this node appends, which leads in `epoch`.
    #[must_use]
    pub fn coordinator(epoch: i32) -> Self {
        let (acks, rules) = (Acks::All, Rules::of(Origin::Coordinator));
        Self { acks, rules, epoch: EpochCheck::Is(epoch) }
    }
}

/// What became of an append.
#[derive(Debug)]
pub struct Appended {
    /// Offset of the first record.
    pub first_offset: i64,
    /// Offset of the last record.
    pub last_offset: i64,
    /// Log start offset.
    pub log_start_offset: i64,
    /// Whether the batches had been in the log before, at these offsets.
    pub outcome: Outcome,
    /// Bytes written.
    pub bytes: u64,
    /// When the producer may be told.
    pub ack: Ack,
}

/// When a producer may be told of an append.
#[derive(Debug)]
pub enum Ack {
    /// Now.
    Now,
    /// When this resolves.
    Wait(AckWait),
}

impl Partition {
    /// Appends validated batches on the calling thread. When it returns they are in the page
    /// cache, and readers who may see them are awake; [`Appended::ack`] says when the producer may
    /// be told. All batches get in, or none.
    ///
    /// # Errors
    /// That this node does not lead, that too few replicas are in sync, or what the log says.
    pub fn append(&self, batches: &[AppendBatch], how: AppendHow) -> Result<Appended, EngineError> {
        self.check_open()?;
        let mut role = self.role.lock();
        let Role::Leader(leading) = &mut *role else {
            drop(role);
            return Err(self.check_leader(how.epoch).err().unwrap_or(EngineError::NotLeader));
        };
        leading.leader.check_epoch(how.epoch)?;
        leading.leader.check_append(how.acks)?;
        let here = self.here.load();
        let log = &here.log;
        let now_ms = self.core.clock().wall_ms();
        let by = LeaderAppend { leader_epoch: leading.leader.epoch(), rules: how.rules, now_ms };
        let info = log.append_as_leader(batches, by).map_err(|e| here.judge(e))?;
        let moved = match info.outcome {
            Outcome::Appended => leading.leader.appended(info.end_offset, &**self.core.cluster()),
            Outcome::Duplicate => None,
        };
        let committed = leading.leader.high_watermark() > info.last_offset;
        let replicated = how.acks != Acks::All || committed;
        let flush = self.must_flush(log, info.end_offset);
        let ack = match (replicated, flush) {
            (true, false) => Ack::Now,
            _ => {
                let waiter = AckWaiter::new(u8::from(!replicated) + u8::from(flush));
                if !replicated {
                    leading.acks.push(info.last_offset + 1, waiter.clone());
                }
                if flush {
                    self.core.flusher().add(here.target(), info.end_offset, waiter.clone());
                }
                Ack::Wait(waiter.wait())
            }
        };
        let bytes = usize::try_from(info.bytes).unwrap_or(usize::MAX);
        self.settle(role, moved, News::Appended(bytes));
        if let Some(rolled_at) = info.rolled_at {
            self.core.flusher().flush_later(here.target(), rolled_at);
        }
        Ok(Appended {
            first_offset: info.first_offset,
            last_offset: info.last_offset,
            log_start_offset: info.log_start_offset,
            outcome: info.outcome,
            bytes: info.bytes,
            ack,
        })
    }

    /// Whether `flush.messages` asks for a flush before anybody is told.
    pub(super) fn must_flush(&self, log: &Log, end_offset: i64) -> bool {
        let limit = self.config.load().flush_messages;
        limit != i64::MAX && end_offset - log.recovery_point() >= limit
    }

    /// Resolves when the high watermark is at or past `offset`.
    ///
    /// # Errors
    /// That this node does not lead in `epoch`.
    pub fn wait_committed(&self, offset: i64, epoch: EpochCheck) -> Result<Ack, EngineError> {
        let mut role = self.role.lock();
        let Role::Leader(leading) = &mut *role else { return Err(EngineError::NotLeader) };
        leading.leader.check_epoch(epoch)?;
        if leading.leader.high_watermark() >= offset {
            return Ok(Ack::Now);
        }
        let waiter = AckWaiter::new(1);
        leading.acks.push(offset, waiter.clone());
        Ok(Ack::Wait(waiter.wait()))
    }
}
