//! What there is in a shard, for those who count.

use super::classic::Phase;
use super::consumer::Stage;
use super::state::GroupState;
use super::view::View;
use super::waits::GroupWaits;

/// How many groups are in each state, the classic ones first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// In `Empty`.
    pub empty: usize,
    /// In `PreparingRebalance`.
    pub preparing_rebalance: usize,
    /// In `CompletingRebalance`.
    pub completing_rebalance: usize,
    /// In `Stable`.
    pub stable: usize,
    /// The groups of the consumer protocol.
    pub consumer: ConsumerCensus,
}

/// How many groups of the consumer protocol are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsumerCensus {
    /// In `Empty`.
    pub empty: usize,
    /// In `Assigning`.
    pub assigning: usize,
    /// In `Reconciling`.
    pub reconciling: usize,
    /// In `Stable`.
    pub stable: usize,
}

/// A committed offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommittedOffset<'a> {
    /// The group.
    pub group: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The offset of the next record to read.
    pub offset: i64,
}

impl GroupWaits {
    /// Counts the groups; looks at each.
    #[must_use]
    pub fn census(&self, state: &GroupState) -> Census {
        let mut census = Census::default();
        for id in state.groups.keys() {
            let Some(view) = View::of(state, &self.live, id) else { continue };
            let count = match view {
                View::Stored(_) => &mut census.empty,
                View::Live(group) => match group.phase {
                    Phase::Empty => &mut census.empty,
                    Phase::PreparingRebalance => &mut census.preparing_rebalance,
                    Phase::CompletingRebalance => &mut census.completing_rebalance,
                    Phase::Stable => &mut census.stable,
                },
                View::Consumer(group) => match group.stage() {
                    Stage::Empty => &mut census.consumer.empty,
                    Stage::Assigning => &mut census.consumer.assigning,
                    Stage::Reconciling => &mut census.consumer.reconciling,
                    Stage::Stable => &mut census.consumer.stable,
                },
            };
            *count += 1;
        }
        census
    }
}

impl GroupState {
    /// Every committed offset, by group, topic and partition; what open transactions wrote is not
    /// among them.
    pub fn committed(&self) -> impl Iterator<Item = CommittedOffset<'_>> {
        self.offsets.groups().flat_map(|(group, offsets)| {
            offsets.committed.iter().flat_map(move |(topic, partitions)| {
                partitions.iter().map(move |(partition, committed)| CommittedOffset {
                    group,
                    topic,
                    partition: *partition,
                    offset: committed.offset,
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::group::tests::harness::{GROUP, Shard};
    use crate::group::{Census, CommittedOffset};

    #[test]
    fn groups_and_offsets_are_counted() {
        let mut shard = Shard::new();
        assert_eq!(shard.waits.census(&shard.state), Census::default());
        let ids = shard.stable(1);
        shard.commit(&ids[0], 1, "t", 7);
        let census = shard.waits.census(&shard.state);
        assert_eq!(census, Census { stable: 1, ..Census::default() });
        let committed: Vec<_> = shard.state.committed().collect();
        let known = CommittedOffset { group: GROUP, topic: "t", partition: 0, offset: 7 };
        assert_eq!(committed, [known]);
        shard.leave(&ids[0], None);
        let census = shard.waits.census(&shard.state);
        assert_eq!(census, Census { empty: 1, ..Census::default() });
    }
}
