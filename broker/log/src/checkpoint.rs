//! Small text files which say what is true of a log or a directory of logs.
//!
//! Each is written whole under a temporary name, which then takes the place of the old file, so
//! that a reader finds either the old or the new content.

use std::path::{Path, PathBuf};

use crate::disk::{Disk, Open};
use crate::error::{DiskError, LogError, Result};
use crate::names;

pub mod epochs;
pub mod identity;
pub mod offsets;

/// Longest checkpoint file that is read: 100 bytes for each of several million partitions.
const MAX_LEN: u64 = 512 << 20;

/// Whether a write is made to survive a power loss before the call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Flushed: file, then directory.
    Flushed,
    /// Survives the process, not the machine.
    PageCache,
}

/// Replaces the content of a file.
pub fn replace(disk: &dyn Disk, path: &Path, content: &[u8], how: Durability) -> Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(names::TMP);
    let temporary = PathBuf::from(temporary);
    let file =
        disk.open(&temporary, Open::Truncate).map_err(DiskError::at("create", &temporary))?;
    file.write_at(content, 0).map_err(DiskError::at("write", &temporary))?;
    if how == Durability::Flushed {
        file.sync_data().map_err(DiskError::at("flush", &temporary))?;
    }
    disk.rename(&temporary, path).map_err(DiskError::at("rename", &temporary))?;
    if how == Durability::Flushed
        && let Some(dir) = path.parent()
    {
        disk.sync_dir(dir).map_err(DiskError::at("flush", dir))?;
    }
    Ok(())
}

/// The content of a text file; `None` when there is no such file.
pub fn read_text(disk: &dyn Disk, path: &Path) -> Result<Option<String>> {
    match disk.read(path, MAX_LEN) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(corrupt(path, "not UTF-8")),
        },
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(DiskError::at("read", path)(e).into()),
    }
}

pub(crate) fn corrupt(path: &Path, what: impl Into<String>) -> LogError {
    LogError::Corrupt { path: path.to_path_buf(), what: what.into() }
}

/// Splits the common form of checkpoints: a line with version 0, a line with the number of
/// entries, then one entry a line. An empty file has no entries. Each line ends, so that the last
/// number of a file whose end was lost is not taken for another.
pub(crate) fn entries<'a>(text: &'a str, path: &Path) -> Result<Vec<&'a str>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    if !text.ends_with('\n') {
        return Err(corrupt(path, "the last line is cut short"));
    }
    let mut lines = text.lines();
    match lines.next().map(str::trim) {
        Some("0") => {}
        other => return Err(corrupt(path, format!("version {other:?} instead of 0"))),
    }
    let count: usize = match lines.next().and_then(|l| l.trim().parse().ok()) {
        Some(count) => count,
        None => return Err(corrupt(path, "no number of entries in the second line")),
    };
    let entries: Vec<&str> = lines.filter(|l| !l.trim().is_empty()).collect();
    if entries.len() != count {
        return Err(corrupt(path, format!("{} entries, {count} expected", entries.len())));
    }
    Ok(entries)
}
