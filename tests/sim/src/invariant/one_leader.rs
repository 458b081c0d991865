//! No two leaders of one epoch accept anything.

use std::collections::BTreeMap;

use crate::{Verdict, violated};

/// Who accepted in which epoch of which partition.
#[derive(Debug, Default)]
pub struct Leaders(BTreeMap<(i32, i32), (i32, u64)>);

impl Leaders {
    /// Broker `who`, in its life `life`, accepted a batch.
    pub fn accepted(&mut self, partition: i32, epoch: i32, who: i32, life: u64) -> Verdict {
        let first = self.0.entry((partition, epoch)).or_insert((who, life));
        if *first != (who, life) {
            let text = format!(
                "b{who} (life {life}) and b{} (life {}) both led {partition} in epoch {epoch}",
                first.0, first.1
            );
            return Err(violated("one_leader", text));
        }
        Ok(())
    }
}
