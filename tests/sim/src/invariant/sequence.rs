//! Idempotent producers leave no doubles and no gaps: what is committed of one producer in one
//! partition is 0, 1, 2 and so on.

use std::collections::BTreeMap;

use crate::records::Entry;
use crate::{Verdict, violated};

/// The next record of each partition and producer.
#[derive(Debug, Default)]
pub struct Sequences(BTreeMap<(i32, i64), i32>);

impl Sequences {
    /// The next record of a producer in a partition.
    #[must_use]
    pub fn next(&self, partition: i32, producer: i64) -> i32 {
        self.0.get(&(partition, producer)).copied().unwrap_or(0)
    }

    /// One more record is committed.
    pub fn extend(&mut self, partition: i32, offset: i64, entry: Entry) -> Verdict {
        if entry.producer < 0 {
            return Ok(());
        }
        let next = self.0.entry((partition, entry.producer)).or_default();
        if entry.sequence != *next {
            let kind = if entry.sequence < *next { "double" } else { "gap" };
            let text = format!("{kind} at {partition}/{offset}: {entry:?}, expected {next}");
            return Err(violated("sequence", text));
        }
        *next += 1;
        Ok(())
    }
}
