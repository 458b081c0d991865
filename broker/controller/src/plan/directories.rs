//! Replicas out of one log directory.

use super::PlanError;
use super::board::Board;
use super::drain::drain;
use ottla_wire::Uuid;
use std::collections::{BTreeMap, BTreeSet};

/// Empties a directory: into the broker's other directories that take replicas, the one that holds the fewest first;
/// without any, to other brokers.
pub(super) fn empty(board: &mut Board<'_>, broker: i32, gone: Uuid) -> Result<(), PlanError> {
    let image = board.image();
    let registration = image.broker(broker).ok_or(PlanError::UnknownBroker(broker))?;
    if !registration.log_dirs.contains(&gone) {
        return Err(PlanError::UnknownDirectory { broker, directory: gone });
    }
    let takes = |d: &&Uuid| **d != gone && !registration.cordoned_log_dirs.contains(d);
    let mut held: BTreeMap<Uuid, usize> =
        registration.log_dirs.iter().filter(takes).map(|d| (*d, 0)).collect();
    for topic in image.topics() {
        for (_, p) in topic.partitions.iter() {
            if let Some(count) = p.directory_of(broker).and_then(|d| held.get_mut(&d)) {
                *count += 1;
            }
        }
    }
    let inside: BTreeSet<usize> = (board.rows().iter().enumerate())
        .filter(|(_, row)| {
            row.now.contains(&broker) && row.partition.directory_of(broker) == Some(gone)
        })
        .map(|(at, _)| at)
        .collect();
    if held.is_empty() {
        return drain(board, &|at, _, b| b == broker && inside.contains(&at), &|b| b != broker);
    }
    for at in inside {
        let Some((directory, count)) = held.iter_mut().min_by_key(|(d, n)| (**n, **d)) else {
            break;
        };
        *count += 1;
        board.set_directory(at, broker, *directory);
    }
    Ok(())
}
