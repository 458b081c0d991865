//! Nothing that was acknowledged with acks=all, while min.insync.replicas was satisfied, is lost or
//! changed. More than that: what was below anybody's high watermark stays as it was.

use std::collections::BTreeMap;

use super::sequence::Sequences;
use crate::clients::Acked;
use crate::records::{self, Entry};
use crate::replica::Replica;
use crate::{Verdict, violated};

const NAME: &str = "durable";

/// What is committed, as the first high watermark that passed it showed it.
#[derive(Debug, Default)]
pub struct Committed {
    logs: BTreeMap<i32, Vec<Entry>>,
    sequences: Sequences,
    acked: u64,
    /// Records by partition and offset whose producers were told before anybody could look: the
    /// leader died in the step in which it told them.
    promised: BTreeMap<(i32, i64), (i64, i32)>,
}

impl Committed {
    /// Up to where a partition is committed.
    #[must_use]
    pub fn end(&self, partition: i32) -> i64 {
        self.logs.get(&partition).map_or(0, Vec::len) as i64
    }

    /// The committed record at an offset.
    #[must_use]
    pub fn at(&self, partition: i32, offset: i64) -> Option<Entry> {
        self.logs.get(&partition)?.get(usize::try_from(offset).ok()?).copied()
    }

    /// The sequence that follows what is committed of a producer in a partition.
    #[must_use]
    pub fn next(&self, partition: i32, producer: i64) -> i32 {
        self.sequences.next(partition, producer)
    }

    /// Below this offset all producers have `kept` records behind, or none at all.
    #[must_use]
    pub fn behind_all(&self, partition: i32, producers: usize, kept: usize) -> i64 {
        let mut seen = BTreeMap::new();
        let Some(log) = self.logs.get(&partition) else { return 0 };
        for (at, entry) in log.iter().enumerate().rev().filter(|(_, entry)| entry.producer >= 0) {
            let count = seen.entry(entry.producer).or_insert(0);
            *count += 1;
            if seen.len() == producers && seen.values().all(|count| *count >= kept) {
                return at as i64;
            }
        }
        0
    }

    /// How many records were acknowledged.
    #[must_use]
    pub fn acked(&self) -> u64 {
        self.acked
    }

    /// How many records are committed.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.logs.values().map(|log| log.len() as u64).sum()
    }

    /// A replica's high watermark may have risen: what lies below is committed.
    pub fn learn(&mut self, who: i32, replica: &mut Replica) -> Verdict {
        let high_watermark = replica.log.high_watermark();
        self.compare(who, replica, high_watermark)
    }

    /// A replica must have what is committed below `to`.
    pub fn compare(&mut self, who: i32, replica: &mut Replica, to: i64) -> Verdict {
        let from = replica.verified.max(replica.log.start_offset());
        if from >= to {
            return Ok(());
        }
        let partition = replica.partition;
        let name = format!("partition {partition} on b{who}");
        let found = records::read(&replica.log, partition, from, to);
        let found = found.map_err(|e| violated(NAME, format!("{name}: {e}")))?;
        let log = self.logs.entry(partition).or_default();
        for (offset, entry) in found {
            let at = usize::try_from(offset).unwrap_or(usize::MAX);
            match log.get(at) {
                Some(known) if *known == entry => {}
                Some(known) => {
                    let text = format!("{name}: at {offset} is {entry:?}, committed was {known:?}");
                    return Err(violated(NAME, text));
                }
                None if at == log.len() => {
                    self.sequences.extend(partition, offset, entry)?;
                    let promised = self.promised.remove(&(partition, offset));
                    let there = (entry.producer, entry.sequence);
                    if let Some(other) = promised.filter(|promised| *promised != there) {
                        let text = format!("{name}: at {offset} is {entry:?}, not {other:?}");
                        return Err(violated(NAME, text));
                    }
                    log.push(entry);
                }
                None => {
                    let text = format!("{name}: {offset} is committed, {} is not", log.len());
                    return Err(violated(NAME, text));
                }
            }
        }
        replica.verified = to;
        Ok(())
    }

    /// A producer was told that its batch is committed.
    pub fn acknowledged(&mut self, acked: &Acked) -> Verdict {
        let Acked { partition, producer, sequence, count, first_offset } = *acked;
        for i in 0..count {
            let offset = first_offset + i64::from(i);
            let found = self.at(partition, offset);
            if found.is_none() && offset >= self.end(partition) {
                self.promised.insert((partition, offset), (producer, sequence + i));
                continue;
            }
            let right = found.is_some_and(|e| (e.producer, e.sequence) == (producer, sequence + i));
            if !right {
                let text = format!(
                    "producer {producer} was told that {partition}/{offset} is its record {}, but \
                     there is {found:?}",
                    sequence + i
                );
                return Err(violated(NAME, text));
            }
        }
        self.acked += count as u64;
        Ok(())
    }

    /// A record that a producer was told of and nobody has.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        let ((partition, offset), (producer, sequence)) = self.promised.first_key_value()?;
        Some(format!(
            "producer {producer} was told that {partition}/{offset} is its record {sequence}, but nobody has it"
        ))
    }
}
