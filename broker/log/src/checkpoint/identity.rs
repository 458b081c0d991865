//! Who a directory belongs to: `partition.metadata` of a partition; and `.kafka_cleanshutdown` of a log directory.
//!
//! Ids are kept as the text that stands in the files: 22 characters of URL-safe base64 for a
//! UUID.

use std::path::Path;

use super::{Durability, corrupt, read_text, replace};
use crate::disk::Disk;
use crate::error::{DiskError, Result};
use crate::names;

/// Reads the topic id from a partition's directory; `None` when there is no such file.
pub fn read_topic_id(disk: &dyn Disk, dir: &Path) -> Result<Option<String>> {
    let path = dir.join(names::PARTITION_METADATA);
    let Some(text) = read_text(disk, &path)? else { return Ok(None) };
    let mut id = None;
    for line in text.lines() {
        match line.split_once(':').map(|(k, v)| (k.trim(), v.trim())) {
            Some(("version", "0")) => {}
            Some(("version", v)) => return Err(corrupt(&path, format!("version {v}"))),
            Some(("topic_id", v)) => id = Some(v.to_owned()),
            _ if line.trim().is_empty() => {}
            _ => return Err(corrupt(&path, format!("line {line:?}"))),
        }
    }
    id.map(Some).ok_or_else(|| corrupt(&path, "no topic_id"))
}

/// Writes the topic id of a new partition.
///
/// Not flushed before the log is: until then the cluster's metadata creates the partition again.
pub fn write_topic_id(disk: &dyn Disk, dir: &Path, id: &str) -> Result<()> {
    let path = dir.join(names::PARTITION_METADATA);
    let text = format!("version: 0\ntopic_id: {id}");
    let file =
        disk.open(&path, crate::disk::Open::Truncate).map_err(DiskError::at("create", &path))?;
    Ok(file.write_at(text.as_bytes(), 0).map_err(DiskError::at("write", &path))?)
}

/// Makes the topic id survive a power loss, if there is one.
pub(crate) fn flush_topic_id(disk: &dyn Disk, dir: &Path) -> Result<()> {
    let path = dir.join(names::PARTITION_METADATA);
    match disk.open(&path, crate::disk::Open::Write) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(DiskError::at("open", &path)(e).into()),
        Ok(file) => Ok(file.sync_data().map_err(DiskError::at("flush", &path))?),
    }
}

/// What `.kafka_cleanshutdown` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanShutdown {
    /// The broker's epoch when it stopped, -1 when the file does not say.
    pub broker_epoch: i64,
}

impl CleanShutdown {
    /// Reads the marker from a log directory; `None` when it is not there.
    pub fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Self>> {
        let Some(text) = read_text(disk, &dir.join(names::CLEAN_SHUTDOWN))? else {
            return Ok(None);
        };
        let digits = text.split_once("\"brokerEpoch\"").map(|(_, rest)| {
            rest.trim_start_matches([' ', ':'])
                .chars()
                .take_while(|c| c.is_ascii_digit() || *c == '-')
        });
        let epoch = digits.and_then(|d| d.collect::<String>().parse().ok());
        Ok(Some(Self { broker_epoch: epoch.unwrap_or(-1) }))
    }

    /// Leaves the marker behind, flushed.
    pub fn write(self, disk: &dyn Disk, dir: &Path) -> Result<()> {
        let text = format!("{{\"version\":0,\"brokerEpoch\":{}}}", self.broker_epoch);
        replace(disk, &dir.join(names::CLEAN_SHUTDOWN), text.as_bytes(), Durability::Flushed)
    }

    /// Removes the marker, flushed, as must happen before the first write: it must not come back
    /// with the power.
    pub fn remove(disk: &dyn Disk, dir: &Path) -> Result<()> {
        let path = dir.join(names::CLEAN_SHUTDOWN);
        match disk.remove_file(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => {
                other.map_err(DiskError::at("remove", &path))?;
                Ok(disk.sync_dir(dir).map_err(DiskError::at("flush", dir))?)
            }
        }
    }
}
