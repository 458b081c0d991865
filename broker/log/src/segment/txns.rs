//! A segment's list of aborted transactions.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::cache::Slot;
use crate::disk::Open;
use crate::error::{DiskError, LogError, Result};
use crate::index::file::Opener;
use crate::index::txn::{AbortedTxn, ENTRY};

/// The file, of which only the number of entries is kept in memory.
#[derive(Debug)]
pub(crate) struct TxnFile {
    pub(crate) slot: Slot,
    count: Mutex<Option<u32>>,
    /// Whether something was written since the last flush.
    unflushed: AtomicBool,
}

fn failed(op: &'static str) -> impl FnOnce(std::io::Error) -> LogError {
    move |e| DiskError::at(op, std::path::Path::new("transaction index"))(e).into()
}

impl TxnFile {
    pub(crate) fn empty() -> Self {
        Self {
            slot: Slot::default(),
            count: Mutex::new(Some(0)),
            unflushed: AtomicBool::new(false),
        }
    }

    pub(crate) fn on_disk() -> Self {
        Self { slot: Slot::default(), count: Mutex::new(None), unflushed: AtomicBool::new(true) }
    }

    fn load(&self, count: &mut Option<u32>, open: &impl Opener) -> Result<u32> {
        if let Some(count) = *count {
            return Ok(count);
        }
        let len = match open(Open::Write)? {
            Some(file) => file.len().map_err(failed("measure"))?,
            None => 0,
        };
        let known = (len / ENTRY as u64) as u32;
        *count = Some(known);
        Ok(known)
    }

    pub(crate) fn list(&self, open: &impl Opener) -> Result<Vec<AbortedTxn>> {
        let n = self.load(&mut self.count.lock(), open)?;
        if n == 0 {
            return Ok(Vec::new());
        }
        let Some(file) = open(Open::Write)? else { return Ok(Vec::new()) };
        let mut bytes = vec![0; n as usize * ENTRY];
        let read = file.read_at(&mut bytes, 0).map_err(failed("read"))?;
        let (entries, _) = bytes[..read].as_chunks::<ENTRY>();
        Ok(entries.iter().filter_map(AbortedTxn::decode).collect())
    }

    pub(crate) fn push(&self, txn: &AbortedTxn, open: &impl Opener) -> Result<()> {
        let mut count = self.count.lock();
        let n = self.load(&mut count, open)?;
        if let Some(file) = open(Open::Create)? {
            self.unflushed.store(true, Ordering::Release);
            file.write_at(&txn.encode(), u64::from(n) * ENTRY as u64).map_err(failed("write"))?;
        }
        *count = Some(n + 1);
        Ok(())
    }

    /// Flushes what was written. Unlike the other indexes it is not made again from a log that was flushed.
    pub(crate) fn flush(&self, open: &impl Opener) -> Result<()> {
        if !self.unflushed.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let flushed = match open(Open::Write) {
            Ok(Some(file)) => file.sync_data().map_err(failed("flush")),
            Ok(None) => Ok(()),
            Err(e) => Err(e),
        };
        if flushed.is_err() {
            self.unflushed.store(true, Ordering::Release);
        }
        flushed
    }

    /// Keeps those whose marker lies below `offset`.
    pub(crate) fn truncate(&self, offset: i64, open: &impl Opener) -> Result<()> {
        let kept = self.list(open)?.iter().filter(|t| t.last_offset < offset).count() as u32;
        let mut count = self.count.lock();
        if *count != Some(kept) {
            if let Some(file) = open(Open::Write)? {
                self.unflushed.store(true, Ordering::Release);
                file.truncate(u64::from(kept) * ENTRY as u64).map_err(failed("truncate"))?;
            }
            *count = Some(kept);
        }
        Ok(())
    }
}
