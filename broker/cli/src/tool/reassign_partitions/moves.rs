//! What moves where, and the throttles that this needs.

use std::collections::{BTreeMap, BTreeSet};

use ottla_client::{Reassignment, TopicPartition};

use crate::tool::connect::joined;

/// The rates of brokers for moves between brokers.
pub(super) const RATES: [&str; 2] =
    ["leader.replication.throttled.rate", "follower.replication.throttled.rate"];

/// The rate of brokers for moves between their log directories.
pub(super) const LOG_DIRS_RATE: &str = "replica.alter.log.dirs.io.max.bytes.per.second";

/// The replicas of a topic to which the leader's rate applies.
pub(super) const LEADERS: &str = "leader.replication.throttled.replicas";

/// The replicas of a topic to which the follower's rate applies.
pub(super) const FOLLOWERS: &str = "follower.replication.throttled.replicas";

/// Where replicas of one partition come from and go to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Move {
    from: BTreeSet<i32>,
    to: BTreeSet<i32>,
}

/// The moves that are under way and those that are asked for, by partition.
pub(super) fn moves(
    under_way: &BTreeMap<TopicPartition, Reassignment>,
    wanted: &BTreeMap<TopicPartition, Vec<i32>>,
    now: &BTreeMap<TopicPartition, Vec<i32>>,
) -> BTreeMap<TopicPartition, Move> {
    let mut moves: BTreeMap<TopicPartition, Move> = BTreeMap::new();
    for (partition, moving) in under_way.iter().filter(|(_, m)| !m.adding.is_empty()) {
        let to: BTreeSet<i32> = moving.adding.iter().copied().collect();
        let from = moving.replicas.iter().copied().filter(|b| !to.contains(b)).collect();
        moves.insert(partition.clone(), Move { from, to });
    }
    for (partition, replicas) in wanted {
        // Where a move is under way, replicas come from where that one began.
        let from = match moves.get(partition) {
            Some(before) => before.from.clone(),
            None => now.get(partition).into_iter().flatten().copied().collect(),
        };
        let to = replicas.iter().copied().filter(|b| !from.contains(b)).collect();
        moves.insert(partition.clone(), Move { from, to });
    }
    moves
}

/// The brokers that take part in moves.
pub(super) fn brokers(moves: &BTreeMap<TopicPartition, Move>) -> BTreeSet<i32> {
    moves.values().flat_map(|m| m.from.union(&m.to).copied()).collect()
}

/// The throttled replicas of each topic: of leaders and of followers, as `partition:broker` separated by commas.
pub(super) fn throttled(
    moves: &BTreeMap<TopicPartition, Move>,
) -> BTreeMap<&str, (String, String)> {
    let mut topics: BTreeMap<&str, (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
    for (p, m) in moves {
        let (leaders, followers) = topics.entry(&p.topic).or_default();
        leaders.extend(m.from.iter().map(|b| format!("{}:{b}", p.partition)));
        followers.extend(m.to.iter().map(|b| format!("{}:{b}", p.partition)));
    }
    let lists = topics.into_iter();
    lists.map(|(topic, (l, f))| (topic, (joined(l, ","), joined(f, ",")))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_is_throttled_on_both_sides() {
        let p = |n| TopicPartition::new("t", n);
        let wanted = BTreeMap::from([(p(0), vec![2, 3]), (p(1), vec![4, 5])]);
        let now = BTreeMap::from([(p(0), vec![1, 2]), (p(1), vec![1, 2, 4])]);
        let under_way = BTreeMap::from([(
            p(1),
            Reassignment { replicas: vec![1, 2, 4], adding: vec![4], removing: vec![1] },
        )]);
        let moves = moves(&under_way, &wanted, &now);
        let lists = throttled(&moves);
        assert_eq!(lists["t"], ("0:1,0:2,1:1,1:2".to_owned(), "0:3,1:4,1:5".to_owned()));
        assert_eq!(brokers(&moves), BTreeSet::from([1, 2, 3, 4, 5]));
    }
}
