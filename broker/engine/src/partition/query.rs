//! Questions about a log: offsets for times, ends of epochs, deletions.

use std::sync::Arc;

use ottla_log::LogError;
use ottla_log::checkpoint::epochs::EpochEnd;
use ottla_replica::EpochCheck;

use super::{Here, Partition, Role};
use crate::error::EngineError;
use crate::wait::Reader;

/// What ListOffsets asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetQuery {
    /// The log start offset.
    Earliest,
    /// The end, as far as this reader may see.
    Latest(Reader),
    /// The record with the largest timestamp, if this reader may see it.
    MaxTimestamp(Reader),
    /// The first record whose timestamp is at least this, in milliseconds since 1970, if this reader may see it.
    AtLeast(i64, Reader),
}

/// An offset that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetAt {
    /// The offset.
    pub offset: i64,
    /// The record's timestamp, -1 where the question was not about one.
    pub timestamp: i64,
    /// The leader epoch of the record there, -1 for none.
    pub leader_epoch: i32,
}

impl Partition {
    /// Finds an offset; `None` if there is no record with such a timestamp. Questions about
    /// timestamps read the disk: ask them off the network threads.
    ///
    /// # Errors
    /// That this node does not lead in the reader's epoch, or what the log says.
    pub fn find_offset(
        &self,
        query: OffsetQuery,
        epoch: EpochCheck,
    ) -> Result<Option<OffsetAt>, EngineError> {
        let ours = self.check_leader(epoch)?;
        let here = self.here.load_full();
        let log = &here.log;
        let at = |offset: i64, timestamp: i64| {
            let leader_epoch = log.epoch_of(offset).unwrap_or(-1);
            OffsetAt { offset, timestamp, leader_epoch }
        };
        let found = match query {
            OffsetQuery::Earliest => Some(at(log.start_offset(), -1)),
            OffsetQuery::Latest(reader) => {
                if reader != Reader::Follower {
                    self.check_caught_up()?;
                }
                let offset = self.bound(reader);
                Some(OffsetAt { offset, timestamp: -1, leader_epoch: ours })
            }
            OffsetQuery::MaxTimestamp(reader) => {
                let found = newest_record(&here)?.map(|(o, t)| at(o, t));
                found.filter(|at| at.offset < self.bound(reader))
            }
            OffsetQuery::AtLeast(time, reader) => {
                let found = record_since(&here, time)?.map(|(o, t)| at(o, t));
                let seen = found.filter(|at| at.offset < self.bound(reader));
                if seen.is_none() && reader != Reader::Follower {
                    self.check_caught_up()?;
                }
                seen
            }
        };
        Ok(found)
    }

    /// Whether the high watermark is one that no earlier leader was ahead of: a new leader hears of
    /// what was committed only when the in-sync replicas have fetched from it (KIP-207).
    fn check_caught_up(&self) -> Result<(), EngineError> {
        let role = self.role.lock();
        let Role::Leader(leading) = &*role else { return Err(EngineError::NotLeader) };
        match leading.leader.epoch_start() > leading.leader.high_watermark() {
            true => Err(EngineError::OffsetNotAvailable),
            false => Ok(()),
        }
    }

    /// Where a leader epoch ended here, for OffsetForLeaderEpoch; `None` when it is unknown.
    ///
    /// # Errors
    /// That this node does not lead in the reader's epoch.
    pub fn end_of_epoch(
        &self,
        wanted: i32,
        epoch: EpochCheck,
    ) -> Result<Option<EpochEnd>, EngineError> {
        self.check_leader(epoch)?;
        Ok(self.here.load().log.end_of_epoch(wanted))
    }

    /// Deletes the records below `offset`, -1 for all that are committed. Returns the log start
    /// offset that holds now.
    ///
    /// # Errors
    /// That this node does not lead, or the offset is above the high watermark.
    pub fn delete_records(&self, offset: i64) -> Result<i64, EngineError> {
        self.check_leader(EpochCheck::Any)?;
        loop {
            let here = self.here.load_full();
            let log = &here.log;
            let offset = if offset == -1 { log.high_watermark() } else { offset };
            if offset < 0 {
                let (start, end) = (log.start_offset(), log.high_watermark());
                return Err(EngineError::Log(LogError::OffsetOutOfRange { offset, start, end }));
            }
            let start = log.set_start_offset(offset);
            if !Arc::ptr_eq(log, &self.log()) {
                // It moved meanwhile: the deletion may have come too late to move with it.
                continue;
            }
            self.waiters().wake_all();
            return start.map_err(|e| here.judge(e));
        }
    }
}

fn newest_record(here: &Here) -> Result<Option<(i64, i64)>, EngineError> {
    let found = here.log.find_largest_timestamp().map_err(|e| here.judge(e))?;
    let Some(found) = found else { return Ok(None) };
    let records = crate::records::timestamps(&found.slice).map_err(|e| here.judge(e))?;
    let usable = records.into_iter().filter(|(offset, _)| *offset >= found.from_offset);
    // The first of those with the largest timestamp.
    Ok(usable.reduce(|best, next| if next.1 > best.1 { next } else { best }))
}

fn record_since(here: &Here, time: i64) -> Result<Option<(i64, i64)>, EngineError> {
    let mut from = here.log.start_offset();
    loop {
        let found = here.log.find_timestamp_from(time, from).map_err(|e| here.judge(e))?;
        let Some(found) = found else { return Ok(None) };
        let records = crate::records::timestamps(&found.slice).map_err(|e| here.judge(e))?;
        let usable = |(o, t): &(i64, i64)| *o >= found.from_offset && *t >= time;
        if let Some(record) = records.into_iter().find(usable) {
            return Ok(Some(record));
        }
        // The batch's record of that time lies below the log start offset.
        from = found.slice.bound;
    }
}
