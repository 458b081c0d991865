//! What is committed once stays, the same on every node: below its high watermark, each node's log is a piece of one log, and
//! what was acknowledged stands in that one. While a node lives, its high watermark does not go back.

use std::collections::BTreeMap;

use ottla_log::Log;
use ottla_log::log::AtLeast;
use ottla_quorum::simulated::Life;
use ottla_wire::record::BatchHeader;

use super::super::load::Acked;
use super::super::wires::sum;
use crate::{Verdict, violated};

/// Bytes read at once.
const READ_BYTES: u32 = 1 << 20;

/// The one log.
#[derive(Debug, Default)]
pub struct CommittedLog {
    batches: BTreeMap<i64, Placed>,
    seen: BTreeMap<Life, Seen>,
    /// What was acknowledged, and not yet found in it.
    sought: Vec<Acked>,
}

/// A batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Placed {
    next: i64,
    epoch: i32,
    sum: u64,
}

/// How far a node's log was looked at.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    high_watermark: i64,
    checked: i64,
}

impl CommittedLog {
    /// Looks at a node's log.
    pub fn inspect(&mut self, id: i32, life: Life, log: &Log) -> Verdict {
        let high_watermark = log.high_watermark();
        let mut seen = self.seen.get(&life).copied().unwrap_or_default();
        if high_watermark < seen.high_watermark {
            let was = seen.high_watermark;
            let what = format!("node {id}: from {was} back to {high_watermark}");
            return Err(violated("watermark", what));
        }
        seen.high_watermark = high_watermark;
        let mut offset = seen.checked.max(log.start_offset());
        while offset < high_watermark {
            // A disk that died has nothing to say.
            let found = log.read(offset, READ_BYTES, high_watermark, AtLeast::OneBatch);
            let slice = found.ok().and_then(|found| found.slice);
            let Some(bytes) = slice.and_then(|slice| slice.read().ok()) else { break };
            let next = self.compare(id, &bytes, high_watermark)?;
            if next <= offset {
                break;
            }
            offset = next;
        }
        seen.checked = offset;
        self.seen.insert(life, seen);
        Ok(())
    }

    /// Compares the whole batches at the start of `bytes`; gives the offset behind them.
    fn compare(&mut self, id: i32, bytes: &[u8], bound: i64) -> Result<i64, crate::Violation> {
        let (mut left, mut next) = (bytes, i64::MIN);
        while let Ok(header) = BatchHeader::parse(left) {
            let Some((batch, rest)) = left.split_at_checked(header.size_in_bytes()) else { break };
            if header.next_offset() > bound {
                break;
            }
            let placed = Placed {
                next: header.next_offset(),
                epoch: header.partition_leader_epoch,
                // Each first voter writes the first members itself, by its own clock.
                sum: if header.partition_leader_epoch == 0 { 0 } else { sum(batch) },
            };
            self.place(id, header.base_offset, placed)?;
            (left, next) = (rest, placed.next);
        }
        Ok(next)
    }

    fn place(&mut self, id: i32, base: i64, placed: Placed) -> Verdict {
        let differs = |what| {
            Err(violated("committed", format!("node {id} has {placed:?} at {base}: {what}")))
        };
        match self.batches.get(&base) {
            Some(known) if *known == placed => return Ok(()),
            Some(known) => return differs(format!("others have {known:?}")),
            None => {}
        }
        let before = self.batches.range(..base).next_back();
        if let Some((at, known)) = before.filter(|(_, known)| known.next > base) {
            return differs(format!("others have {known:?} at {at}"));
        }
        let after = self.batches.range(base..).next();
        if let Some((at, known)) = after.filter(|(at, _)| **at < placed.next) {
            return differs(format!("others have {known:?} at {at}"));
        }
        self.batches.insert(base, placed);
        Ok(())
    }

    /// Something was acknowledged.
    pub fn hear(&mut self, acked: &Acked) -> Verdict {
        if !self.holds(acked)? {
            self.sought.push(acked.clone());
        }
        Ok(())
    }

    /// Whether it is there; a violation if something else is in its place.
    fn holds(&self, acked: &Acked) -> Result<bool, crate::Violation> {
        let at = acked.at;
        let found = self.batches.range(..=at.offset).next_back();
        let Some((_, placed)) = found.filter(|(_, placed)| placed.next > at.offset) else {
            return Ok(false);
        };
        if placed.next == at.offset + 1 && placed.epoch == at.epoch {
            return Ok(true);
        }
        Err(violated("durable", format!("{acked:?}: there is {placed:?}")))
    }

    /// Everything acknowledged was found.
    pub fn complete(&self) -> Verdict {
        for acked in &self.sought {
            if !self.holds(acked)? {
                return Err(violated("durable", format!("{acked:?} is gone")));
            }
        }
        Ok(())
    }

    /// How many batches there are.
    pub fn batches(&self) -> u64 {
        self.batches.len() as u64
    }

    /// The offset behind the last one.
    pub fn end(&self) -> i64 {
        self.batches.last_key_value().map_or(0, |(_, last)| last.next)
    }
}
