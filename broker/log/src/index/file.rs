//! A growing file of sorted entries of `N` bytes, of which the newest are also kept in memory.
//!
//! The newest entries are where nearly all readers look, and collecting entries saves a system
//! call per batch. What was not written when the process ends is rebuilt at recovery.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::cache::Slot;
use crate::disk::{DiskFile, Open};
use crate::error::Result;

/// Unwritten bytes at which they are written.
const SPILL: usize = 4096;
/// Bytes read at once when searching the file.
const BLOCK: usize = 512;

/// Opens the index's file in the asked way; `None` when it does not exist and was asked with
/// [`Open::Write`].
pub(crate) trait Opener: Fn(Open) -> Result<Option<Arc<dyn DiskFile>>> {}
impl<T: Fn(Open) -> Result<Option<Arc<dyn DiskFile>>>> Opener for T {}

/// The entries of one index file.
#[derive(Debug)]
pub(crate) struct EntryFile<const N: usize> {
    pub(crate) slot: Slot,
    state: Mutex<State<N>>,
}

#[derive(Debug)]
struct State<const N: usize> {
    /// Entries that are in the file; [`UNKNOWN`] until the file was looked at.
    written: u32,
    /// Entries that are not in `kept`.
    before: u32,
    /// The last entries.
    kept: Vec<u8>,
    /// The last of all, if it is not in `kept` and was looked at.
    last: Option<[u8; N]>,
}

const UNKNOWN: u32 = u32::MAX;

impl<const N: usize> State<N> {
    fn len(&self) -> u32 {
        self.before + (self.kept.len() / N) as u32
    }

    fn entry(&self, index: u32) -> Option<[u8; N]> {
        let at = index.checked_sub(self.before)? as usize * N;
        self.kept.get(at..at + N)?.try_into().ok()
    }

    fn load(&mut self, open: &impl Opener) -> Result<()> {
        if self.written != UNKNOWN {
            return Ok(());
        }
        let len = match open(Open::Write)? {
            Some(file) => file.len().map_err(io("measure"))?,
            None => 0,
        };
        self.written = (len / N as u64) as u32;
        self.before = self.written;
        Ok(())
    }

    fn spill(&mut self, open: &impl Opener) -> Result<()> {
        let unwritten = (self.len() - self.written) as usize * N;
        if unwritten == 0 {
            return Ok(());
        }
        let from = self.kept.len() - unwritten;
        if let Some(file) = open(Open::Create)? {
            let position = u64::from(self.written) * N as u64;
            file.write_at(&self.kept[from..], position).map_err(io("write"))?;
        }
        self.written = self.len();
        Ok(())
    }
}

fn io(op: &'static str) -> impl FnOnce(std::io::Error) -> crate::error::LogError {
    move |e| crate::error::DiskError::at(op, std::path::Path::new("index"))(e).into()
}

impl<const N: usize> EntryFile<N> {
    /// The index of a new segment.
    pub(crate) fn empty() -> Self {
        let state = State { written: 0, before: 0, kept: Vec::new(), last: None };
        Self { slot: Slot::default(), state: Mutex::new(state) }
    }

    /// The index of a segment that is on disk; looked at when it is needed.
    pub(crate) fn on_disk() -> Self {
        let state = State { written: UNKNOWN, before: 0, kept: Vec::new(), last: None };
        Self { slot: Slot::default(), state: Mutex::new(state) }
    }

    /// Number of entries.
    pub(crate) fn len(&self, open: &impl Opener) -> Result<u32> {
        let mut state = self.state.lock();
        state.load(open)?;
        Ok(state.len())
    }

    /// Appends an entry.
    pub(crate) fn push(&self, entry: [u8; N], open: &impl Opener) -> Result<()> {
        let mut state = self.state.lock();
        state.load(open)?;
        state.kept.extend_from_slice(&entry);
        state.last = None;
        if (state.len() - state.written) as usize * N >= SPILL {
            match state.spill(open) {
                // It stays in memory, and is written with the next one.
                Err(e) if e.is_out_of_resources() => return Ok(()),
                other => other?,
            }
            // Half of them stay in memory for those who read close behind the end.
            let drop = (state.kept.len() / 2 / N) * N;
            state.kept.drain(..drop);
            state.before += (drop / N) as u32;
        }
        Ok(())
    }

    /// Writes what is not written and gives the memory back.
    pub(crate) fn settle(&self, open: &impl Opener) -> Result<()> {
        let mut state = self.state.lock();
        state.load(open)?;
        state.spill(open)?;
        state.last = state.kept.as_chunks::<N>().0.last().copied().or(state.last);
        state.before = state.written;
        state.kept = Vec::new();
        Ok(())
    }

    /// The entry of this number.
    pub(crate) fn get(&self, index: u32, open: &impl Opener) -> Result<Option<[u8; N]>> {
        let mut state = self.state.lock();
        state.load(open)?;
        if index >= state.len() {
            return Ok(None);
        }
        if let Some(entry) = state.entry(index) {
            return Ok(Some(entry));
        }
        drop(state);
        let mut entry = [0; N];
        let Some(file) = open(Open::Write)? else { return Ok(None) };
        let n = file.read_at(&mut entry, u64::from(index) * N as u64).map_err(io("read"))?;
        Ok((n == N).then_some(entry))
    }

    /// The last entry.
    pub(crate) fn last(&self, open: &impl Opener) -> Result<Option<[u8; N]>> {
        if let Some(last) = self.state.lock().last {
            return Ok(Some(last));
        }
        let last = match self.len(open)? {
            0 => return Ok(None),
            n => self.get(n - 1, open)?,
        };
        let mut state = self.state.lock();
        if state.kept.is_empty() {
            state.last = last;
        }
        Ok(last)
    }

    /// The number of entries for which `before` holds; it must hold for a prefix of them. Also
    /// the last entry for which it holds, and the first for which it does not.
    ///
    /// `guess` tells from the last entry what part of all entries, 0 to 1, is likely before.
    pub(crate) fn split(
        &self,
        before: impl Fn(&[u8; N]) -> bool,
        guess: impl Fn(&[u8; N]) -> f64,
        open: &impl Opener,
    ) -> Result<Split<N>> {
        let mut state = self.state.lock();
        state.load(open)?;
        let (kept, _) = state.kept.as_chunks::<N>();
        if state.before == 0 || kept.first().is_some_and(&before) {
            let n = kept.partition_point(&before);
            let last = n.checked_sub(1).and_then(|i| kept.get(i)).copied();
            return Ok(Split { count: state.before + n as u32, last, next: kept.get(n).copied() });
        }
        let (in_file, first_kept) = (state.before, kept.first().copied());
        let total = f64::from(state.len());
        let mut last = kept.last().copied().or(state.last);
        drop(state);
        let Some(file) = open(Open::Write)? else {
            return Ok(Split { count: 0, last: None, next: first_kept });
        };
        if last.is_none() {
            let mut entry = [0; N];
            let position = u64::from(in_file - 1) * N as u64;
            if file.read_at(&mut entry, position).map_err(io("read"))? == N {
                last = Some(entry);
                self.state.lock().last = last;
            }
        }
        let part = last.map_or(0.5, |l| guess(&l).clamp(0.0, 1.0));
        split_file(&*file, in_file, (total * part) as u32, first_kept, before)
    }

    /// Drops all entries from number `keep` on.
    pub(crate) fn truncate(&self, keep: u32, open: &impl Opener) -> Result<()> {
        let mut state = self.state.lock();
        state.load(open)?;
        if keep >= state.len() {
            return Ok(());
        }
        state.last = None;
        if keep < state.written {
            if let Some(file) = open(Open::Write)? {
                file.truncate(u64::from(keep) * N as u64).map_err(io("truncate"))?;
            }
            state.written = keep;
        }
        if keep < state.before {
            state.before = keep;
            state.kept = Vec::new();
        } else {
            let bytes = (keep - state.before) as usize * N;
            state.kept.truncate(bytes);
        }
        Ok(())
    }

    /// Says that there are no entries and no file.
    pub(crate) fn replace_missing(&self) {
        *self.state.lock() = State { written: 0, before: 0, kept: Vec::new(), last: None };
    }

    /// Replaces everything, file included.
    pub(crate) fn replace(&self, entries: &[u8], open: &impl Opener) -> Result<()> {
        let mut state = self.state.lock();
        if let Some(file) = open(Open::Create)? {
            // Written over, then cut: a file that is emptied first makes some file systems
            // write it to the disk at once.
            file.write_at(entries, 0).map_err(io("write"))?;
            if file.len().map_err(io("measure"))? > entries.len() as u64 {
                file.truncate(entries.len() as u64).map_err(io("truncate"))?;
            }
        }
        state.written = (entries.len() / N) as u32;
        state.before = state.written;
        state.kept = Vec::new();
        state.last = entries.as_chunks::<N>().0.last().copied();
        Ok(())
    }
}

/// What [`EntryFile::split`] found.
#[derive(Debug)]
pub(crate) struct Split<const N: usize> {
    /// Entries before the split.
    pub(crate) count: u32,
    /// The last before it.
    pub(crate) last: Option<[u8; N]>,
    /// The first behind it.
    pub(crate) next: Option<[u8; N]>,
}

/// Search over blocks of the file: from the block of a guessed entry in growing steps until the
/// split lies between two blocks looked at, then by halves, then within one block.
fn split_file<const N: usize>(
    file: &dyn DiskFile,
    in_file: u32,
    guess: u32,
    behind: Option<[u8; N]>,
    before: impl Fn(&[u8; N]) -> bool,
) -> Result<Split<N>> {
    let per_block = (BLOCK / N) as u32;
    let (mut low, mut high) = (0, in_file.div_ceil(per_block));
    let (mut last, mut next) = (None, behind);
    let mut buf = [0; BLOCK];
    let (mut at, mut step) = ((guess / per_block).min(high.saturating_sub(1)), 1);
    let (mut seen_low, mut seen_high) = (false, false);
    while low < high {
        let entries = per_block.min(in_file - at * per_block) as usize;
        let buf = &mut buf[..entries * N];
        let position = u64::from(at) * u64::from(per_block) * N as u64;
        let n = file.read_at(buf, position).map_err(io("read"))?;
        let (block, _) = buf[..n].as_chunks::<N>();
        let split = block.partition_point(&before);
        if split == 0 {
            next = block.first().copied().or(next);
            (high, seen_high) = (at, true);
        } else if split == block.len() {
            last = block.last().copied();
            (low, seen_low) = (at + 1, true);
        } else {
            let count = at * per_block + split as u32;
            let last = split.checked_sub(1).and_then(|i| block.get(i)).copied();
            return Ok(Split { count, last, next: block.get(split).copied() });
        }
        at = match (seen_low, seen_high) {
            (true, false) => (low - 1).saturating_add(step).min(high.saturating_sub(1)).max(low),
            (false, true) => high.saturating_sub(step).max(low),
            _ => low.midpoint(high),
        };
        step = step.saturating_mul(4);
    }
    Ok(Split { count: (low * per_block).min(in_file), last, next })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::disk::Disk;
    use crate::disk::sim::SimDisk;

    #[derive(Clone, Debug)]
    enum Op {
        Push(u32),
        Truncate(prop::sample::Index),
        Settle,
        Reopen,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            8 => (1u32..1500).prop_map(Op::Push),
            1 => any::<prop::sample::Index>().prop_map(Op::Truncate),
            1 => Just(Op::Settle),
            1 => Just(Op::Reopen),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        /// An index is a sorted list, whatever part of it is in memory and whatever is guessed.
        #[test]
        fn is_a_sorted_list(ops in prop::collection::vec(op(), 1..12), guess in -0.5f64..1.5) {
            let disk = SimDisk::new(1);
            let open = |how: Open| match disk.open(Path::new("/index"), how) {
                Ok(file) => Ok(Some(file)),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(e) => Err(io("open")(e)),
            };
            let (mut index, mut model) = (EntryFile::<4>::empty(), Vec::<u32>::new());
            for op in ops {
                match op {
                    Op::Push(n) => {
                        for _ in 0..n {
                            let next = model.last().map_or(3, |l| l + 1 + l % 7);
                            index.push(next.to_be_bytes(), &open).expect("push");
                            model.push(next);
                        }
                    }
                    Op::Truncate(at) => {
                        let keep = at.index(model.len() + 1);
                        index.truncate(keep as u32, &open).expect("truncate");
                        model.truncate(keep);
                    }
                    Op::Settle => index.settle(&open).expect("settle"),
                    Op::Reopen => {
                        index.settle(&open).expect("settle");
                        index = EntryFile::on_disk();
                    }
                }
                let value = |e: [u8; 4]| u32::from_be_bytes(e);
                prop_assert_eq!(index.len(&open).expect("len") as usize, model.len());
                prop_assert_eq!(index.last(&open).expect("last").map(value), model.last().copied());
                let top = model.last().map_or(1, |l| l + 2);
                for wanted in [0, 1, top / 5, top / 2, top - 1, top].into_iter().chain(
                    model.iter().copied().step_by(model.len() / 20 + 1),
                ) {
                    let split = index
                        .split(|e| value(*e) <= wanted, |_| guess, &open)
                        .expect("split");
                    let count = model.partition_point(|e| *e <= wanted);
                    prop_assert_eq!(split.count as usize, count);
                    prop_assert_eq!(split.next.map(value), model.get(count).copied());
                    let last = count.checked_sub(1).and_then(|i| model.get(i)).copied();
                    prop_assert_eq!(split.last.map(value), last);
                }
            }
        }
    }
}
