//! Taking cleaned segments into the log in place of the old ones.

use std::sync::Arc;

use super::{Log, Segments};
use crate::error::Result;
use crate::segment::{FileState, Segment};

impl Log {
    /// Puts `new`, whose files are complete and flushed, in the place of `old`, which are
    /// neighbours and had `old_bytes` when `new` was written. Returns `false`, having done nothing, when the log was changed meanwhile so
    /// that `new` does not fit any more.
    ///
    /// A crash at any point leaves either the old segments or the new one: once the new one's
    /// batches have their `.swap` name, opening the log finishes the replacement.
    pub(crate) fn replace(
        &self,
        old: &[Arc<Segment>],
        old_bytes: u64,
        new: &Arc<Segment>,
        now_ms: i64,
    ) -> Result<bool> {
        let mut writer = self.writer.lock();
        writer.check_open()?;
        let list = self.segments.load_full();
        let Some(first) = old.first() else { return Ok(false) };
        let at = list.iter().position(|s| Arc::ptr_eq(s, first));
        let Some(at) = at else { return Ok(false) };
        let neighbours = list.get(at..at + old.len()).unwrap_or_default();
        let same = neighbours.len() == old.len()
            && neighbours.iter().zip(old).all(|(a, b)| Arc::ptr_eq(a, b))
            && neighbours.iter().map(|s| s.size()).sum::<u64>() == old_bytes
            && at + old.len() < list.len();
        if !same {
            return Ok(false);
        }
        new.rename(FileState::Swap)?;
        if let Err(e) = self.sync_dir() {
            new.remove()?;
            return Err(e);
        }
        let mut replaced: Segments = list.iter().take(at).cloned().collect();
        replaced.push(Arc::clone(new));
        replaced.extend(list.iter().skip(at + old.len()).cloned());
        self.segments.store(Arc::new(replaced));
        self.bury(old, now_ms)?;
        new.rename(FileState::Live)?;
        // Snapshots stand for the beginnings of segments.
        let merged = |o: i64| o != new.base_offset && old.iter().any(|s| s.base_offset == o);
        self.remove_snapshots(&mut writer, merged)?;
        Ok(true)
    }
}
