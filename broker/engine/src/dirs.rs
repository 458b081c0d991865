//! The directories that logs live in, and what happens when one fails.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use ottla_log::dir::LogDir as Files;
use ottla_log::{DiskError, Log, LogError};
use ottla_wire::Uuid;
use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedSender;
use tracing::error;

/// How often at most a directory's errors are logged that are not its own fault.
const COMPLAINTS_APART: Duration = Duration::from_secs(10);

/// One of `log.dirs`.
pub struct LogDir {
    id: Uuid,
    files: Arc<Files>,
    online: AtomicBool,
    partitions: AtomicUsize,
    failures: UnboundedSender<Uuid>,
    /// When an error was logged last that is not the directory's fault.
    complained: Mutex<Option<Instant>>,
}

impl fmt::Debug for LogDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogDir({})", self.path().display())
    }
}

impl LogDir {
    /// A directory that was found good. Its id is sent to `failures` once, when it fails.
    #[must_use]
    pub fn new(id: Uuid, files: Arc<Files>, failures: UnboundedSender<Uuid>) -> Arc<Self> {
        let (online, partitions) = (AtomicBool::new(true), AtomicUsize::new(0));
        let complained = Mutex::default();
        Arc::new(Self { id, files, online, partitions, failures, complained })
    }

    /// Its id, `directory.id` of `meta.properties`.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.files.path()
    }

    /// What is in it: logs, checkpoints, identity.
    #[must_use]
    pub fn files(&self) -> &Arc<Files> {
        &self.files
    }

    /// Whether it is in service.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.online.load(Ordering::Acquire)
    }

    /// How many replicas are in it.
    #[must_use]
    pub fn partitions(&self) -> usize {
        self.partitions.load(Ordering::Relaxed)
    }

    /// Judges an error of something done in it: one of the disk takes it out of service. That the
    /// process or the machine has no more files or memory to give, or that a name is taken, is no
    /// failure of the disk.
    pub(crate) fn judge(&self, error: &LogError) {
        match error {
            LogError::Disk(e) if e.is_out_of_resources() => self.complain(e),
            LogError::Disk(e) if e.source.kind() == ErrorKind::AlreadyExists => self.complain(e),
            LogError::Disk(e) => self.fail(e),
            _ => {}
        }
    }

    /// Judges an error of something done to a log in it. That files of a log are missing which was
    /// closed or deleted meanwhile is nobody's fault. A log that was left half-changed, for
    /// whatever reason, is whole again only after a restart: so is its directory.
    pub(crate) fn judge_of(&self, log: &Log, error: &LogError) {
        match error {
            LogError::Disk(e) if log.is_torn() => self.fail(e),
            LogError::Disk(e) if e.source.kind() == ErrorKind::NotFound && !log.is_open() => {}
            _ => self.judge(error),
        }
    }

    /// Takes it out of service because it cannot be told what is in it, for whatever reason.
    pub(crate) fn give_up(&self, error: &LogError) {
        if let LogError::Disk(e) = error {
            self.fail(e);
        }
    }

    fn complain(&self, error: &DiskError) {
        let mut last = self.complained.lock();
        if last.is_none_or(|last| last.elapsed() >= COMPLAINTS_APART) {
            *last = Some(Instant::now());
            error!(dir = %self.path().display(), %error, "cannot be done now: the directory stays in service");
        }
    }

    /// Takes it out of service. Its partitions answer with KAFKA_STORAGE_ERROR from here on, the
    /// other directories' go on.
    pub fn fail(&self, why: &DiskError) {
        if self.online.swap(false, Ordering::AcqRel) {
            error!(dir = %self.path().display(), error = %why, "log directory failed: out of service");
            // Nobody listens any more when the node is ending.
            let _ = self.failures.send(self.id);
        }
    }
}

/// A directory that holds one more log for as long as this lives.
#[derive(Debug)]
pub(crate) struct Counted(Arc<LogDir>);

impl Counted {
    pub(crate) fn new(dir: Arc<LogDir>) -> Self {
        dir.partitions.fetch_add(1, Ordering::Relaxed);
        Self(dir)
    }

    pub(crate) fn get(&self) -> &Arc<LogDir> {
        &self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.partitions.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All of `log.dirs`.
#[derive(Clone, Debug)]
pub struct LogDirs {
    dirs: Arc<[Arc<LogDir>]>,
    unreadable: Arc<[PathBuf]>,
    /// Those that get no new replicas.
    cordoned: Arc<ArcSwap<Vec<Uuid>>>,
}

impl LogDirs {
    /// The directories of a node, offline ones included.
    #[must_use]
    pub fn new(dirs: Vec<Arc<LogDir>>) -> Self {
        Self { dirs: dirs.into(), unreadable: Arc::default(), cordoned: Arc::default() }
    }

    /// The same, and directories that could not be read when the node started.
    #[must_use]
    pub fn with_unreadable(self, unreadable: Vec<PathBuf>) -> Self {
        Self { unreadable: unreadable.into(), ..self }
    }

    /// The directories that could not be read when the node started.
    #[must_use]
    pub fn unreadable(&self) -> &[PathBuf] {
        &self.unreadable
    }

    /// Says which directories get no new replicas (KIP-1066), for all clones of this.
    pub fn set_cordoned(&self, cordoned: Vec<Uuid>) {
        self.cordoned.store(Arc::new(cordoned));
    }

    /// The ids of the directories that get no new replicas.
    #[must_use]
    pub fn cordoned(&self) -> Arc<Vec<Uuid>> {
        self.cordoned.load_full()
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Arc<LogDir>] {
        &self.dirs
    }

    /// Those in service.
    pub fn online(&self) -> impl Iterator<Item = &Arc<LogDir>> {
        self.dirs.iter().filter(|dir| dir.is_online())
    }

    /// The ids of those that failed since the node started.
    #[must_use]
    pub fn offline(&self) -> Vec<Uuid> {
        self.dirs.iter().filter(|dir| !dir.is_online()).map(|dir| dir.id()).collect()
    }

    /// Whether any directory is out of service: a log that is not found may be in it.
    #[must_use]
    pub fn any_offline(&self) -> bool {
        !self.unreadable.is_empty() || self.dirs.iter().any(|dir| !dir.is_online())
    }

    /// The directory with this id, if it is one of ours.
    #[must_use]
    pub fn get(&self, id: Uuid) -> Option<&Arc<LogDir>> {
        self.dirs.iter().find(|dir| dir.id() == id)
    }

    /// Where a new replica goes: to the directory with the fewest, of those that are not cordoned
    /// if there is one.
    #[must_use]
    pub fn place(&self) -> Option<&Arc<LogDir>> {
        let cordoned = self.cordoned.load();
        self.online().min_by_key(|dir| (cordoned.contains(&dir.id()), dir.partitions()))
    }
}
