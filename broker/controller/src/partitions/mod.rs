//! Changes of partitions: leaders, in-sync replicas, eligible leaders, reassignments, directories.

mod change;
mod directories;
mod elect;
mod isr;
mod leaders;
mod reassign;

pub(crate) use directories::assign_replicas_to_dirs;
pub(crate) use elect::elect_leaders;
pub(crate) use isr::alter_partition;
pub(crate) use leaders::{Cause, Chore, LeaderRules, do_chore, update_leaders};
pub(crate) use reassign::{alter_partition_reassignments, list_partition_reassignments};
