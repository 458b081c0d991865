//! A log directory: an entry of `log.dirs` with its partitions, checkpoints and identity.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::cache::FileCache;
use crate::checkpoint::identity::{self, CleanShutdown};
use crate::checkpoint::offsets::{self, Offsets, TopicPartition};
use crate::disk::{Disk, Kind, Space};
use crate::error::{DiskError, LogError, Result};
use crate::graveyard::{Graveyard, Remains};
use crate::log::{LoadReport, Log, Shared, Shutdown, Start, Trust};
use crate::names::{self, DirKind};
use crate::settings::LogSettings;

mod close;
mod recover;
#[cfg(test)]
mod tests;

pub use recover::{DirReport, Wanted, recover_all};

/// From how many unflushed logs on the whole file system is flushed at once.
const FLUSH_ALL_FROM: usize = 32;

/// A partition's directory found on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The directory's name.
    pub dir_name: String,
    /// Topic and partition.
    pub name: TopicPartition,
    /// What the directory is.
    pub kind: DirKind,
}

/// The checkpoints as read when the directory was opened.
#[derive(Clone, Debug, Default)]
struct Checkpoints {
    recovery_points: Offsets,
    high_watermarks: Offsets,
    log_starts: Offsets,
}

type Logs = BTreeMap<(TopicPartition, DirKind), Arc<Log>>;

/// One entry of `log.dirs`, locked against other processes for as long as this exists.
pub struct LogDir {
    path: PathBuf,
    shared: Shared,
    shutdown: Shutdown,
    previous_broker_epoch: Option<i64>,
    found: Checkpoints,
    logs: RwLock<Logs>,
    /// Compaction goes on from here.
    cleaner_points: Mutex<Offsets>,
    /// Held while a checkpoint of all logs is made and written.
    checkpoints: Mutex<()>,
    _lock: Box<dyn Send + Sync>,
}

impl std::fmt::Debug for LogDir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogDir").field("path", &self.path).finish_non_exhaustive()
    }
}

impl LogDir {
    /// Opens a log directory, creating it when it is absent: takes its lock, reads its
    /// checkpoints, and takes the marker of a clean shutdown away. No log is opened.
    pub fn open(path: &Path, cache: &Arc<FileCache>) -> Result<Self> {
        let disk = &**cache.disk();
        disk.create_dir_all(path).map_err(DiskError::at("create", path))?;
        let lock_path = path.join(names::LOCK);
        let lock = disk.lock(&lock_path).map_err(DiskError::at("lock", &lock_path))?;
        let Some(lock) = lock else { return Err(LogError::Locked { path: lock_path }) };
        let marker = CleanShutdown::read(disk, path)?;
        CleanShutdown::remove(disk, path)?;
        let read = |name| lenient(offsets::read(disk, &path.join(name)));
        let found = Checkpoints {
            recovery_points: read(names::RECOVERY_POINTS)?,
            high_watermarks: read(names::HIGH_WATERMARKS)?,
            log_starts: read(names::LOG_STARTS)?,
        };
        let cleaner_points = read(names::CLEANER_POINTS)?;
        let graveyard = Arc::new(Graveyard::default());
        Ok(Self {
            path: path.to_path_buf(),
            shared: Shared { cache: Arc::clone(cache), graveyard },
            shutdown: if marker.is_some() { Shutdown::Clean } else { Shutdown::Unclean },
            previous_broker_epoch: marker.map(|m| m.broker_epoch).filter(|e| *e >= 0),
            found,
            logs: RwLock::default(),
            cleaner_points: Mutex::new(cleaner_points),
            checkpoints: Mutex::default(),
            _lock: lock,
        })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the directory was left when it was open last.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown
    }

    /// The broker's epoch at the last clean shutdown.
    #[must_use]
    pub fn previous_broker_epoch(&self) -> Option<i64> {
        self.previous_broker_epoch
    }

    fn disk(&self) -> &dyn Disk {
        &**self.shared.cache.disk()
    }

    /// Files to be removed later: segments and deleted logs of this directory.
    #[must_use]
    pub fn graveyard(&self) -> &Arc<Graveyard> {
        &self.shared.graveyard
    }

    /// Size and free space of the file system.
    pub fn space(&self) -> Result<Space> {
        Ok(self.disk().space(&self.path).map_err(DiskError::at("measure", &self.path))?)
    }

    /// The partitions' directories on disk, in the order of their names.
    pub fn list(&self) -> Result<Vec<Found>> {
        let entries = self.disk().list(&self.path).map_err(DiskError::at("list", &self.path))?;
        let mut found: Vec<Found> = entries
            .into_iter()
            .filter(|entry| entry.kind == Kind::Dir)
            .filter_map(|entry| {
                let (topic, partition, kind) = names::parse_dir_name(&entry.name)?;
                let name = TopicPartition::new(topic, partition);
                Some(Found { name, kind, dir_name: entry.name })
            })
            .collect();
        found.sort_by(|a, b| a.dir_name.cmp(&b.dir_name));
        Ok(found)
    }

    /// The topic id in a partition's directory.
    pub fn topic_id(&self, found: &Found) -> Result<Option<String>> {
        identity::read_topic_id(self.disk(), &self.path.join(&found.dir_name))
    }

    /// The logs that are open, by name.
    #[must_use]
    pub fn logs(&self) -> Vec<Arc<Log>> {
        let logs = self.logs.read();
        logs.iter().filter(|((_, k), _)| *k == DirKind::Current).map(|(_, l)| l.clone()).collect()
    }

    /// A log that is open.
    #[must_use]
    pub fn get(&self, name: &TopicPartition, kind: DirKind) -> Option<Arc<Log>> {
        self.logs.read().get(&(name.clone(), kind)).cloned()
    }

    /// Opens the log of a directory found by [`list`](Self::list).
    pub fn open_log(
        &self,
        found: &Found,
        settings: Arc<LogSettings>,
        now_ms: i64,
        scratch: &mut Vec<u8>,
    ) -> Result<(Arc<Log>, LoadReport)> {
        let offset = |of: &Offsets| of.get(&found.name).copied().unwrap_or(0);
        let start = Start {
            shutdown: self.shutdown,
            recovery_point: self.found.recovery_points.get(&found.name).copied(),
            log_start: offset(&self.found.log_starts),
            high_watermark: offset(&self.found.high_watermarks),
            cleaner_point: self.cleaner_point(&found.name),
            now_ms,
            trust: Trust::Replicas,
        };
        let dir = self.path.join(&found.dir_name);
        let name = found.name.clone();
        let (log, report) = Log::open(&self.shared, dir, name, settings, &start, scratch)?;
        let log = Arc::new(log);
        self.logs.write().insert((found.name.clone(), found.kind), Arc::clone(&log));
        Ok((log, report))
    }

    /// Creates a log. `kind` is [`DirKind::Current`], or [`DirKind::Future`] for one that is
    /// being copied here, which `unique` tells from others then.
    pub fn create_log(
        &self,
        name: &TopicPartition,
        kind: DirKind,
        unique: u128,
        topic_id: Option<&str>,
        settings: Arc<LogSettings>,
        now_ms: i64,
    ) -> Result<Arc<Log>> {
        let dir = self.path.join(names::dir_name(&name.topic, name.partition, kind, unique));
        let log = Log::create(&self.shared, dir, name.clone(), topic_id, settings, now_ms)?;
        let log = Arc::new(log);
        self.logs.write().insert((name.clone(), kind), Arc::clone(&log));
        Ok(log)
    }

    /// Begins a log whose directory is made later: see [`Log::begin`].
    pub fn begin_log(
        &self,
        name: &TopicPartition,
        topic_id: Option<&str>,
        settings: Arc<LogSettings>,
        now_ms: i64,
    ) -> Result<Arc<Log>> {
        let dir = names::dir_name(&name.topic, name.partition, DirKind::Current, 0);
        let dir = self.path.join(dir);
        let log = Log::begin(&self.shared, dir, name.clone(), topic_id, settings, now_ms)?;
        let log = Arc::new(log);
        self.logs.write().insert((name.clone(), DirKind::Current), Arc::clone(&log));
        Ok(log)
    }

    /// Takes a log out of service and renames its directory, which is removed after
    /// `file.delete.delay.ms`. `unique` tells it from earlier ones of that name. Does nothing
    /// when there is no such log.
    pub fn delete_log(
        &self,
        name: &TopicPartition,
        kind: DirKind,
        unique: u128,
        now_ms: i64,
    ) -> Result<()> {
        let Some(log) = self.retire(name, kind, DirKind::Deleted, unique)? else { return Ok(()) };
        if kind == DirKind::Current {
            self.cleaner_points.lock().remove(name);
        }
        let due = now_ms.saturating_add(log.settings().file_delete_delay_ms);
        self.shared.graveyard.bury(due, OldLog(log));
        Ok(())
    }

    /// Takes a log out of service whose partition is not this broker's; its directory is kept
    /// under another name.
    pub fn set_stray(&self, name: &TopicPartition, kind: DirKind, unique: u128) -> Result<()> {
        self.retire(name, kind, DirKind::Stray, unique).map(|_| ())
    }

    fn retire(
        &self,
        name: &TopicPartition,
        from: DirKind,
        to: DirKind,
        unique: u128,
    ) -> Result<Option<Arc<Log>>> {
        let Some(log) = self.logs.write().remove(&(name.clone(), from)) else { return Ok(None) };
        log.abandon();
        let dir = names::dir_name(&name.topic, name.partition, to, unique);
        log.rename_dir(&self.path.join(dir))?;
        Ok(Some(log))
    }

    /// Makes a copied log the current one of this directory. When this returns, the new name
    /// survives a power loss.
    pub fn promote_future(&self, name: &TopicPartition) -> Result<Option<Arc<Log>>> {
        let mut logs = self.logs.write();
        let key = (name.clone(), DirKind::Future);
        let Some(log) = logs.get(&key).cloned() else { return Ok(None) };
        log.make_dir()?;
        let dir = names::dir_name(&name.topic, name.partition, DirKind::Current, 0);
        log.rename_dir(&self.path.join(dir))?;
        logs.remove(&key);
        logs.insert((name.clone(), DirKind::Current), Arc::clone(&log));
        self.disk().sync_dir(&self.path).map_err(DiskError::at("flush", &self.path))?;
        Ok(Some(log))
    }

    /// Compaction of a log goes on from here.
    #[must_use]
    pub fn cleaner_point(&self, name: &TopicPartition) -> Option<i64> {
        self.cleaner_points.lock().get(name).copied()
    }

    /// Notes up to where a log is compacted, and writes the checkpoint. Does nothing when the log
    /// is not one of this directory any more: another of its name may be there by now.
    pub fn set_cleaner_point(&self, log: &Log, offset: i64) -> Result<()> {
        let mut points = self.cleaner_points.lock();
        let kinds = [DirKind::Current, DirKind::Future];
        let is_here = |kind| self.get(log.name(), kind).is_some_and(|l| std::ptr::eq(&*l, log));
        if !kinds.into_iter().any(is_here) {
            return Ok(());
        }
        points.insert(log.name().clone(), offset);
        self.write_points(&points)
    }

    /// Writes the cleaner points of the logs that are here, open or not, and forgets all others.
    fn write_cleaner_points(&self) -> Result<()> {
        let mut points = self.cleaner_points.lock();
        let here = self.on_disk()?;
        points.retain(|name, _| here.contains(name));
        self.write_points(&points)
    }

    /// The names of the logs that have a directory here.
    fn on_disk(&self) -> Result<BTreeSet<TopicPartition>> {
        let kept = |found: &Found| matches!(found.kind, DirKind::Current | DirKind::Future);
        Ok(self.list()?.into_iter().filter(kept).map(|found| found.name).collect())
    }

    /// Whether the checkpoints, as they were found, name logs that are not here any more: a crash
    /// came between the end of a log and the writing.
    pub fn names_gone_logs(&self) -> Result<bool> {
        let here = self.on_disk()?;
        let Checkpoints { recovery_points, high_watermarks, log_starts } = &self.found;
        let points = self.cleaner_points.lock();
        let all = [recovery_points, high_watermarks, log_starts, &*points];
        Ok(all.into_iter().flat_map(Offsets::keys).any(|name| !here.contains(name)))
    }

    fn write_points(&self, points: &Offsets) -> Result<()> {
        let path = self.path.join(names::CLEANER_POINTS);
        offsets::write(self.disk(), &path, points.iter().map(|(n, o)| (n, *o)))
    }

    /// Writes the checkpoints anew, because logs went or came: a log that comes later must not be
    /// taken by what was noted of an earlier one of its name.
    pub fn write_checkpoints(&self) -> Result<()> {
        self.write_recovery_points()?;
        self.write_log_starts()?;
        self.write_high_watermarks()?;
        self.write_cleaner_points()
    }

    /// Writes the recovery points of all logs.
    pub fn write_recovery_points(&self) -> Result<()> {
        self.write_offsets(names::RECOVERY_POINTS, |log| Some(log.recovery_point()))
    }

    /// Writes the high watermarks of all logs.
    pub fn write_high_watermarks(&self) -> Result<()> {
        self.write_offsets(names::HIGH_WATERMARKS, |log| Some(log.high_watermark()))
    }

    /// Writes the log start offsets of the logs where the first segment does not tell it.
    pub fn write_log_starts(&self) -> Result<()> {
        self.write_offsets(names::LOG_STARTS, |log| {
            let start = log.start_offset();
            let first = log.segment_sizes().first().map_or(0, |s| s.0);
            (start > first).then_some(start)
        })
    }

    fn write_offsets(&self, file: &str, offset: impl Fn(&Log) -> Option<i64>) -> Result<()> {
        let _one_at_a_time = self.checkpoints.lock();
        let all: Offsets = {
            let logs = self.logs.read();
            // A name without a directory would be that of a log that is gone.
            let there = logs.iter().filter(|(_, log)| log.has_dir());
            let all = there.filter_map(|((n, _), log)| Some((n.clone(), offset(log)?)));
            all.collect()
        };
        offsets::write(self.disk(), &self.path.join(file), all.iter().map(|(n, o)| (n, *o)))
    }
}

/// A damaged checkpoint is as good as none.
fn lenient(read: Result<Offsets>) -> Result<Offsets> {
    match read {
        Err(LogError::Corrupt { path, what }) => {
            tracing::warn!(path = %path.display(), what, "ignoring a damaged checkpoint");
            Ok(Offsets::new())
        }
        other => other,
    }
}

/// A log that waits to be removed.
#[derive(Debug)]
struct OldLog(Arc<Log>);

impl Remains for OldLog {
    fn remove(&self) -> Result<()> {
        self.0.remove_dir()
    }
}
