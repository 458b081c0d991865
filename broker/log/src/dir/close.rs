//! Flushing and closing all logs of a directory.

use std::sync::Arc;

use super::{FLUSH_ALL_FROM, LogDir};
use crate::checkpoint::Durability;
use crate::checkpoint::identity::CleanShutdown;
use crate::error::{DiskError, Result};
use crate::log::Log;

impl LogDir {
    /// Flushes all logs which are not flushed. Where they are many, the file system is flushed
    /// as a whole, which takes one wait for the disk instead of many.
    pub fn flush_all(&self, now_ms: i64) -> Result<()> {
        let all: Vec<Arc<Log>> = self.logs.read().values().cloned().collect();
        let unflushed: Vec<(Arc<Log>, u64, i64)> = all
            .into_iter()
            .map(|log| (log.cuts(), log.end_offset(), log))
            .filter(|(_, end, log)| log.recovery_point() < *end)
            .map(|(cuts, end, log)| (log, cuts, end))
            .collect();
        if unflushed.len() < FLUSH_ALL_FROM {
            for (log, _, end) in unflushed {
                log.flush(end, now_ms)?;
            }
            return Ok(());
        }
        for (log, ..) in &unflushed {
            log.settle()?;
        }
        self.disk().sync_all(&self.path).map_err(DiskError::at("flush", &self.path))?;
        for (log, cuts, end) in unflushed {
            log.note_flushed(end, cuts, now_ms);
        }
        Ok(())
    }

    /// Flushes and closes all logs, writes the checkpoints, and leaves the marker of a clean
    /// shutdown behind.
    pub fn close(&self, broker_epoch: i64, now_ms: i64) -> Result<()> {
        self.flush_all(now_ms)?;
        let all: Vec<Arc<Log>> = self.logs.read().values().cloned().collect();
        let many = all.len() >= FLUSH_ALL_FROM;
        for log in all {
            let how = if many { Durability::PageCache } else { Durability::Flushed };
            log.close_with(now_ms, how)?;
        }
        if many {
            self.disk().sync_all(&self.path).map_err(DiskError::at("flush", &self.path))?;
        }
        self.write_recovery_points()?;
        self.write_high_watermarks()?;
        self.write_log_starts()?;
        CleanShutdown { broker_epoch }.write(self.disk(), &self.path)
    }

    /// Takes all logs out of service without flushing, because the disk failed.
    pub fn abandon(&self) {
        for log in std::mem::take(&mut *self.logs.write()).into_values() {
            log.abandon();
        }
    }
}
