//! A log in memory.

use ottla_replica::{Cut, EpochEnd, LocalLog};

/// A record: the leader epoch it was written in, and its value.
pub(crate) type Record = (i32, u32);

#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    /// The offset of the first record that is kept; those below `start` are deleted all the same.
    pub(crate) base: i64,
    pub(crate) records: Vec<Record>,
    pub(crate) epochs: Vec<(i32, i64)>,
    pub(crate) start: i64,
    pub(crate) high_watermark: i64,
    /// Everything below survives a power loss.
    pub(crate) flushed: i64,
}

impl Log {
    pub(crate) fn end(&self) -> i64 {
        self.base + self.records.len() as i64
    }

    pub(crate) fn get(&self, offset: i64) -> Option<Record> {
        let at = usize::try_from(offset - self.base).ok()?;
        self.records.get(at).copied()
    }

    pub(crate) fn begin_epoch(&mut self, epoch: i32) {
        let end = self.end();
        if self.epochs.last().is_none_or(|(last, _)| *last < epoch) {
            self.epochs.retain(|(_, start)| *start < end);
            self.epochs.push((epoch, end));
        }
    }

    pub(crate) fn append(&mut self, record: Record) {
        self.begin_epoch(record.0);
        self.records.push(record);
    }

    pub(crate) fn cut(&mut self, cut: Cut) {
        match cut {
            Cut::To(offset) if offset >= self.base => {
                self.records.truncate(usize::try_from(offset - self.base).unwrap());
                self.epochs.retain(|(_, start)| *start < offset);
                self.start = self.start.min(self.end());
            }
            Cut::To(offset) | Cut::Anew(offset) => {
                let high_watermark = offset;
                let (base, start, flushed) = (offset, offset, offset);
                *self = Self { base, start, flushed, high_watermark, ..Self::default() };
            }
        }
        self.high_watermark = self.high_watermark.min(self.end());
        self.flushed = self.flushed.min(self.end());
    }

    pub(crate) fn set_high_watermark(&mut self, to: i64) {
        self.high_watermark = self.high_watermark.max(to.min(self.end()));
    }

    pub(crate) fn set_start(&mut self, to: i64) {
        self.start = self.start.max(to.min(self.high_watermark));
        let start = self.start;
        if let Some(at) = self.epochs.iter().rposition(|(_, begins)| *begins <= start) {
            self.epochs.drain(..at);
            self.epochs[0].1 = start;
        }
    }
}

impl LocalLog for Log {
    fn start_offset(&self) -> i64 {
        self.start
    }

    fn end_offset(&self) -> i64 {
        self.end()
    }

    fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    fn latest_epoch(&self) -> Option<i32> {
        self.epochs.last().map(|(epoch, _)| *epoch)
    }

    fn end_of_epoch(&self, epoch: i32) -> Option<EpochEnd> {
        let latest = self.latest_epoch()?;
        if epoch == latest {
            return Some(EpochEnd { epoch, end: self.end() });
        }
        let higher = self.epochs.iter().position(|(e, _)| *e > epoch)?;
        let floor = higher.checked_sub(1).map_or(epoch, |at| self.epochs[at].0);
        Some(EpochEnd { epoch: floor, end: self.epochs[higher].1 })
    }
}
