//! Reading records.

use ottla_log::Log;
use ottla_log::checkpoint::epochs::EpochEnd;
use ottla_log::index::txn::AbortedTxn;
use ottla_log::log::{AtLeast, FetchSlice};
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
        let here = self.here.load();
        let log = &here.log;
        let bound = bound(log, reader);
        let mut read = Read {
            high_watermark: log.high_watermark(),
            last_stable_offset: log.last_stable_offset(),
            log_start_offset: log.start_offset(),
            slice: None,
            aborted: Vec::new(),
            diverging: None,
        };
        if ask.last_fetched_epoch >= 0 {
            read.diverging = diverging(log, ask);
            if read.diverging.is_some() {
                return Ok(read);
            }
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

fn bound(log: &Log, reader: Reader) -> i64 {
    match reader {
        Reader::Follower => log.end_offset(),
        Reader::Uncommitted => log.high_watermark(),
        Reader::Committed => log.last_stable_offset(),
    }
}

/// Whether the reader's last record is of an epoch that ended elsewhere here.
fn diverging(log: &Log, ask: &ReadAsk) -> Option<EpochEnd> {
    let end = log.end_of_epoch(ask.last_fetched_epoch)?;
    let diverges = end.epoch < ask.last_fetched_epoch || end.end < ask.offset;
    diverges.then_some(end)
}
