//! Laws of replication, held by the real leader and follower machines of three brokers under a
//! model of the controller, while messages are delayed, lost, doubled and reordered, brokers are
//! paused, killed and lose their unflushed records, and hear of metadata at different times.
//!
//! What was below anybody's high watermark stays: it is one sequence, every in-sync replica has it,
//! and no other record ever takes its place. When the trouble ends, all replicas agree and are in
//! sync within a bounded number of rounds.

#[path = "laws/cluster.rs"]
mod cluster;
#[path = "laws/control.rs"]
mod control;
#[path = "laws/log.rs"]
mod log;

use cluster::{Cluster, Message};
use ottla_replica::Acks;
use proptest::prelude::*;

/// Rounds within which everything is to heal.
const ROUNDS: usize = 40;

/// One step, chosen by three numbers.
fn step(cluster: &mut Cluster, what: u8, which: u8, how: u16) {
    let node = usize::from(which) % cluster.nodes.len();
    let message = match cluster.messages.len() {
        0 => None,
        n => Some(usize::from(how) % n),
    };
    match (what % 32, message) {
        (0..=5, _) => cluster.produce(node, Acks::All),
        (6, _) => cluster.produce(node, Acks::Leader),
        (7..=12, _) => cluster.ask(node),
        (13..=20, Some(at)) => {
            let message = cluster.messages.swap_remove(at);
            cluster.deliver(message);
        }
        (21, Some(at)) => drop(cluster.messages.swap_remove(at)),
        (22, Some(at)) => {
            let again: Message = cluster.messages[at].clone();
            cluster.messages.push(again);
        }
        (23..=24, _) => cluster.hear(node),
        (25, _) => cluster.pass(u64::from(how % 1500)),
        (26, _) => cluster.check(node),
        (27, _) => cluster.propose_again(node),
        (28, _) => match how % 4 {
            0 => cluster.kill(node),
            1 => cluster.lose_power(node, how / 4),
            2 => cluster.fence(node),
            _ => cluster.delete(node, how / 4),
        },
        (29, _) => cluster.unfence(node),
        (30, _) => cluster.flush(node),
        (31, _) => {
            cluster.hear(node);
            cluster.ask(node);
        }
        _ => {}
    }
}

fn run(steps: &[(u8, u8, u16)], min_in_sync: usize) -> Cluster {
    let mut cluster = Cluster::new(min_in_sync);
    for (what, which, how) in steps {
        step(&mut cluster, *what, *which, *how);
        cluster.verify();
    }
    cluster
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6000))]

    #[test]
    fn what_is_committed_stays_and_everything_heals(
        steps in proptest::collection::vec(any::<(u8, u8, u16)>(), 0..700),
        min_in_sync in 1..=2_usize,
    ) {
        let mut cluster = run(&steps, min_in_sync);
        let rounds = cluster.heal(ROUNDS);
        prop_assert!(rounds.is_some(), "not healed after {ROUNDS} rounds: {cluster:#?}");
    }
}

/// Without trouble the rounds are few, and everything is acknowledged.
#[test]
fn an_undisturbed_cluster_acknowledges_everything() {
    let mut cluster = Cluster::new(2);
    for _ in 0..10 {
        let leader = cluster.leader().unwrap();
        cluster.produce(leader, Acks::All);
        (0..cluster.nodes.len()).for_each(|node| cluster.ask(node));
        cluster.deliver_all();
        (0..cluster.nodes.len()).for_each(|node| cluster.ask(node));
        cluster.deliver_all();
        cluster.verify();
    }
    assert_eq!(cluster.acknowledged, 10);
    assert_eq!(cluster.heal(3), Some(1), "one round for the last high watermark");
}
