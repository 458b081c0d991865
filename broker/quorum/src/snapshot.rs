//! Snapshots of the metadata, `<end offset>-<epoch>.checkpoint`, in Kafka's format: a control batch with header, level
//! of kraft.version and voters, then batches of metadata records, then a control batch with the footer.
//!
//! A snapshot is written beside its name and renamed when it is durable, so that a file with a snapshot's name is whole.

use std::fmt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use ottla_log::disk::{Disk, Kind, Open};
use ottla_wire::record::Batches;
use ottla_wire::record::CrcCheck;
use ottla_wire::schema::metadata::MetadataRecord;
use ottla_wire::schema::raft::{SnapshotFooterRecord, SnapshotHeaderRecord};

use crate::batch::{self, Builder, VersionedRecord};
use crate::control::{Control, VotersRecord};
use crate::error::QuorumError;

/// Bytes after which a batch of a snapshot is closed.
const BATCH_BYTES: usize = 256 << 10;

/// The largest snapshot that is read: far more than a million partitions take.
pub(crate) const MAX_BYTES: u64 = 2 << 30;

const SUFFIX: &str = ".checkpoint";
const PART: &str = ".part";

/// The name of a snapshot: it holds everything below an offset, the last of it written in an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotId {
    /// The first offset the snapshot does not contain.
    pub end_offset: i64,
    /// The epoch of the last record it contains.
    pub epoch: i32,
}

impl SnapshotId {
    /// The name of the file.
    #[must_use]
    pub fn file_name(self) -> String {
        format!("{:020}-{:010}{SUFFIX}", self.end_offset, self.epoch)
    }

    /// The snapshot of a file's name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (offset, epoch) = name.strip_suffix(SUFFIX)?.split_once('-')?;
        let digits = |text: &str, n| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(offset, 20) || !digits(epoch, 10) {
            return None;
        }
        Some(Self { end_offset: offset.parse().ok()?, epoch: epoch.parse().ok()? })
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.end_offset, self.epoch)
    }
}

/// The snapshots of a directory, oldest first.
pub fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<SnapshotId>, QuorumError> {
    let entries = disk.list(dir).map_err(|e| QuorumError::io("list", dir, e))?;
    let files = entries.iter().filter(|e| e.kind == Kind::File);
    let mut ids: Vec<_> = files.filter_map(|e| SnapshotId::parse(&e.name)).collect();
    ids.sort_unstable();
    Ok(ids)
}

/// Removes what writing a snapshot left when it was interrupted.
pub(crate) fn remove_parts(disk: &dyn Disk, dir: &Path) -> Result<(), QuorumError> {
    let entries = disk.list(dir).map_err(|e| QuorumError::io("list", dir, e))?;
    for entry in entries {
        let part = entry.name.strip_suffix(PART).is_some_and(|n| n.ends_with(SUFFIX));
        if part && entry.kind == Kind::File {
            let path = dir.join(&entry.name);
            disk.remove_file(&path).map_err(|e| QuorumError::io("remove", &path, e))?;
        }
    }
    Ok(())
}

/// What stands in a snapshot besides metadata records.
#[derive(Clone, Debug)]
pub(crate) struct Head<'a> {
    /// When the last record it contains was written, in milliseconds since 1970.
    pub(crate) last_contained_ms: i64,
    /// The epoch all its batches carry.
    pub(crate) epoch: i32,
    /// KRAFT_VERSION and KRAFT_VOTERS, or nothing.
    pub(crate) controls: &'a [Control],
}

/// Writes a snapshot under its name; durable when this returns.
pub(crate) fn write(
    disk: &dyn Disk,
    path: &Path,
    head: &Head<'_>,
    records: impl Iterator<Item = VersionedRecord>,
    now_ms: i64,
) -> Result<(), QuorumError> {
    let mut part = path.as_os_str().to_owned();
    part.push(PART);
    let part = PathBuf::from(part);
    let written = write_part(disk, &part, path, head, records, now_ms);
    if written.is_err() {
        // What it took of a full disk is wanted back; a part that stays is removed at the next start.
        let _ = disk.remove_file(&part);
    }
    written
}

fn write_part(
    disk: &dyn Disk,
    part: &Path,
    path: &Path,
    head: &Head<'_>,
    records: impl Iterator<Item = VersionedRecord>,
    now_ms: i64,
) -> Result<(), QuorumError> {
    let failed = |what, path: &Path| {
        let path = path.to_owned();
        move |e| QuorumError::io(what, &path, e)
    };
    let file = disk.open(part, Open::Truncate).map_err(failed("create", part))?;
    let mut out = Out { offset: 0, position: 0, epoch: head.epoch };
    let mut put = |batch: Builder| -> Result<(), QuorumError> {
        let (bytes, at) = out.place(batch)?;
        file.write_at(&bytes, at).map_err(|e| QuorumError::io("write", part, e))
    };
    let header =
        SnapshotHeaderRecord { version: 0, last_contained_log_timestamp: head.last_contained_ms };
    let first = [Control::SnapshotHeader(header)];
    put(control_batch(first.iter().chain(head.controls), now_ms)?)?;
    let mut builder = Builder::new(now_ms);
    for (record, version) in records {
        let value = record.encode(version).map_err(|e| QuorumError::Encode(e.to_string()))?;
        builder.push(None, &value);
        if builder.len() >= BATCH_BYTES {
            put(std::mem::replace(&mut builder, Builder::new(now_ms)))?;
        }
    }
    if builder.count() > 0 {
        put(builder)?;
    }
    let footer = Control::SnapshotFooter(SnapshotFooterRecord { version: 0 });
    put(control_batch([footer].iter(), now_ms)?)?;
    file.sync_data().map_err(failed("flush", part))?;
    disk.rename(part, path).map_err(failed("rename", part))?;
    match path.parent() {
        Some(dir) => disk.sync_dir(dir).map_err(failed("flush", dir)),
        None => Ok(()),
    }
}

fn control_batch<'a>(
    controls: impl Iterator<Item = &'a Control>,
    now_ms: i64,
) -> Result<Builder, QuorumError> {
    let mut builder = Builder::control(now_ms);
    for control in controls {
        control.push(&mut builder).map_err(|e| QuorumError::Encode(e.to_string()))?;
    }
    Ok(builder)
}

/// Where the next batch of a snapshot goes. Its offsets count the snapshot's own records.
struct Out {
    offset: i64,
    position: u64,
    epoch: i32,
}

impl Out {
    fn place(&mut self, batch: Builder) -> Result<(Bytes, u64), QuorumError> {
        let count = batch.count() as i64;
        let bytes =
            batch::stamp(&batch.finish(), self.offset, self.epoch).map_err(QuorumError::Encode)?;
        let at = self.position;
        self.offset += count;
        self.position += bytes.len() as u64;
        Ok((bytes, at))
    }
}

/// What a snapshot holds.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The epoch its batches carry.
    pub epoch: i32,
    /// When the last record it contains was written, in milliseconds since 1970.
    pub last_contained_ms: i64,
    /// The level of `kraft.version`, if it says.
    pub kraft_version: Option<i16>,
    pub(crate) voters: Option<VotersRecord>,
    /// The metadata records.
    pub records: Vec<MetadataRecord>,
}

/// Reads a whole snapshot. One that ends without its footer, or has a wrong checksum, is refused.
pub fn read(disk: &dyn Disk, path: &Path) -> Result<Snapshot, QuorumError> {
    let bytes = disk.read(path, MAX_BYTES).map_err(|e| QuorumError::io("read", path, e))?;
    parse(Bytes::from(bytes)).map_err(|why| QuorumError::Corrupt { path: path.to_owned(), why })
}

/// Reads a snapshot from its bytes.
pub(crate) fn parse(bytes: Bytes) -> Result<Snapshot, String> {
    let mut snapshot = Snapshot::default();
    let mut progress = Progress::Start;
    for batch in Batches::new(bytes, CrcCheck::Verify) {
        let batch = batch.map_err(|e| e.to_string())?;
        if progress == Progress::Done {
            return Err("there is more after the footer".into());
        }
        snapshot.epoch = batch.header.partition_leader_epoch;
        if batch.header.is_control() {
            let (_, raw) = batch::records(&batch.bytes)?;
            for record in &raw {
                let Some(control) = Control::decode(record)? else { continue };
                progress = snapshot.take(control, progress)?;
            }
        } else if progress == Progress::Start {
            return Err("it does not begin with a header".into());
        } else {
            snapshot.records.append(&mut batch::decode(&batch.bytes)?);
        }
    }
    match progress {
        Progress::Done => Ok(snapshot),
        Progress::Start => Err("it is empty".into()),
        Progress::Open => Err("it ends without its footer".into()),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Start,
    Open,
    Done,
}

impl Snapshot {
    fn take(&mut self, control: Control, progress: Progress) -> Result<Progress, String> {
        match (progress, control) {
            (Progress::Start, Control::SnapshotHeader(header)) => {
                self.last_contained_ms = header.last_contained_log_timestamp;
            }
            (Progress::Start, _) => return Err("it does not begin with a header".into()),
            (_, Control::SnapshotFooter(_)) => return Ok(Progress::Done),
            (_, Control::KraftVersion(record)) => self.kraft_version = Some(record.kraft_version),
            (_, Control::Voters(record)) => self.voters = Some(*record),
            (_, Control::SnapshotHeader(_) | Control::LeaderChange(_)) => {}
        }
        Ok(Progress::Open)
    }

    /// Which snapshot it is, if it says so itself: those that Kafka wrote do not.
    #[must_use]
    pub fn id(&self) -> Option<SnapshotId> {
        let end_offset = self.voters.as_ref()?.end_offset;
        (end_offset > 0).then_some(SnapshotId { end_offset, epoch: self.epoch })
    }

    /// The voters, if the snapshot names any.
    #[must_use]
    pub fn voters(&self) -> Vec<crate::voter::Voter> {
        self.voters.as_ref().map(VotersRecord::voter_list).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kafkas() {
        let id = SnapshotId { end_offset: 175, epoch: 1 };
        assert_eq!(id.file_name(), "00000000000000000175-0000000001.checkpoint");
        assert_eq!(SnapshotId::parse(&id.file_name()), Some(id));
        for name in ["bootstrap.checkpoint", "175-1.checkpoint", "00000000000000000000.log"] {
            assert_eq!(SnapshotId::parse(name), None, "{name}");
        }
    }
}
