//! Reading records.

use ottla_log::checkpoint::epochs::EpochEnd;
use ottla_log::index::txn::AbortedTxn;
use ottla_log::log::{AtLeast, FetchSlice};
use ottla_log::{Log, LogError};
use ottla_replica::EpochCheck;

use super::Partition;
use crate::error::EngineError;
use crate::wait::Reader;

/// What a reader wants of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadAsk {
    /// The first offset.
    pub offset: i64,
    /// Bytes at most, but see [`AtLeast`].
    pub max_bytes: u32,
    /// The leader epoch the reader knows.
    pub epoch: EpochCheck,
    /// The epoch of the last record the reader has, -1 for none: it hears where its log diverges
    /// from ours (KIP-595).
    pub last_fetched_epoch: i32,
}

/// What was read of one partition.
#[derive(Clone, Debug)]
pub struct Read {
    /// The high watermark.
    pub high_watermark: i64,
    /// The last stable offset.
    pub last_stable_offset: i64,
    /// The log start offset.
    pub log_start_offset: i64,
    /// The records, as part of a file; `None` when there are none.
    pub slice: Option<FetchSlice>,
    /// For readers of committed transactions, the aborted ones within `slice`.
    pub aborted: Vec<AbortedTxn>,
    /// Where the reader's log diverges from ours; nothing was read then.
    pub diverging: Option<EpochEnd>,
}

impl Read {
    /// The log's offsets, and no records.
    fn nothing(log: &Log) -> Self {
        Self {
            high_watermark: log.high_watermark(),
            last_stable_offset: log.last_stable_offset(),
            log_start_offset: log.start_offset(),
            slice: None,
            aborted: Vec::new(),
            diverging: None,
        }
    }

    /// Bytes of records.
    #[must_use]
    pub fn bytes(&self) -> u32 {
        self.slice.as_ref().map_or(0, |slice| slice.len)
    }
}

impl Partition {
    /// How far a reader may see now.
    #[must_use]
    pub fn bound(&self, reader: Reader) -> i64 {
        bound(&self.here.load().log, reader)
    }

    /// Reads as leader. Takes no lock and copies no record; when there is nothing new it costs a
    /// few loads.
    ///
    /// # Errors
    /// That this node does not lead in the reader's epoch, or the offset is not in the log.
    pub fn read(
        &self,
        ask: &ReadAsk,
        reader: Reader,
        at_least: AtLeast,
    ) -> Result<Read, EngineError> {
        self.check_leader(ask.epoch)?;
        self.read_here(ask, reader, at_least)
    }

    /// What a reader is told, as leader, who is to read elsewhere.
    ///
    /// # Errors
    /// That this node does not lead in the reader's epoch.
    pub fn read_nothing(&self, epoch: EpochCheck) -> Result<Read, EngineError> {
        self.check_leader(epoch)?;
        Ok(Read::nothing(&self.here.load().log))
    }

    /// Reads as whatever this node is to the partition, for consumers that know of followers.
    ///
    /// # Errors
    /// That this node neither leads nor follows in the reader's epoch, or the offset is not in the
    /// log.
    pub fn read_anywhere(
        &self,
        ask: &ReadAsk,
        reader: Reader,
        at_least: AtLeast,
    ) -> Result<Read, EngineError> {
        self.check_readable(ask.epoch)?;
        self.read_here(ask, reader, at_least)
    }

    fn read_here(
        &self,
        ask: &ReadAsk,
        reader: Reader,
        at_least: AtLeast,
    ) -> Result<Read, EngineError> {
        let here = self.here.load();
        let log = &here.log;
        let bound = bound(log, reader);
        let mut read = Read::nothing(log);
        match position(log, ask)? {
            Position::Diverges(end) => {
                read.diverging = Some(end);
                return Ok(read);
            }
            // The log says so, with its ends, or has moved on meanwhile.
            Position::Outside | Position::Continues => {}
        }
        if ask.offset == bound {
            return Ok(read);
        }
        let found = log.read(ask.offset, ask.max_bytes, bound, at_least);
        let found = found.map_err(|e| here.judge(e))?;
        read.log_start_offset = found.start_offset;
        read.slice = found.slice;
        if reader == Reader::Committed
            && let Some(slice) = &read.slice
        {
            let range = slice.first_offset..slice.bound;
            read.aborted = log.aborted(range).map_err(|e| here.judge(e))?;
        }
        Ok(read)
    }
}

/// Where a reader's position lies in this log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// What the reader has is what this log has up to there, as far as epochs tell.
    Continues,
    /// The reader's last record is of an epoch that ended elsewhere here.
    Diverges(EpochEnd),
    /// It lies outside of the log.
    Outside,
}

/// # Errors
/// That the reader's epoch is later than all that this log knows.
pub(super) fn position(log: &Log, ask: &ReadAsk) -> Result<Position, LogError> {
    let (offset, start, end) = (ask.offset, log.start_offset(), log.end_offset());
    // First of all: below the start, where logs part ways means nothing any more.
    if offset < start {
        return Ok(Position::Outside);
    }
    if ask.last_fetched_epoch >= 0 {
        let Some(found) = log.end_of_epoch(ask.last_fetched_epoch) else {
            return Err(LogError::OffsetOutOfRange { offset, start, end });
        };
        if found.epoch < ask.last_fetched_epoch || found.end < offset {
            return Ok(Position::Diverges(found));
        }
    }
    Ok(if offset > end { Position::Outside } else { Position::Continues })
}

fn bound(log: &Log, reader: Reader) -> i64 {
    match reader {
        Reader::Follower => log.end_offset(),
        Reader::Uncommitted => log.high_watermark(),
        Reader::Committed => log.last_stable_offset(),
    }
}
