//! What of a log that was not closed may be cut off.

use std::io;
use std::path::PathBuf;

use crate::batch::{Batch, HEADER, Parsed};
use crate::disk::DiskFile;
use crate::error::{LogError, Result};
use crate::names;
use crate::segment::Segment;

/// What of a log that was not closed may be cut off when it is no valid batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Anything: another replica has what is cut off.
    #[default]
    Replicas,
    /// What was never flushed: the end that an interrupted write leaves. Anything else is [`LogError::Damaged`]. Each
    /// batch has to begin where the one before it ends, in the same epoch or a newer one.
    Flushed {
        /// Everything below was flushed. `None` when that is unknown: then the end may be cut off, and nothing that a
        /// valid batch follows.
        up_to: Option<i64>,
        /// No batch has a newer epoch; `None` when that is unknown.
        newest_epoch: Option<i32>,
    },
}

impl Trust {
    /// Fails when the log was flushed beyond `end`, where no batch follows: `at` names file, position and what is there.
    pub(super) fn reached(
        self,
        end: i64,
        at: impl FnOnce() -> (PathBuf, u64, &'static str),
    ) -> Result<()> {
        match self {
            Self::Flushed { up_to: Some(up_to), .. } if end < up_to => {
                let (path, position, found) = at();
                let proof = format!("everything below offset {up_to} was flushed");
                Err(LogError::Damaged { path, position, offset: end, found, proof })
            }
            _ => Ok(()),
        }
    }

    /// Fails when what lies from `position` on may not be cut off, where the batch at offset `end` should begin.
    pub(super) fn may_cut(
        self,
        segment: &Segment,
        (position, end, found): (u64, i64, &'static str),
        follows: Follows,
    ) -> Result<()> {
        self.reached(end, || (segment.path(names::LOG), position, found))?;
        if !matches!(self, Self::Flushed { up_to: None, .. }) {
            return Ok(());
        }
        let file = segment.log_file()?;
        let next = match follows {
            Follows::Segment => Some(segment.size()),
            Follows::Nothing => next_whole(&*file, position + 1, segment.size(), end)
                .map_err(segment.failed("read", names::LOG))?,
        };
        let Some(next) = next else { return Ok(()) };
        let proof = format!("there are valid batches behind it, from byte {next} on");
        let path = segment.path(names::LOG);
        Err(LogError::Damaged { path, position, offset: end, found, proof })
    }

    /// Why a whole batch cannot stand where it does, behind one that ends at `end` and has `epoch`.
    pub(super) fn misplaced(self, batch: &Batch, end: i64, epoch: i32) -> Option<&'static str> {
        if batch.base_offset < end {
            return Some("offset out of order");
        }
        let Self::Flushed { newest_epoch, .. } = self else { return None };
        if batch.base_offset > end {
            return Some("a batch of a later offset");
        }
        if batch.leader_epoch < epoch {
            return Some("a batch of an earlier epoch than the one before it");
        }
        let newer = newest_epoch.is_some_and(|newest| batch.leader_epoch > newest);
        newer.then_some("a batch of an epoch that never was")
    }
}

/// What lies behind a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    /// Another one with something in it.
    Segment,
    Nothing,
}

/// Most bytes behind an invalid batch in which a valid one is looked for.
const SEARCHED: u64 = 64 << 20;

/// Where the first whole batch begins that holds `offset` or later ones.
fn next_whole(file: &dyn DiskFile, from: u64, size: u64, offset: i64) -> io::Result<Option<u64>> {
    let len = size.saturating_sub(from).min(SEARCHED);
    let mut bytes = vec![0; usize::try_from(len).unwrap_or_default()];
    let n = file.read_at(&mut bytes, from)?;
    bytes.truncate(n);
    for at in 0..bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let Parsed::Batch(batch) = Batch::parse(rest.get(..HEADER).unwrap_or(rest)) else {
            continue;
        };
        let whole = rest.get(..batch.size as usize);
        if batch.base_offset >= offset && whole.is_some_and(|bytes| batch.checksum_fits(bytes)) {
            return Ok(Some(from + at as u64));
        }
    }
    Ok(None)
}
