//! Plans of where replicas shall go, from an image alone: for `ottla reassign-partitions` and the operator.
//!
//! Invariant: a plan moves nothing without need, puts replicas by the rule of placement (`placement/beside.rs`), and is
//! a function of the image and the goal. It counts replicas; a balance by load has its place here as another goal.
//!
//! Start reading at [`plan`]; `board.rs` counts, `drain.rs` finds places, `level.rs` evens out.

mod board;
mod directories;
mod drain;
mod factor;
mod level;

use board::Board;
use ottla_metadata::Image;
use ottla_wire::Uuid;
use ottla_wire::api::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use thiserror::Error;

/// What a plan is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// No replica on these brokers.
    EmptyBrokers(BTreeSet<i32>),
    /// No replica in a log directory: into others of the broker while it has one that takes replicas, else to other
    /// brokers.
    EmptyDirectory {
        /// The broker.
        broker: i32,
        /// The id of the directory.
        directory: Uuid,
    },
    /// So many replicas of each partition.
    ReplicationFactor(i16),
    /// A fair share for these brokers, which are new, of what the others hold.
    Spread(BTreeSet<i32>),
    /// Replicas on these brokers only, and evenly.
    Only(BTreeSet<i32>),
}

/// The topics that a plan may touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topics {
    /// All there are.
    All,
    /// Those of these names.
    Named(BTreeSet<String>),
}

/// Another place for replicas of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The replicas as they are, or will be when a reassignment under way is done.
    pub from: Vec<i32>,
    /// The replicas as they shall be, the preferred leader first.
    pub to: Vec<i32>,
    /// Directories that replicas shall be in, by their brokers; the others are for their brokers to choose.
    pub directories: BTreeMap<i32, Uuid>,
}

/// Moves in the order of topics' names and partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The moves; partitions that stay as they are have none.
    pub moves: Vec<Move>,
}

impl Plan {
    /// The request that begins the plan. Moves between directories of one broker are not in it: they are for
    /// AlterReplicaLogDirs of that broker.
    #[must_use]
    pub fn request(&self, timeout_ms: i32) -> AlterPartitionReassignmentsRequest {
        let mut topics: BTreeMap<&str, Vec<ReassignablePartition>> = BTreeMap::new();
        for m in self.moves.iter().filter(|m| m.from != m.to) {
            let replicas = Some(m.to.clone());
            let moved = ReassignablePartition { partition_index: m.partition, replicas };
            topics.entry(&m.topic).or_default().push(moved);
        }
        let topics = topics
            .into_iter()
            .map(|(name, partitions)| ReassignableTopic { name: name.to_owned(), partitions });
        AlterPartitionReassignmentsRequest {
            timeout_ms,
            topics: topics.collect(),
            ..AlterPartitionReassignmentsRequest::default()
        }
    }
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlanError {
    /// A goal names a broker that is not registered.
    #[error("broker {0} is not registered")]
    UnknownBroker(i32),
    /// A goal names a broker for replicas that takes none.
    #[error(
        "broker {0} takes no replicas now: it is fenced, shutting down, or all its log directories are cordoned"
    )]
    TakesNothing(i32),
    /// There is no such topic.
    #[error("there is no topic {0}")]
    UnknownTopic(String),
    /// A goal names a directory that its broker does not have online.
    #[error("broker {broker} has no log directory {directory} that is online")]
    UnknownDirectory {
        /// The broker.
        broker: i32,
        /// The directory.
        directory: Uuid,
    },
    /// A goal names no broker.
    #[error("no broker is named")]
    NoBroker,
    /// A number of replicas below 1.
    #[error("the replication factor must be 1 or more, not {0}")]
    Factor(i16),
    /// No broker is left that could take a replica.
    #[error(
        "{topic}-{partition} needs {wanted} replica(s), but only {found} broker(s) can hold one"
    )]
    TooFewBrokers {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// Replicas it needs.
        wanted: usize,
        /// Brokers that hold one or can take one.
        found: usize,
    },
}

/// Plans how to reach a goal, in the topics that it may touch.
///
/// # Errors
/// When the goal names what is not there, or cannot be reached; then nothing is planned.
pub fn plan(image: &Image, goal: &Goal, topics: &Topics) -> Result<Plan, PlanError> {
    let mut board = Board::new(image, topics)?;
    match goal {
        Goal::EmptyBrokers(gone) => {
            drain::drain(&mut board, &|_, _, broker| gone.contains(&broker), &|b| {
                !gone.contains(&b)
            })?;
        }
        Goal::EmptyDirectory { broker, directory } => {
            directories::empty(&mut board, *broker, *directory)?;
        }
        Goal::ReplicationFactor(factor) => factor::change(&mut board, *factor)?,
        Goal::Spread(onto) => {
            check_takers(&board, onto)?;
            let from = image.brokers().map(|b| b.id).filter(|b| !onto.contains(b)).collect();
            level::level(&mut board, &from, onto);
        }
        Goal::Only(onto) => {
            check_takers(&board, onto)?;
            drain::drain(&mut board, &|_, _, b| !onto.contains(&b), &|b| onto.contains(&b))?;
            level::level(&mut board, onto, onto);
        }
    }
    Ok(board.into_plan())
}

fn check_takers(board: &Board<'_>, brokers: &BTreeSet<i32>) -> Result<(), PlanError> {
    if brokers.is_empty() {
        return Err(PlanError::NoBroker);
    }
    for id in brokers {
        if board.image().broker(*id).is_none() {
            return Err(PlanError::UnknownBroker(*id));
        }
        if !board.racks().takes(*id) {
            return Err(PlanError::TakesNothing(*id));
        }
    }
    Ok(())
}
