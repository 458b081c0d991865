//! Where a log is: a directory, which is made when something is to be put into it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::cache::FileCache;
use crate::checkpoint::identity;
use crate::error::{DiskError, LogError, Result};

/// The directory of a log, which may be renamed while its files are in use.
///
/// Invariant: no file of a log is created before [`make_in`](Self::make_in).
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) cache: Arc<FileCache>,
    /// Its name. Who holds this keeps it from being renamed, and takes it before `birth`.
    pub(crate) dir: RwLock<PathBuf>,
    /// Whether there is such a directory; changed under `birth`.
    made: AtomicBool,
    birth: Mutex<Birth>,
}

/// Whether there is a directory.
#[derive(Debug)]
enum Birth {
    /// There is, or was when it was looked for last.
    Made,
    /// There will be one, with this topic id in it, if there is one.
    Due(Option<Box<str>>),
    /// The log was taken out of service before it had one.
    Never,
}

impl Place {
    /// A directory that is there.
    pub(crate) fn found(cache: &Arc<FileCache>, dir: PathBuf) -> Arc<Self> {
        Self::new(cache, dir, Birth::Made)
    }

    /// A directory that is to be made.
    pub(crate) fn due(cache: &Arc<FileCache>, dir: PathBuf, topic_id: Option<&str>) -> Arc<Self> {
        Self::new(cache, dir, Birth::Due(topic_id.map(Box::from)))
    }

    fn new(cache: &Arc<FileCache>, dir: PathBuf, birth: Birth) -> Arc<Self> {
        let made = AtomicBool::new(matches!(birth, Birth::Made));
        let (cache, dir) = (Arc::clone(cache), RwLock::new(dir));
        Arc::new(Self { cache, dir, made, birth: Mutex::new(birth) })
    }

    /// Whether there is such a directory.
    pub(crate) fn is_made(&self) -> bool {
        self.made.load(Ordering::Acquire)
    }

    /// Makes the directory if that was not done yet.
    ///
    /// # Errors
    /// [`LogError::Closed`] when the log is out of service, or the disk's. It may be tried again.
    pub(crate) fn make(&self) -> Result<()> {
        if self.is_made() {
            return Ok(());
        }
        let dir = self.dir.read();
        self.make_in(&dir)
    }

    /// [Makes](Self::make) it; `dir` is what the caller holds of the name.
    pub(crate) fn make_in(&self, dir: &Path) -> Result<()> {
        if self.is_made() {
            return Ok(());
        }
        let mut birth = self.birth.lock();
        let topic_id = match &*birth {
            Birth::Made => return Ok(()),
            Birth::Never => return Err(LogError::Closed),
            Birth::Due(topic_id) => topic_id,
        };
        self.create(dir, topic_id.as_deref())?;
        *birth = Birth::Made;
        self.made.store(true, Ordering::Release);
        Ok(())
    }

    /// Nothing is flushed: after a power loss the cluster's metadata creates the log again.
    fn create(&self, dir: &Path, topic_id: Option<&str>) -> Result<()> {
        let disk = &**self.cache.disk();
        disk.create_dir(dir).map_err(DiskError::at("create", dir))?;
        let write = |id| match identity::write_topic_id(disk, dir, id) {
            Err(e) if e.is_out_of_resources() && self.cache.make_room() > 0 => {
                identity::write_topic_id(disk, dir, id)
            }
            other => other,
        };
        if let Some(Err(e)) = topic_id.map(write) {
            // What is left of it would be taken for a log after a restart.
            if let Err(e) = disk.remove_dir_all(dir) {
                tracing::warn!(path = %dir.display(), "cannot remove a log that was not made: {e}");
            }
            return Err(e);
        }
        Ok(())
    }

    /// Gives the directory another name. One that was not made yet never will be.
    pub(crate) fn rename(&self, to: &Path) -> Result<()> {
        let mut dir = self.dir.write();
        let mut birth = self.birth.lock();
        match *birth {
            Birth::Made => {
                self.cache.disk().rename(&dir, to).map_err(DiskError::at("rename", &dir))?;
            }
            Birth::Due(_) | Birth::Never => *birth = Birth::Never,
        }
        to.clone_into(&mut dir);
        Ok(())
    }
}
