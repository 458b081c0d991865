//! Opening all logs of all directories, on several threads.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::{Found, LogDir};
use crate::checkpoint::offsets::TopicPartition;
use crate::error::{DiskError, LogError, Result};
use crate::graveyard::Remains;
use crate::log::LoadReport;
use crate::names::DirKind;
use crate::settings::LogSettings;

/// What is to be done with a directory found.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// Open the log with these settings.
    Open(Arc<LogSettings>),
    /// Leave it alone.
    Skip,
}

/// What opening the logs of one directory did.
#[derive(Debug, Default)]
pub struct DirReport {
    /// Logs opened.
    pub logs: usize,
    /// What was done to them, added up.
    pub total: LoadReport,
    /// Logs that could not be opened, and why. A disk error among them means that the directory
    /// has failed.
    pub failed: Vec<(TopicPartition, LogError)>,
    /// How long it took.
    pub took: Duration,
}

impl DirReport {
    fn add(&mut self, report: &LoadReport) {
        self.logs += 1;
        self.total.recovered_segments += report.recovered_segments;
        self.total.recovered_bytes += report.recovered_bytes;
        self.total.truncated_bytes += report.truncated_bytes;
        self.total.removed_segments += report.removed_segments;
    }
}

/// Opens the logs of all directories, with `threads` threads for each of them. Directories of
/// logs that were being deleted are removed later, through the graveyard.
///
/// `wanted` says what each log is opened with; it is called from many threads.
pub fn recover_all(
    dirs: &[Arc<LogDir>],
    threads: usize,
    now_ms: i64,
    wanted: &(dyn Fn(&LogDir, &Found) -> Wanted + Sync),
) -> BTreeMap<PathBuf, Result<DirReport>> {
    let mut reports = BTreeMap::new();
    std::thread::scope(|scope| {
        let running: Vec<_> = dirs
            .iter()
            .map(|dir| (dir, scope.spawn(|| recover(dir, threads, now_ms, wanted))))
            .collect();
        for (dir, thread) in running {
            let report = thread.join().unwrap_or(Err(LogError::Closed));
            reports.insert(dir.path().to_path_buf(), report);
        }
    });
    reports
}

fn recover(
    dir: &LogDir,
    threads: usize,
    now_ms: i64,
    wanted: &(dyn Fn(&LogDir, &Found) -> Wanted + Sync),
) -> Result<DirReport> {
    let begin = std::time::Instant::now();
    let mut found = dir.list()?;
    found.retain(|f| match f.kind {
        DirKind::Current | DirKind::Future => true,
        DirKind::Stray => false,
        DirKind::Deleted => {
            let path = dir.path().join(&f.dir_name);
            dir.graveyard().bury(now_ms, OldDir { path, disk: dir.shared.cache.disk().clone() });
            false
        }
    });
    let (next, report) = (AtomicUsize::new(0), Mutex::new(DirReport::default()));
    let work = || {
        let mut scratch = Vec::new();
        while let Some(found) = found.get(next.fetch_add(1, Ordering::Relaxed)) {
            let Wanted::Open(settings) = wanted(dir, found) else { continue };
            match dir.open_log(found, settings, now_ms, &mut scratch) {
                Ok((_, one)) => report.lock().add(&one),
                Err(e) => {
                    tracing::error!(log = %found.name, "cannot open a log: {e}");
                    report.lock().failed.push((found.name.clone(), e));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.clamp(1, found.len().max(1)) {
            scope.spawn(work);
        }
        work();
    });
    let mut report = report.into_inner();
    report.took = begin.elapsed();
    Ok(report)
}

/// The directory of a log whose deletion a restart interrupted.
#[derive(Debug)]
struct OldDir {
    path: PathBuf,
    disk: Arc<dyn crate::disk::Disk>,
}

impl Remains for OldDir {
    fn remove(&self) -> Result<()> {
        match self.disk.remove_dir_all(&self.path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => Ok(other.map_err(DiskError::at("remove", &self.path))?),
        }
    }
}
