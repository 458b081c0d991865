//! Another number of replicas.

use super::PlanError;
use super::board::Board;

/// Gives every partition `factor` replicas.
pub(super) fn change(board: &mut Board<'_>, factor: i16) -> Result<(), PlanError> {
    let wanted =
        usize::try_from(factor).ok().filter(|n| *n > 0).ok_or(PlanError::Factor(factor))?;
    for at in 0..board.rows().len() {
        let Some(row) = board.rows().get(at) else { break };
        let mut replicas = row.now.clone();
        let led_by = replicas.first().copied();
        while replicas.len() < wanted {
            let Some(chosen) = board.racks().choose(&replicas, |_| true, |b| board.turn(b)) else {
                return Err(board.too_few(at, wanted, replicas.len()));
            };
            replicas.push(chosen);
        }
        while replicas.len() > wanted {
            let goes = least_needed(board, at, &replicas);
            replicas.remove(goes);
        }
        if replicas == row.now {
            continue;
        }
        let leader_went = replicas.first().copied() != led_by;
        board.set(at, replicas);
        if leader_went {
            board.lead_anew(at);
        }
    }
    Ok(())
}

/// The place of the replica that is needed least: one that is not in sync before one that is, then one that shares its
/// rack with others, then one whose broker holds the most; the preferred leader last.
fn least_needed(board: &Board<'_>, row: usize, replicas: &[i32]) -> usize {
    let isr = board.rows().get(row).map(|r| &r.partition.isr);
    let need = |(at, broker): (usize, &i32)| {
        let in_sync = isr.is_some_and(|isr| isr.contains(broker));
        let shared = board.racks().sharing(replicas, *broker);
        let follows = at > 0;
        ((!in_sync, shared, follows, board.load(*broker).replicas, at), at)
    };
    replicas.iter().enumerate().map(need).max().map_or(0, |(_, at)| at)
}
