//! Checkpoints of one offset a partition: recovery points, high watermarks, log starts, cleaner
//! points.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use super::{Durability, corrupt, entries, read_text, replace};
use crate::disk::Disk;
use crate::error::Result;

/// A partition's name inside a log directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// Topic name.
    pub topic: String,
    /// Partition number, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Names partition `partition` of `topic`.
    #[must_use]
    pub fn new(topic: impl Into<String>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// The offsets of a checkpoint.
pub type Offsets = BTreeMap<TopicPartition, i64>;

/// Reads a checkpoint; empty when there is no such file.
pub fn read(disk: &dyn Disk, path: &Path) -> Result<Offsets> {
    let Some(text) = read_text(disk, path)? else { return Ok(Offsets::new()) };
    let mut offsets = Offsets::new();
    for line in entries(&text, path)? {
        let mut words = line.split_ascii_whitespace();
        let parsed = (|| {
            let topic = words.next()?;
            let partition = words.next()?.parse().ok()?;
            let offset = words.next()?.parse().ok()?;
            words.next().is_none().then_some((TopicPartition::new(topic, partition), offset))
        })();
        let Some((partition, offset)) = parsed else {
            return Err(corrupt(path, format!("entry {line:?}")));
        };
        offsets.insert(partition, offset);
    }
    Ok(offsets)
}

/// Writes a checkpoint, flushed.
pub fn write<'a>(
    disk: &dyn Disk,
    path: &Path,
    offsets: impl Iterator<Item = (&'a TopicPartition, i64)>,
) -> Result<()> {
    let (mut lines, mut count) = (String::new(), 0usize);
    for (name, offset) in offsets {
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{} {} {offset}", name.topic, name.partition);
        count += 1;
    }
    replace(disk, path, format!("0\n{count}\n{lines}").as_bytes(), Durability::Flushed)
}
