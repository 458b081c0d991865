//! Subscriptions by pattern.

use ottla_wire::ErrorCode;

use super::harness::{Client, Cluster, described, settle, shard};
use crate::group::tests::harness::GROUP;

#[test]
fn a_pattern_stands_for_the_topics_that_match_it_whole() {
    let mut cluster = Cluster::of(&[("log-a", 1), ("log-b", 2), ("catalog-a", 4)]);
    let mut shard = shard(&cluster);
    let mut one = Client::of_pattern("one", "log-.*");
    assert_eq!(one.beat(&mut shard), ErrorCode::NONE);
    assert_eq!((one.epoch, one.owned.len()), (2, 3));
    cluster.grow("log-c", 2);
    cluster.tell(&mut shard);
    one.beat(&mut shard);
    assert_eq!(one.owned.len(), 3, "patterns are not matched at every change");
    shard.pass(10_000);
    one.beat(&mut shard);
    assert_eq!((one.epoch, one.owned.len()), (3, 5));
    cluster.delete("log-b");
    cluster.tell(&mut shard);
    settle(&mut shard, &mut [&mut one]);
    assert_eq!(one.owned.len(), 3);
    let member = &described(&mut shard, GROUP).members[0];
    assert_eq!(member.subscribed_topic_regex.as_deref(), Some("log-.*"));
    shard.restart();
}

#[test]
fn names_and_patterns_go_together_and_apart() {
    let cluster = Cluster::of(&[("a", 1), ("b", 1), ("c", 1)]);
    let mut shard = shard(&cluster);
    let mut one = Client { topics: Some(vec!["a".to_owned()]), ..Client::of_pattern("one", "b|x") };
    let mut two = Client::of_pattern("two", "b|x");
    settle(&mut shard, &mut [&mut one, &mut two]);
    assert_eq!(one.owned.len() + two.owned.len(), 2);
    one.regex = Some("c".to_owned());
    settle(&mut shard, &mut [&mut one, &mut two]);
    assert_eq!((one.owned.len(), two.owned.len()), (2, 1));
    // Without a pattern any more, and with one that nobody else has.
    two.regex = Some(String::new());
    two.topics = Some(vec!["c".to_owned()]);
    settle(&mut shard, &mut [&mut one, &mut two]);
    assert_eq!(one.owned.len() + two.owned.len(), 2);
    one.leave(&mut shard, -1);
    settle(&mut shard, &mut [&mut two]);
    assert_eq!(two.owned.len(), 1);
    let (_, group) = shard.state.consumer(GROUP).expect("the group");
    assert!(group.resolved.is_empty(), "nothing is left of patterns that nobody has");
}

#[test]
fn patterns_that_are_none_are_refused() {
    let cluster = Cluster::of(&[("a", 1)]);
    let mut shard = shard(&cluster);
    let deep = format!("{}a{}", "(".repeat(1_000), ")".repeat(1_000));
    for pattern in ["(", "a)(b", "[z-a]", "(?<x", "((a{1000}){1000}){1000}", "\\", &deep, "(?=a)"] {
        let mut one = Client::of_pattern("one", pattern);
        assert_eq!(one.beat(&mut shard), ErrorCode::INVALID_REGULAR_EXPRESSION, "{pattern}");
    }
    assert!(shard.log.is_empty(), "and leave nothing behind");
    let mut one = Client::new("one", &["a"]);
    one.beat(&mut shard);
    one.regex = Some("*".to_owned());
    assert_eq!(one.beat(&mut shard), ErrorCode::INVALID_REGULAR_EXPRESSION);
    one.regex = None;
    assert_eq!((one.beat(&mut shard), one.owned.len()), (ErrorCode::NONE, 1));
}
