//! Static members of consumer groups.

use ottla_wire::ErrorCode;

use super::harness::{Client, Cluster, described, settle, shard};
use crate::group::tests::harness::GROUP;

#[test]
fn one_that_is_back_in_time_has_what_it_had() {
    let cluster = Cluster::of(&[("t", 4)]);
    let mut shard = shard(&cluster);
    let mut one = Client::of_instance("one", "i1", &["t"]);
    let mut two = Client::of_instance("two", "i2", &["t"]);
    settle(&mut shard, &mut [&mut one, &mut two]);
    let had = one.owned.clone();
    assert_eq!(one.leave(&mut shard, -2), ErrorCode::NONE);
    two.beat(&mut shard);
    assert_eq!((two.epoch, two.owned.len()), (3, 2), "nobody gets what it left");
    let mut again = Client::of_instance("again", "i1", &["t"]);
    assert_eq!(again.beat(&mut shard), ErrorCode::NONE);
    assert_eq!((again.epoch, &again.owned), (3, &had));
    let group = described(&mut shard, GROUP);
    assert_eq!((group.group_epoch, group.members.len()), (3, 2), "without a new epoch");
    one.epoch = 3;
    assert_eq!(one.beat(&mut shard), ErrorCode::FENCED_INSTANCE_ID);
    shard.restart();
}

#[test]
fn an_instance_is_of_one_member_at_a_time() {
    let cluster = Cluster::of(&[("t", 4)]);
    let mut shard = shard(&cluster);
    let mut one = Client::of_instance("one", "i1", &["t"]);
    one.beat(&mut shard);
    let mut other = Client::of_instance("other", "i1", &["t"]);
    assert_eq!(other.beat(&mut shard), ErrorCode::UNRELEASED_INSTANCE_ID);
    other.epoch = 2;
    assert_eq!(other.beat(&mut shard), ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(other.leave(&mut shard, -1), ErrorCode::FENCED_INSTANCE_ID);
    let mut unknown = Client { epoch: 1, ..Client::of_instance("one", "i9", &["t"]) };
    assert_eq!(unknown.beat(&mut shard), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(one.beat(&mut shard), ErrorCode::NONE);
}

#[test]
fn one_that_does_not_come_back_is_out() {
    let cluster = Cluster::of(&[("t", 4)]);
    let mut shard = shard(&cluster);
    let mut one = Client::of_instance("one", "i1", &["t"]);
    let mut two = Client::new("two", &["t"]);
    settle(&mut shard, &mut [&mut one, &mut two]);
    one.leave(&mut shard, -2);
    shard.pass(30_000);
    two.beat(&mut shard);
    shard.pass(15_001);
    settle(&mut shard, &mut [&mut two]);
    assert_eq!(two.owned.len(), 4);
    let mut again = Client::of_instance("again", "i1", &["t"]);
    settle(&mut shard, &mut [&mut again, &mut two]);
    assert_eq!((again.owned.len(), two.owned.len()), (2, 2));
    assert_eq!(again.leave(&mut shard, -1), ErrorCode::NONE, "for good");
    settle(&mut shard, &mut [&mut two]);
    assert_eq!(two.owned.len(), 4);
}
