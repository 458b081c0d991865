//! New places for replicas that must go.

use super::PlanError;
use super::board::{Board, Row};

/// Finds new places for all replicas that `goes` says of, on brokers that are `allowed`.
pub(super) fn drain(
    board: &mut Board<'_>,
    goes: &dyn Fn(usize, &Row<'_>, i32) -> bool,
    allowed: &dyn Fn(i32) -> bool,
) -> Result<(), PlanError> {
    let mut placed: Vec<(usize, usize)> = Vec::new();
    for at in 0..board.rows().len() {
        let Some(row) = board.rows().get(at) else { break };
        let going: Vec<usize> = (row.now.iter().enumerate())
            .filter(|(_, broker)| goes(at, row, **broker))
            .map(|(place, _)| place)
            .collect();
        if going.is_empty() {
            continue;
        }
        let mut replicas = row.now.clone();
        let mut beside: Vec<i32> = (replicas.iter().enumerate())
            .filter(|(place, _)| !going.contains(place))
            .map(|(_, broker)| *broker)
            .collect();
        for place in &going {
            let gone: Vec<i32> = going.iter().filter_map(|p| row.now.get(*p).copied()).collect();
            let free = |b: i32| allowed(b) && !gone.contains(&b);
            let Some(chosen) = board.racks().choose(&beside, free, |b| board.turn(b)) else {
                return Err(board.too_few(at, replicas.len(), beside.len()));
            };
            beside.push(chosen);
            if let Some(slot) = replicas.get_mut(*place) {
                *slot = chosen;
            }
        }
        board.set(at, replicas);
        placed.extend(going.into_iter().map(|place| (at, place)));
    }
    even_out(board, &placed, allowed);
    for (at, place) in placed {
        if place == 0 {
            board.lead_anew(at);
        }
    }
    Ok(())
}

/// Moves what was just placed from brokers that hold much to those that hold less, as long as racks are spread no
/// worse. Each step brings two loads nearer to each other, so that the steps come to an end.
fn even_out(board: &mut Board<'_>, placed: &[(usize, usize)], allowed: &dyn Fn(i32) -> bool) {
    let mut moved = true;
    while moved {
        moved = false;
        for (at, place) in placed {
            let Some(row) = board.rows().get(*at) else { continue };
            let Some(broker) = row.now.get(*place).copied() else { continue };
            let mut others = row.now.clone();
            others.remove(*place);
            let (shared, load) =
                (board.racks().sharing(&others, broker), board.load(broker).replicas);
            // A replica that had to leave a broker does not come back to it.
            let before = &row.before;
            let better = |b: i32| {
                allowed(b)
                    && !before.contains(&b)
                    && board.racks().sharing(&others, b) <= shared
                    && board.load(b).replicas + 2 <= load
            };
            let Some(chosen) = board.racks().choose(&others, better, |b| board.turn(b)) else {
                continue;
            };
            let mut replicas = row.now.clone();
            if let Some(slot) = replicas.get_mut(*place) {
                *slot = chosen;
            }
            board.set(*at, replicas);
            moved = true;
        }
    }
}
