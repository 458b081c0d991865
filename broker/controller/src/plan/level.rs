//! A fair share for brokers that hold less than others.

use super::board::Board;
use std::collections::{BTreeMap, BTreeSet};

/// Where replicas of rows are: by broker, by topic, the rows. Topics are told by the number of their first row.
type Holdings = BTreeMap<i32, BTreeMap<usize, BTreeSet<usize>>>;

/// Moves replicas from brokers of `from` to brokers of `onto` that hold fewer, one by one from who holds the most to
/// who holds the least, until no move would bring two of them nearer without racks being spread worse.
pub(super) fn level(board: &mut Board<'_>, from: &BTreeSet<i32>, onto: &BTreeSet<i32>) {
    let topics = topics_of(board);
    let mut held = holdings(board, &topics);
    // Pairs of brokers between which nothing could move when it was last tried.
    let mut stuck: BTreeSet<(i32, i32)> = BTreeSet::new();
    let mut moved_since = false;
    loop {
        if let Some((row, source, target)) = next_move(board, from, onto, &held, &mut stuck) {
            give(board, row, source, target);
            let topic = topics.get(row).copied().unwrap_or(row);
            if let Some(rows) = held.get_mut(&source).and_then(|h| h.get_mut(&topic)) {
                rows.remove(&row);
            }
            held.entry(target).or_default().entry(topic).or_default().insert(row);
            moved_since = true;
        } else if moved_since && !stuck.is_empty() {
            // What moved may have made room in racks.
            stuck.clear();
            moved_since = false;
        } else {
            break;
        }
    }
}

/// The number of the first row of each row's topic.
fn topics_of(board: &Board<'_>) -> Vec<usize> {
    let mut first = 0;
    let mut topics = Vec::with_capacity(board.rows().len());
    for (at, row) in board.rows().iter().enumerate() {
        if board.rows().get(first).is_none_or(|f| f.topic.id != row.topic.id) {
            first = at;
        }
        topics.push(first);
    }
    topics
}

fn holdings(board: &Board<'_>, topics: &[usize]) -> Holdings {
    let mut held = Holdings::new();
    for ((at, row), topic) in board.rows().iter().enumerate().zip(topics) {
        for broker in &row.now {
            held.entry(*broker).or_default().entry(*topic).or_default().insert(at);
        }
    }
    held
}

/// The next replica to move: its row, from where and to where.
fn next_move(
    board: &Board<'_>,
    from: &BTreeSet<i32>,
    onto: &BTreeSet<i32>,
    held: &Holdings,
    stuck: &mut BTreeSet<(i32, i32)>,
) -> Option<(usize, i32, i32)> {
    let mut targets: Vec<i32> = onto.iter().copied().collect();
    targets.sort_by_key(|b| (board.turn(*b), *b));
    let mut sources: Vec<i32> = from.iter().copied().collect();
    sources.sort_by_key(|b| (std::cmp::Reverse(board.load(*b).replicas), *b));
    for target in &targets {
        for source in &sources {
            if board.load(*source).replicas < board.load(*target).replicas + 2 {
                break;
            }
            if stuck.contains(&(*source, *target)) {
                continue;
            }
            match movable(board, *source, *target, held) {
                Some(row) => return Some((row, *source, *target)),
                None => stuck.insert((*source, *target)),
            };
        }
    }
    None
}

/// The row whose replica moves best from one broker to another: of the topic that is spread worst between the two, and
/// one that the source leads if it leads more than the target.
fn movable(board: &Board<'_>, source: i32, target: i32, held: &Holdings) -> Option<usize> {
    let theirs = held.get(&source)?;
    let none = BTreeMap::new();
    let others = held.get(&target).unwrap_or(&none);
    let worst_first = |topic: &usize, rows: &BTreeSet<usize>| {
        let there = others.get(topic).map_or(0, BTreeSet::len);
        (std::cmp::Reverse(rows.len().saturating_sub(there)), rows.len(), *topic)
    };
    let best = theirs.iter().min_by_key(|(topic, rows)| worst_first(topic, rows));
    if let Some(row) = best.and_then(|(_, rows)| of_topic(board, rows, source, target)) {
        return Some(row);
    }
    let mut topics: Vec<_> = theirs.iter().collect();
    topics.sort_by_key(|(topic, rows)| worst_first(topic, rows));
    topics.into_iter().find_map(|(_, rows)| of_topic(board, rows, source, target))
}

fn of_topic(board: &Board<'_>, rows: &BTreeSet<usize>, source: i32, target: i32) -> Option<usize> {
    let wants_leader = board.load(source).leads >= board.load(target).leads + 2;
    let mut second = None;
    for at in rows {
        let Some(row) = board.rows().get(*at) else { continue };
        let racks = board.racks();
        let fits = !row.now.contains(&target) && {
            let others: Vec<i32> = row.now.iter().copied().filter(|b| *b != source).collect();
            racks.sharing(&others, target) <= racks.sharing(&others, source)
        };
        if !fits {
            continue;
        }
        if (row.now.first() == Some(&source)) == wants_leader {
            return Some(*at);
        }
        second = second.or(Some(*at));
    }
    second
}

fn give(board: &mut Board<'_>, row: usize, source: i32, target: i32) {
    let Some(mut replicas) = board.rows().get(row).map(|r| r.now.clone()) else { return };
    let led = replicas.first() == Some(&source);
    if let Some(slot) = replicas.iter_mut().find(|b| **b == source) {
        *slot = target;
        board.set(row, replicas);
    }
    if led {
        board.lead_anew(row);
    }
}
