//! Changes of partitions: leaders, in-sync replicas, eligible leaders, reassignments, directories.

mod change;
mod leaders;

pub(crate) use change::{Change, Election};
pub(crate) use leaders::{Cause, LeaderRules, balance, update_leaders};
