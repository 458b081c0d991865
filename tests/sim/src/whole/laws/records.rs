//! What is below the high watermark of one replica, which consumers may read, stays there, the same for all: nothing that was
//! acknowledged is lost or changed, and idempotent producers leave no doubles and no gaps. An epoch has one leader, and while that
//! leads, its high watermark does not go back.
//!
//! Where a log begins, nobody wanted what was before.
//!
//! Where power may fail, only what a leader has flushed, too, is there for ever: as much as producers are told. What a high
//! watermark lets consumers read before may go with the power of its leader.

use std::collections::BTreeMap;

use ottla_engine::Partition;
use ottla_log::Log;
use ottla_quorum::simulated::Life;

use super::super::plan::Flushes;
use super::super::producers::{AckedBatch, Producers};
use crate::invariant::sequence::Sequences;
use crate::records::{self, Entry};
use crate::{Verdict, violated};

/// The epoch of a replica that follows.
const NOT_LEADING: i32 = -1;

/// What is committed, as the first replica whose high watermark passed it had it.
#[derive(Debug, Default)]
pub struct Records {
    committed: BTreeMap<i32, Vec<Entry>>,
    sequences: Sequences,
    /// Who led, by partition and epoch.
    leaders: BTreeMap<(i32, i32), i32>,
    /// How far a log was looked at, by its broker's life, its partition and the epoch it is led in there, -1 for none.
    seen: BTreeMap<(Life, i32, i32), i64>,
    heard: usize,
    /// What was acknowledged, and not yet found.
    sought: Vec<AckedBatch>,
}

impl Records {
    /// Looks at a broker's replica of a partition.
    pub fn inspect(
        &mut self,
        (id, life): (i32, Life),
        partition: &Partition,
        (flushes, unwanted): (Flushes, i64),
    ) -> Verdict {
        let epoch = partition.leader_epoch().unwrap_or(NOT_LEADING);
        if partition.check_open().is_err() {
            return Ok(());
        }
        let (log, number) = (partition.log(), partition.id().partition);
        let leader = *self.leaders.entry((number, epoch)).or_insert(id);
        if leader != id && epoch != NOT_LEADING {
            let what = format!("brokers {leader} and {id} lead {number} in epoch {epoch}");
            return Err(violated("one_leader", what));
        }
        let start = log.start_offset();
        if start > unwanted {
            let what = format!(
                "{number} at broker {id} begins at {start}, unwanted is what is below {unwanted}"
            );
            return Err(violated("retention", what));
        }
        let high_watermark = match flushes {
            Flushes::Never => log.high_watermark(),
            Flushes::Always if epoch == NOT_LEADING => return Ok(()),
            Flushes::Always => log.high_watermark().min(log.recovery_point()),
        };
        let seen = self.seen.get(&(life, number, epoch)).copied();
        let from = seen.unwrap_or_else(|| start.min(high_watermark));
        if high_watermark < from {
            if epoch == NOT_LEADING {
                return Ok(());
            }
            let what =
                format!("{number} at broker {id}, epoch {epoch}: {from} to {high_watermark}");
            return Err(violated("watermark", what));
        }
        self.learn(id, number, &log, from.max(start).min(high_watermark), high_watermark)?;
        self.seen.insert((life, number, epoch), high_watermark);
        Ok(())
    }

    /// What lies between two offsets of a log is committed.
    fn learn(&mut self, id: i32, number: i32, log: &Log, from: i64, to: i64) -> Verdict {
        if from == to {
            return Ok(());
        }
        let wrong = |what: String| violated("durable", format!("broker {id}, {number}: {what}"));
        let known = self.committed.entry(number).or_default();
        for (offset, entry) in records::read(log, number, from, to).map_err(wrong)? {
            let place = usize::try_from(offset).unwrap_or_default();
            match known.get(place) {
                Some(known) if *known == entry => {}
                Some(known) => {
                    return Err(wrong(format!("{entry:?} at {offset}, committed is {known:?}")));
                }
                None if place == known.len() => {
                    self.sequences.extend(number, offset, entry)?;
                    known.push(entry);
                }
                None => {
                    return Err(wrong(format!("{offset} is committed, {} was not", known.len())));
                }
            }
        }
        Ok(())
    }

    /// Looks at what was acknowledged since the last time.
    pub fn hear(&mut self, producers: &Producers) -> Verdict {
        for acked in producers.acked_from(self.heard) {
            self.heard += 1;
            self.sought.push(acked);
        }
        let mut missing = Vec::new();
        for acked in std::mem::take(&mut self.sought) {
            if !self.holds(&acked)? {
                missing.push(acked);
            }
        }
        self.sought = missing;
        Ok(())
    }

    /// Whether it is there; a violation if something else is in its place.
    fn holds(&self, acked: &AckedBatch) -> Result<bool, crate::Violation> {
        let Some(log) = self.committed.get(&acked.partition) else { return Ok(false) };
        for i in 0..acked.count {
            let place = usize::try_from(acked.first_offset + i64::from(i)).unwrap_or_default();
            let Some(found) = log.get(place) else { return Ok(false) };
            if (found.producer, found.sequence) != (acked.producer, acked.sequence + i) {
                return Err(violated("durable", format!("{acked:?}: there is {found:?}")));
            }
        }
        Ok(true)
    }

    /// Up to where what is committed is known, by partition.
    pub fn ends(&self) -> impl Iterator<Item = (i32, i64)> + '_ {
        self.committed.iter().map(|(number, log)| (*number, log.len() as i64))
    }

    /// Whether a replica holds what is committed, and nothing else, from where it begins; which is not before its leader
    /// does.
    pub fn is_whole(
        &self,
        (id, number): (i32, i32),
        log: &Log,
        leader_start: i64,
    ) -> Result<bool, crate::Violation> {
        let known = self.committed.get(&number).map(Vec::as_slice).unwrap_or_default();
        let (start, end) = (log.start_offset(), known.len() as i64);
        if log.end_offset() != end || log.high_watermark() != end || start < leader_start {
            return Ok(false);
        }
        let known = usize::try_from(start).ok().and_then(|start| known.get(start..));
        let known = known.unwrap_or_default();
        let wrong = |what: String| violated("agreement", format!("broker {id}, {number}: {what}"));
        let found = records::read(log, number, log.start_offset(), end).map_err(wrong)?;
        if !found.iter().map(|(_, entry)| entry).eq(known) {
            return Err(wrong("it differs from what is committed".to_owned()));
        }
        Ok(true)
    }

    /// Everything acknowledged was found.
    pub fn complete(&self) -> Verdict {
        match self.sought.first() {
            Some(lost) => Err(violated("durable", format!("{lost:?} is gone"))),
            None => Ok(()),
        }
    }

    /// How many records are committed.
    pub fn committed(&self) -> u64 {
        self.committed.values().map(|log| log.len() as u64).sum()
    }
}
