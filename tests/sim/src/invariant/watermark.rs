//! The high watermark never goes back for consumers: what was read stays as it was, the latest
//! offset that was told only grows, and no later leader ends below it.

use std::collections::BTreeMap;

use super::durable::Committed;
use crate::clients::Seen;
use crate::{Verdict, violated};

const NAME: &str = "watermark";

/// The latest offsets that were told, by consumer and partition.
#[derive(Debug, Default)]
pub struct Watermarks(BTreeMap<(usize, i32), i64>);

impl Watermarks {
    /// A consumer saw something.
    pub fn seen(&mut self, who: usize, seen: &Seen, committed: &Committed) -> Verdict {
        let partition = seen.partition;
        if let Some(at) = seen.out_of_range {
            let text = format!("consumer {who} has read {partition} up to {at}, which is gone");
            return Err(violated(NAME, text));
        }
        for (offset, entry) in &seen.records {
            let known = committed.at(partition, *offset);
            if known != Some(*entry) {
                let text =
                    format!("consumer {who} read {entry:?} at {partition}/{offset}, not {known:?}");
                return Err(violated(NAME, text));
            }
        }
        let Some(latest) = seen.latest else { return Ok(()) };
        let before = self.0.entry((who, partition)).or_insert(latest);
        if latest < *before {
            let text = format!("consumer {who}: {partition} ended at {before}, now at {latest}");
            return Err(violated(NAME, text));
        }
        *before = latest;
        Ok(())
    }
}
