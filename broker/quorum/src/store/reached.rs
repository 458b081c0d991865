//! The file `flushed-offset`: how far the metadata log was flushed, so that damage is told from the end of an
//! interrupted write.
//!
//! Two lines of the same length, written by turns over the older one: offset and checksum. A line is written after each
//! flush of the log and before that is answered, and flushed itself once in a while: after the death of the process it
//! is exact, after a loss of power at most [`SETTLE`](super::flusher::SETTLE) old. It never says more than is true.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_log::disk::{Disk, DiskFile, Open};
use ottla_wire::record::crc32c;
use parking_lot::Mutex;

use crate::error::QuorumError;

/// The file's name, in the directory of the metadata partition.
pub(crate) const FILE: &str = "flushed-offset";

/// Twenty digits, a space, eight hexadecimal digits, a line feed.
const LINE: usize = 30;

/// The file.
#[derive(Debug)]
pub(crate) struct Reached {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    offset: i64,
    /// The line that is written next.
    line: u64,
    flushed: bool,
}

impl Reached {
    /// Opens or creates the file of a metadata partition. Returns it, and what it says, if anything.
    pub(crate) fn open(disk: &dyn Disk, dir: &Path) -> Result<(Self, Option<i64>), QuorumError> {
        let path = dir.join(FILE);
        let failed = |e| QuorumError::io("open", &path, e);
        let file = disk.open(&path, Open::Create).map_err(failed)?;
        let mut bytes = [0; 2 * LINE];
        let n = file.read_at(&mut bytes, 0).map_err(failed)?;
        let lines = bytes.get(..n).unwrap_or_default().chunks(LINE).map(parse);
        let (line, found) = lines
            .enumerate()
            .filter_map(|(i, offset)| Some((i, offset?)))
            .max_by_key(|(_, offset)| *offset)
            .map_or((1, None), |(i, offset)| (i, Some(offset)));
        let offset = found.unwrap_or_default();
        let state = State { offset, line: 1 - line as u64, flushed: false };
        Ok((Self { path, file, state: Mutex::new(state) }, found))
    }

    /// Notes of a log without records where it begins.
    pub(crate) fn begin(&self, offset: i64) -> Result<(), QuorumError> {
        self.write(&mut self.state.lock(), offset)
    }

    /// Notes how far the log was flushed, which `reached` tells.
    pub(crate) fn note(&self, reached: impl FnOnce() -> i64) -> Result<(), QuorumError> {
        let mut state = self.state.lock();
        // Only now, since the log may have been cut since it was flushed.
        let offset = reached();
        if offset > state.offset {
            self.write(&mut state, offset)?;
        }
        Ok(())
    }

    /// Makes what was noted survive a loss of power.
    pub(crate) fn settle(&self) -> Result<(), QuorumError> {
        self.flush(&mut self.state.lock())
    }

    /// Says that the log holds less from now on, and lets `cut` see to it.
    pub(crate) fn lower<T, E: Into<QuorumError>>(
        &self,
        offset: i64,
        cut: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, QuorumError> {
        let mut state = self.state.lock();
        if offset < state.offset {
            self.write(&mut state, offset)?;
            self.write(&mut state, offset)?;
            self.flush(&mut state)?;
        }
        cut().map_err(Into::into)
    }

    fn write(&self, state: &mut State, offset: i64) -> Result<(), QuorumError> {
        let at = state.line * LINE as u64;
        let written = self.file.write_at(&render(offset), at);
        written.map_err(|e| QuorumError::io("write", &self.path, e))?;
        *state = State { offset, line: 1 - state.line, flushed: false };
        Ok(())
    }

    fn flush(&self, state: &mut State) -> Result<(), QuorumError> {
        if !state.flushed {
            self.file.sync_data().map_err(|e| QuorumError::io("flush", &self.path, e))?;
            state.flushed = true;
        }
        Ok(())
    }
}

fn render(offset: i64) -> Vec<u8> {
    let digits = format!("{offset:020}");
    format!("{digits} {:08x}\n", crc32c(digits.as_bytes())).into_bytes()
}

fn parse(line: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(line).ok()?;
    let (digits, _) = text.split_once(' ')?;
    let offset = digits.parse().ok()?;
    (render(offset) == line).then_some(offset)
}

#[cfg(test)]
mod tests {
    use ottla_log::disk::sim::SimDisk;

    use super::*;

    #[test]
    fn says_what_was_noted_last_and_less_only_when_told() {
        let (disk, dir) = (SimDisk::new(1), Path::new("/"));
        let (reached, said) = Reached::open(&disk, dir).unwrap();
        assert_eq!(said, None);
        reached.begin(0).unwrap();
        assert_eq!(Reached::open(&disk, dir).unwrap().1, Some(0));
        for offset in [7, 30, 12] {
            reached.note(|| offset).unwrap();
        }
        assert_eq!(Reached::open(&disk, dir).unwrap().1, Some(30));
        reached.lower(9, || Ok::<_, QuorumError>(())).unwrap();
        assert_eq!(Reached::open(&disk, dir).unwrap().1, Some(9));
        let file = disk.open(&dir.join(FILE), Open::Write).unwrap();
        assert_eq!(file.len().unwrap(), 2 * LINE as u64);
        // A line that was cut short, or changed, says nothing; the other one does.
        reached.note(|| 10).unwrap();
        for at in 0..2 * LINE as u64 {
            let mut byte = [0];
            file.read_at(&mut byte, at).unwrap();
            file.write_at(&[byte[0] ^ 1], at).unwrap();
            let said = Reached::open(&disk, dir).unwrap().1;
            assert!(said == Some(9) || said == Some(10), "byte {at}: {said:?}");
            file.write_at(&byte, at).unwrap();
        }
    }
}
