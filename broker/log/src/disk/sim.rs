//! A file system in memory that can lose power, die in the middle of a write, and fill up.
//!
//! It behaves as a journaling file system does: creations, renames and removals reach the disk
//! in their order, and any flush of a file or directory takes all earlier ones along. What was
//! written to a file and not flushed is lost at a power loss, or is there in part, write by
//! write. A harsh one ([`SimDisk::harsh`]) promises less. All choices come from a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};

use super::{Disk, DiskFile, Entry, Kind, Open, Space};

/// A file system in memory. Clones are the same file system, as one process sees it.
#[derive(Clone, Debug)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    process: u64,
    /// One for each open file.
    open: Arc<AtomicUsize>,
}

type Names = BTreeMap<PathBuf, Node>;

#[derive(Clone, Debug)]
enum Node {
    Dir,
    File(Arc<Mutex<Content>>),
}

#[derive(Debug, Default)]
struct Content {
    live: Vec<u8>,
    flushed: Vec<u8>,
    pending: Vec<Change>,
    modified_ms: i64,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

#[derive(Debug)]
struct State {
    names: Names,
    /// Names as the last flush left them, then after each later change.
    journal: Vec<Names>,
    locks: BTreeSet<PathBuf>,
    seed: u64,
    capacity: u64,
    /// Changes that still succeed; the next one is done in part, then nothing works.
    changes_left: Option<u64>,
    changes: u64,
    now_ms: i64,
    /// The process that may use it; those before it are gone.
    process: u64,
    /// How many files may be open at a time.
    most_open: usize,
    /// Whether flushing a file leaves names as unsure as they were, and a write may lack any of its sectors.
    harsh: bool,
}

/// The bytes that reach the disk together or not at all.
const SECTOR: usize = 512;

/// What the process was about to change.
enum Step {
    /// It may.
    Go,
    /// It dies while it does.
    Die,
}

impl State {
    fn random(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.seed;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.random() % (bound as u64).max(1)) as usize
    }

    fn step(&mut self) -> io::Result<Step> {
        self.changes += 1;
        match &mut self.changes_left {
            None => Ok(Step::Go),
            Some(0) => Err(dead()),
            Some(left) => {
                *left -= 1;
                Ok(if *left == 0 { Step::Die } else { Step::Go })
            }
        }
    }

    /// A change of names: done or not done, never in part.
    fn rename_step(&mut self) -> io::Result<()> {
        match self.step()? {
            Step::Go => Ok(()),
            Step::Die => Err(dead()),
        }
    }

    fn changed_names(&mut self) {
        self.journal.push(self.names.clone());
    }

    fn commit_names(&mut self) {
        self.journal = vec![self.names.clone()];
    }

    fn used(&self) -> u64 {
        let files = self.names.values().filter_map(|node| match node {
            Node::File(content) => Some(content.lock().live.len() as u64),
            Node::Dir => None,
        });
        files.sum()
    }
}

fn dead() -> io::Error {
    io::Error::other("the process is dead")
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Truncate(len) => bytes.resize(*len, 0),
        Change::Write(at, data) => {
            if bytes.len() < at + data.len() {
                bytes.resize(at + data.len(), 0);
            }
            bytes[*at..at + data.len()].copy_from_slice(data);
        }
    }
}

impl SimDisk {
    /// An empty file system, whose accidents are told by `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let names = Names::from([(PathBuf::from("/"), Node::Dir)]);
        let state = State {
            journal: vec![names.clone()],
            names,
            locks: BTreeSet::new(),
            seed,
            capacity: u64::MAX,
            changes_left: None,
            changes: 0,
            now_ms: 0,
            process: 0,
            most_open: usize::MAX,
            harsh: false,
        };
        Self { state: Arc::new(Mutex::new(state)), process: 0, open: Arc::default() }
    }

    /// A file system that keeps no more than POSIX promises: only the flush of a directory makes names durable, and a
    /// write that was not flushed may lack any of its sectors after a loss of power.
    #[must_use]
    pub fn harsh(seed: u64) -> Self {
        let disk = Self::new(seed);
        disk.state.lock().harsh = true;
        disk
    }

    /// The file system as the next process sees it. What is left of the one before, such as a thread that did not end
    /// in time, cannot touch it any more.
    #[must_use]
    pub fn next_process(&self) -> Self {
        let mut state = self.state.lock();
        state.process += 1;
        Self { state: Arc::clone(&self.state), process: state.process, open: Arc::default() }
    }

    /// Whether the process died, or was replaced by another.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.alive().is_err()
    }

    /// The state, for a process that lives.
    fn alive(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state.lock();
        match state.changes_left == Some(0) || state.process != self.process {
            true => Err(dead()),
            false => Ok(state),
        }
    }

    /// How many changes were asked for since the start.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.state.lock().changes
    }

    /// The process dies in the middle of the change that comes after `changes` more. What it
    /// wrote before is there when the disk is [revived](Self::revive).
    pub fn die_after(&self, changes: u64) {
        self.state.lock().changes_left = Some(changes + 1);
    }

    /// Another process begins, with nothing open. Files are as the one before left them.
    pub fn revive(&self) {
        let mut state = self.state.lock();
        state.changes_left = None;
        state.locks.clear();
    }

    /// The machine loses power, and starts again: what was not flushed may be lost.
    pub fn lose_power(&self) {
        let mut state = self.state.lock();
        let states = state.journal.len();
        let back_to = state.below(states);
        state.names = state.journal.swap_remove(back_to);
        let files: Vec<_> = state
            .names
            .values()
            .filter_map(|node| match node {
                Node::File(content) => Some(Arc::clone(content)),
                Node::Dir => None,
            })
            .collect();
        for file in files {
            let mut content = file.lock();
            let mut bytes = std::mem::take(&mut content.flushed);
            for change in std::mem::take(&mut content.pending) {
                let fates = if state.harsh { 5 } else { 4 };
                match (state.below(fates), change) {
                    (0, _) => {}
                    (1, Change::Write(at, mut data)) => {
                        data.truncate(state.below(data.len() + 1));
                        apply(&mut bytes, &Change::Write(at, data));
                    }
                    (4, Change::Write(at, data)) => {
                        for (i, sector) in data.chunks(SECTOR).enumerate() {
                            if state.below(2) == 0 {
                                let at = at + i * SECTOR;
                                apply(&mut bytes, &Change::Write(at, sector.to_vec()));
                            }
                        }
                    }
                    (_, change) => apply(&mut bytes, &change),
                }
            }
            content.live.clone_from(&bytes);
            content.flushed = bytes;
        }
        state.commit_names();
        state.changes_left = None;
        state.locks.clear();
    }

    /// From now on all files together may have so many bytes.
    pub fn set_capacity(&self, bytes: u64) {
        self.state.lock().capacity = bytes;
    }

    /// Bytes of all files.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.state.lock().used()
    }

    /// From now on opening a file fails, as for a process that has too many, while so many are open.
    pub fn set_most_open(&self, files: usize) {
        self.state.lock().most_open = files;
    }

    /// What files are written with as the time of the change.
    pub fn set_now_ms(&self, now_ms: i64) {
        self.state.lock().now_ms = now_ms;
    }

    fn node(&self, path: &Path) -> io::Result<Node> {
        self.alive()?.names.get(path).cloned().ok_or_else(missing)
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.alive()?;
        if self.open.load(Ordering::Relaxed) >= state.most_open {
            return Err(rustix::io::Errno::MFILE.into());
        }
        let found = state.names.get(path).cloned();
        let content = match (found, how) {
            (Some(Node::Dir), _) => return Err(io::ErrorKind::IsADirectory.into()),
            (Some(Node::File(content)), Open::Truncate) => {
                state.rename_step()?;
                let mut inner = content.lock();
                inner.live.clear();
                inner.pending.push(Change::Truncate(0));
                drop(inner);
                content
            }
            (Some(Node::File(content)), _) => content,
            (None, Open::Create | Open::Truncate) => {
                let parent = path.parent().and_then(|p| state.names.get(p));
                if !matches!(parent, Some(Node::Dir)) {
                    return Err(missing());
                }
                state.rename_step()?;
                let content = Content { modified_ms: state.now_ms, ..Content::default() };
                let content = Arc::new(Mutex::new(content));
                state.names.insert(path.to_path_buf(), Node::File(Arc::clone(&content)));
                state.changed_names();
                content
            }
            (None, _) => return Err(missing()),
        };
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(SimFile { disk: self.clone(), content }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.alive()?;
        if !state.names.contains_key(from) {
            return Err(missing());
        }
        state.rename_step()?;
        let moved: Vec<_> =
            state.names.keys().filter(|path| path.starts_with(from)).cloned().collect();
        for path in moved {
            let rest = path.strip_prefix(from).unwrap_or(Path::new("")).to_path_buf();
            let new = if rest.as_os_str().is_empty() { to.to_path_buf() } else { to.join(rest) };
            if let Some(node) = state.names.remove(&path) {
                state.names.insert(new, node);
            }
        }
        state.changed_names();
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.alive()?;
        match state.names.get(path) {
            Some(Node::File(_)) => {}
            _ => return Err(missing()),
        }
        state.rename_step()?;
        state.names.remove(path);
        state.changed_names();
        Ok(())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.alive()?;
        if !state.names.contains_key(path) {
            return Err(missing());
        }
        state.rename_step()?;
        state.names.retain(|name, _| !name.starts_with(path));
        state.changed_names();
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.alive()?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.rename_step()?;
        state.names.insert(path.to_path_buf(), Node::Dir);
        state.changed_names();
        Ok(())
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        for dir in path.ancestors().collect::<Vec<_>>().into_iter().rev() {
            match self.create_dir(dir) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                other => other?,
            }
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        if !matches!(self.node(dir)?, Node::Dir) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let state = self.alive()?;
        let inside = state.names.iter().filter(|(path, _)| path.parent() == Some(dir));
        let entries = inside.filter_map(|(path, node)| {
            let name = path.file_name()?.to_str()?.to_owned();
            let kind = if matches!(node, Node::Dir) { Kind::Dir } else { Kind::File };
            Some(Entry { name, kind })
        });
        Ok(entries.collect())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.node(dir)?;
        let mut state = self.alive()?;
        state.rename_step()?;
        state.commit_names();
        Ok(())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        match self.node(path) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        self.open(path, Open::Create)?;
        let new = self.alive()?.locks.insert(path.to_path_buf());
        let guard = || -> Box<dyn Send + Sync> { Box::new(Held(self.clone(), path.into())) };
        Ok(new.then(guard))
    }

    fn space(&self, _: &Path) -> io::Result<Space> {
        let state = self.alive()?;
        Ok(Space { total: state.capacity, usable: state.capacity.saturating_sub(state.used()) })
    }

    fn sync_all(&self, _: &Path) -> io::Result<()> {
        let mut state = self.alive()?;
        state.rename_step()?;
        for node in state.names.values() {
            if let Node::File(content) = node {
                let mut content = content.lock();
                content.flushed = content.live.clone();
                content.pending.clear();
            }
        }
        state.commit_names();
        Ok(())
    }
}

/// A held lock.
struct Held(SimDisk, PathBuf);

impl Drop for Held {
    fn drop(&mut self) {
        // The next process may have locked it meanwhile.
        if let Ok(mut state) = self.0.alive() {
            state.locks.remove(&self.1);
        }
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    content: Arc<Mutex<Content>>,
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.disk.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl SimFile {
    fn change(&self, change: Change, content: &mut Content, now_ms: i64) {
        apply(&mut content.live, &change);
        content.pending.push(change);
        content.modified_ms = now_ms;
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        let content = self.content.lock();
        let from = content.live.get(position as usize..).unwrap_or_default();
        let n = from.len().min(buf.len());
        buf[..n].copy_from_slice(&from[..n]);
        Ok(n)
    }

    fn write_vectored_at(&self, bufs: &mut [IoSlice<'_>], position: u64) -> io::Result<()> {
        let mut data: Vec<u8> = bufs.iter().flat_map(|b| b.iter().copied()).collect();
        let mut state = self.disk.alive()?;
        let step = state.step()?;
        let end = position + data.len() as u64;
        let grows = end.saturating_sub(self.content.lock().live.len() as u64);
        let free = state.capacity.saturating_sub(state.used());
        let outcome = match step {
            Step::Die => {
                data.truncate(state.below(data.len() + 1));
                Err(dead())
            }
            Step::Go if grows > free => {
                data.truncate(data.len().saturating_sub((grows - free) as usize));
                Err(io::ErrorKind::StorageFull.into())
            }
            Step::Go => Ok(()),
        };
        let now_ms = state.now_ms;
        self.change(Change::Write(position as usize, data), &mut self.content.lock(), now_ms);
        outcome
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.content.lock().live.len() as u64)
    }

    fn modified_ms(&self) -> io::Result<i64> {
        Ok(self.content.lock().modified_ms)
    }

    fn set_modified_ms(&self, ms: i64) -> io::Result<()> {
        self.content.lock().modified_ms = ms;
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.alive()?;
        state.rename_step()?;
        let now_ms = state.now_ms;
        self.change(Change::Truncate(len as usize), &mut self.content.lock(), now_ms);
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let now = self.len()?;
        if len > now { self.truncate(len) } else { Ok(()) }
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.alive()?;
        state.rename_step()?;
        let mut content = self.content.lock();
        content.flushed = content.live.clone();
        content.pending.clear();
        if !state.harsh {
            state.commit_names();
        }
        Ok(())
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
