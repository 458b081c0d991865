//! Ten thousand consumer groups, and one of a thousand members: what it costs grows as the work
//! does. Bounded by what is written and how often, not by a clock.

use ottla_wire::ErrorCode;

use super::harness::{Client, Cluster, described, shard_with};
use crate::group::consumer::ConsumerRecord;
use crate::group::tests::harness::{GROUP, Shard};
use crate::group::{GroupRecord, GroupSettings};

const GROUPS: usize = 10_000;
const MEMBERS: usize = 1_000;

fn targets(shard: &Shard) -> usize {
    let target = |record: &&GroupRecord| {
        matches!(record, GroupRecord::Consumer(ConsumerRecord::Target { .. }))
    };
    shard.log.iter().filter(target).count()
}

#[test]
fn a_thousand_members_share_two_thousand_partitions() {
    let cluster = Cluster::of(&[("t", 2_000)]);
    let mut shard = shard_with(GroupSettings::default(), &cluster);
    let mut members: Vec<Client> =
        (0..MEMBERS).map(|n| Client::new(&format!("m{n:04}"), &["t"])).collect();
    for member in &mut members {
        assert_eq!(member.beat(&mut shard), ErrorCode::NONE);
        shard.replies.clear();
    }
    // They come within a second: there is one assignment for the first, and one for all others.
    assert_eq!(targets(&shard), 1);
    for _ in 0..4 {
        shard.pass(2_000);
        for member in &mut members {
            assert_eq!(member.beat(&mut shard), ErrorCode::NONE);
            shard.replies.clear();
        }
    }
    assert!(members.iter().all(|member| member.owned.len() == 2), "even");
    assert_eq!(described(&mut shard, GROUP).group_state, "Stable");
    assert_eq!(targets(&shard), 1 + MEMBERS, "each is told once");
    // Four records to come in, and a step or two for each.
    assert!(shard.log.len() <= 8 * MEMBERS, "{} records", shard.log.len());
    let written = shard.log.len();
    for member in &mut members {
        assert_eq!(member.beat(&mut shard), ErrorCode::NONE);
        shard.replies.clear();
    }
    assert_eq!(shard.log.len(), written, "quiet heartbeats write nothing");
    // One that goes moves its own partitions and nobody else's.
    members[0].leave(&mut shard, -1);
    let before = targets(&shard);
    for _ in 0..2 {
        shard.pass(2_000);
        for member in &mut members[1..] {
            assert_eq!(member.beat(&mut shard), ErrorCode::NONE);
            shard.replies.clear();
        }
    }
    assert_eq!(targets(&shard), before + 2, "two of the others have one more");
    shard.restart();
    cluster.tell(&mut shard);
    // All sessions end together: in a few batches, not in one for each.
    let batches = shard.batches;
    shard.pass(45_000);
    assert_eq!(described(&mut shard, GROUP).group_state, "Empty");
    assert!(shard.batches - batches <= MEMBERS / 50, "{} batches", shard.batches - batches);
    shard.restart();
}

#[test]
fn ten_thousand_groups_beat_and_end() {
    let cluster = Cluster::of(&[("t", 3)]);
    let mut shard = shard_with(GroupSettings::default(), &cluster);
    let mut members: Vec<Client> = (0..GROUPS)
        .map(|n| Client { group: format!("group-{n}"), ..Client::new("m", &["t"]) })
        .collect();
    for _ in 0..3 {
        for member in &mut members {
            assert_eq!(member.beat(&mut shard), ErrorCode::NONE);
            shard.replies.clear();
        }
        shard.pass(5_000);
    }
    assert_eq!(shard.log.len(), GROUPS * 5, "what each takes to begin, and nothing after it");
    assert_eq!(shard.waits.timers.len(), GROUPS, "one alarm a member");
    assert_eq!(shard.waits.census(&shard.state).consumer.stable, GROUPS);
    // Topics that change are looked at once, not once a group.
    cluster.tell(&mut shard);
    shard.restart();
    shard.pass(60_000);
    assert_eq!(shard.waits.census(&shard.state).consumer.empty, GROUPS);
}
