//! An epoch has one leader, and who leads has all that was acknowledged in the epochs before.

use std::collections::BTreeMap;

use ottla_quorum::{Committed, Leadership, NodeKey, Role};

use super::super::host::Host;
use crate::{Verdict, violated};

/// The leaders, by epoch.
#[derive(Debug, Default)]
pub struct Leaders {
    leaders: BTreeMap<i32, NodeKey>,
    /// The last offset acknowledged in each epoch.
    acked: BTreeMap<i32, i64>,
    heard: usize,
}

impl Leaders {
    /// How many acknowledgements were heard of.
    pub fn heard(&self) -> usize {
        self.heard
    }

    /// Something was acknowledged.
    pub fn hear(&mut self, at: Committed) {
        self.heard += 1;
        let last = self.acked.entry(at.epoch).or_insert(at.offset);
        *last = at.offset.max(*last);
    }

    /// Looks at whom a node takes for the leader.
    pub fn inspect(&mut self, host: &Host, now: Leadership, applied: i64) -> Verdict {
        let (id, epoch) = (host.id, now.epoch);
        let Some(leader) = now.leader else { return Ok(()) };
        let known = if host.kind.is_member() {
            *self.leaders.entry(epoch).or_insert(leader)
        } else {
            // A broker knows the leader by its id.
            self.leaders.get(&epoch).copied().unwrap_or(leader)
        };
        let same = known.id == leader.id && (!host.kind.is_member() || known == leader);
        if !same {
            let what = format!("node {id} is led by {leader} in epoch {epoch}, others by {known}");
            return Err(violated("leaders", what));
        }
        if now.role != Role::Leader {
            return Ok(());
        }
        let before = self.acked.range(..epoch).map(|(_, last)| *last).max();
        match before.filter(|last| *last > applied) {
            None => Ok(()),
            Some(last) => {
                let what = format!(
                    "node {id} leads epoch {epoch} with what is up to {applied}; {last} was acknowledged before"
                );
                Err(violated("leaders", what))
            }
        }
    }
}
