//! The directories that logs live in, and what happens when one fails.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ottla_log::DiskError;
use ottla_log::dir::LogDir as Files;
use ottla_wire::Uuid;
use tokio::sync::mpsc::UnboundedSender;
use tracing::error;

/// One of `log.dirs`.
pub struct LogDir {
    id: Uuid,
    files: Arc<Files>,
    online: AtomicBool,
    partitions: AtomicUsize,
    failures: UnboundedSender<Uuid>,
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
        Arc::new(Self { id, files, online, partitions, failures })
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

    pub(crate) fn count_up(&self) {
        self.partitions.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_down(&self) {
        self.partitions.fetch_sub(1, Ordering::Relaxed);
    }

    /// Judges an error of something done in it: one of the disk takes it out of service.
    pub(crate) fn judge(&self, error: &ottla_log::LogError) {
        if let ottla_log::LogError::Disk(e) = error {
            self.fail(e);
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

/// All of `log.dirs`.
#[derive(Clone, Debug)]
pub struct LogDirs {
    dirs: Arc<[Arc<LogDir>]>,
}

impl LogDirs {
    /// The directories of a node, offline ones included.
    #[must_use]
    pub fn new(dirs: Vec<Arc<LogDir>>) -> Self {
        Self { dirs: dirs.into() }
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

    /// The directory with this id, if it is one of ours.
    #[must_use]
    pub fn get(&self, id: Uuid) -> Option<&Arc<LogDir>> {
        self.dirs.iter().find(|dir| dir.id() == id)
    }

    /// Where a new replica goes: to the directory with the fewest.
    #[must_use]
    pub fn place(&self) -> Option<&Arc<LogDir>> {
        self.online().min_by_key(|dir| dir.partitions())
    }
}
