//! A disk in memory that forgets, when the power goes, what was not flushed; or part of it, as real ones do.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use ottla_log::disk::{Disk, DiskFile, Entry, Kind, Open, Space};

#[derive(Debug, Clone, Default)]
struct Content {
    now: Vec<u8>,
    flushed: Vec<u8>,
}

#[derive(Debug, Default)]
struct State {
    /// Contents, by a number that renames do not change.
    contents: BTreeMap<u64, Content>,
    names: BTreeMap<PathBuf, u64>,
    flushed_names: BTreeMap<PathBuf, u64>,
    dirs: BTreeSet<PathBuf>,
    next: u64,
    changes: u64,
    /// The change at which the power goes.
    dies_at: u64,
}

impl State {
    fn alive(&self) -> io::Result<()> {
        if self.changes >= self.dies_at {
            Err(io::Error::other("the power is off"))
        } else {
            Ok(())
        }
    }

    fn change(&mut self) -> io::Result<()> {
        self.alive()?;
        self.changes += 1;
        self.alive()
    }
}

/// The disk.
#[derive(Debug, Clone)]
pub(crate) struct CrashDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct CrashFile(CrashDisk, u64);

/// Small, fast and always the same for the same seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n.max(1)
    }
}

impl CrashDisk {
    /// An empty disk on which the power goes at a change.
    pub(crate) fn new(dies_at: u64) -> Self {
        Self(Arc::new(Mutex::new(State { dies_at, ..State::default() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// How many changes were made.
    pub(crate) fn changes(&self) -> u64 {
        self.state().changes
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.state().alive().is_err()
    }

    /// The disk as it is found when the power is back: all that was flushed, and of the rest what chance left.
    pub(crate) fn reborn(&self, dice: &mut Dice, dies_at: u64) -> Self {
        let old = self.state();
        let mut names = old.flushed_names.clone();
        for (path, id) in &old.names {
            if names.get(path) != Some(id) && dice.below(2) == 0 {
                names.insert(path.clone(), *id);
            }
        }
        for path in old.flushed_names.keys() {
            if !old.names.contains_key(path) && dice.below(2) == 0 {
                names.remove(path);
            }
        }
        let contents = old.contents.iter().map(|(id, content)| {
            let Content { now, flushed } = content;
            let mut bytes = flushed.clone();
            if now.len() > flushed.len() && now.starts_with(flushed) {
                let more = dice.below((now.len() - flushed.len()) as u64 + 1) as usize;
                bytes.extend_from_slice(&now[flushed.len()..flushed.len() + more]);
            }
            (*id, Content { now: bytes.clone(), flushed: bytes })
        });
        let contents = contents.collect();
        let (flushed_names, dirs, next) = (names.clone(), old.dirs.clone(), old.next);
        Self(Arc::new(Mutex::new(State {
            contents,
            names,
            flushed_names,
            dirs,
            next,
            changes: 0,
            dies_at,
        })))
    }
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk for CrashDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.alive()?;
        let id = match (state.names.get(path).copied(), how) {
            (Some(id), Open::Truncate) => {
                state.change()?;
                if let Some(content) = state.contents.get_mut(&id) {
                    content.now.clear();
                }
                id
            }
            (Some(id), _) => id,
            (None, Open::Read | Open::Write) => return Err(missing()),
            (None, Open::Create | Open::Truncate) => {
                state.change()?;
                state.next += 1;
                let id = state.next;
                state.contents.insert(id, Content::default());
                state.names.insert(path.to_owned(), id);
                id
            }
        };
        Ok(Arc::new(CrashFile(self.clone(), id)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        let id = state.names.remove(from).ok_or_else(missing)?;
        state.names.insert(to.to_owned(), id);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        state.names.remove(path).map(drop).ok_or_else(missing)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        state.names.retain(|name, _| !name.starts_with(path));
        state.dirs.retain(|dir| !dir.starts_with(path));
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.create_dir_all(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.alive()?;
        state.dirs.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let state = self.state();
        state.alive()?;
        if !state.dirs.contains(dir) {
            return Err(missing());
        }
        let name = |path: &Path| path.file_name().and_then(|n| n.to_str()).map(str::to_owned);
        let below = |path: &Path| path.parent() == Some(dir);
        let files = state.names.keys().filter(|p| below(p)).filter_map(|p| name(p));
        let files = files.map(|name| Entry { name, kind: Kind::File });
        let dirs = state.dirs.iter().filter(|p| below(p)).filter_map(|p| name(p));
        Ok(files.chain(dirs.map(|name| Entry { name, kind: Kind::Dir })).collect())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        let here = |path: &PathBuf| path.parent() == Some(dir);
        state.flushed_names.retain(|path, _| !here(path));
        let now: Vec<_> =
            state.names.iter().filter(|(p, _)| here(p)).map(|(p, id)| (p.clone(), *id)).collect();
        state.flushed_names.extend(now);
        Ok(())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let state = self.state();
        state.alive()?;
        Ok(state.names.contains_key(path) || state.dirs.contains(path))
    }

    fn lock(&self, _: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        Ok(Some(Box::new(())))
    }

    fn space(&self, _: &Path) -> io::Result<Space> {
        Ok(Space { total: 1 << 40, usable: 1 << 40 })
    }

    fn sync_all(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl CrashFile {
    fn with<T>(
        &self,
        change: impl FnOnce(&mut State) -> io::Result<()>,
        then: impl FnOnce(&mut Content) -> T,
    ) -> io::Result<T> {
        let mut state = self.0.state();
        change(&mut state)?;
        state.contents.get_mut(&self.1).map(then).ok_or_else(missing)
    }
}

impl DiskFile for CrashFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.with(
            |s| s.alive(),
            |content| {
                let from = (position as usize).min(content.now.len());
                let n = buf.len().min(content.now.len() - from);
                buf[..n].copy_from_slice(&content.now[from..from + n]);
                n
            },
        )
    }

    fn write_vectored_at(&self, bufs: &mut [IoSlice<'_>], position: u64) -> io::Result<()> {
        let bytes: Vec<u8> = bufs.iter().flat_map(|b| b.iter().copied()).collect();
        self.with(State::change, |content| {
            let end = position as usize + bytes.len();
            if content.now.len() < end {
                content.now.resize(end, 0);
            }
            content.now[position as usize..end].copy_from_slice(&bytes);
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|s| s.alive(), |content| content.now.len() as u64)
    }

    fn modified_ms(&self) -> io::Result<i64> {
        Ok(0)
    }

    fn set_modified_ms(&self, _: i64) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.with(State::change, |content| content.now.resize(len as usize, 0))
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let grow =
            |content: &mut Content| content.now.resize(content.now.len().max(len as usize), 0);
        self.with(State::change, grow)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(State::change, |content| content.flushed.clone_from(&content.now))
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
