//! Brokers that replicate, in one process, with the real controller and metadata log: followers
//! catch up, in-sync replicas come and go, brokers are killed, and nothing that was acknowledged is
//! lost.

#[path = "replication/cluster.rs"]
mod cluster;
#[path = "replication/serve.rs"]
mod serve;
#[path = "replication/wires.rs"]
mod wires;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cluster::{Cluster, TOPIC, append, append_batch, values};
use ottla_controller::Command;
use ottla_engine::{Ack, Fetch, FetchItem, FetchParams, Fetched, ReadAsk, ReadFrom, Reader, fetch};
use ottla_replica::{Acks, EpochCheck};
use ottla_wire::ErrorCode;
use ottla_wire::api::elect_leaders::{ElectLeadersRequest, TopicPartitions};

const ALL: [i32; 3] = [1, 2, 3];

/// Produces until it is acknowledged.
fn insist(cluster: &Cluster, topic: &str, partition: i32, value: &str) -> i64 {
    let begun = Instant::now();
    loop {
        match cluster.produce(topic, partition, value, Acks::All) {
            Ok(offset) => return offset,
            Err(error) => assert!(begun.elapsed() < cluster::PATIENCE, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_is_written_is_on_all_replicas() {
    let cluster = Cluster::start(3, &[]);
    cluster.create(TOPIC, 6, &ALL, 2);
    for n in 0..60 {
        let partition = n % 6;
        insist(&cluster, TOPIC, partition, &format!("v{n}"));
    }
    for partition in 0..6 {
        let found = cluster.agreed(TOPIC, partition);
        let expected: Vec<_> =
            (0..10).map(|n| (n, format!("v{}", n * 6 + i64::from(partition)))).collect();
        assert_eq!(found, expected);
    }
    for node in cluster.nodes.values() {
        assert_eq!(node.replication.counts(), (2, 4), "two leaders, each of two partitions");
    }
}

/// A leader would hold a follower's request for 20 s; what is new must not wait for it.
#[test]
fn a_new_partition_is_followed_while_another_request_waits() {
    let lag = "replica.lag.time.max.ms=60000";
    let cluster = Cluster::start(2, &["replica.fetch.wait.max.ms=20000", lag]);
    cluster.create(TOPIC, 1, &[1, 2], 2);
    insist(&cluster, TOPIC, 0, "first");
    let begun = Instant::now();
    for n in 0..10 {
        let name = format!("new-{n}");
        cluster.create(&name, 1, &[1, 2], 2);
        insist(&cluster, &name, 0, "value");
        cluster.agreed(&name, 0);
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "took {:?}", begun.elapsed());
}

#[test]
fn a_follower_that_lags_leaves_and_comes_back() {
    let cluster = Cluster::start(3, &[]);
    cluster.create(TOPIC, 1, &ALL, 3);
    insist(&cluster, TOPIC, 0, "before");
    let leader = cluster.leader(TOPIC, 0);
    let away = ALL.into_iter().find(|id| *id != leader).unwrap();
    cluster.wires.cut(leader, away);
    // Something that it has not got.
    cluster.produce(TOPIC, 0, "meanwhile", Acks::Leader).unwrap();
    cluster.wait("it is out", |c| !c.isr(TOPIC, 0).contains(&away));
    cluster.wait("the leader knows", |c| {
        c.produce(TOPIC, 0, "refused", Acks::All) == Err(ErrorCode::NOT_ENOUGH_REPLICAS)
    });
    assert_eq!(cluster.leader(TOPIC, 0), leader);
    cluster.wires.mend();
    insist(&cluster, TOPIC, 0, "after");
    let found = cluster.agreed(TOPIC, 0);
    assert_eq!(found.first().unwrap().1, "before");
    assert_eq!(found.last().unwrap().1, "after");
}

/// A connection that breaks does not end the session at the leader; the follower does, when it
/// begins the next one.
#[test]
fn a_follower_leaves_no_session_behind() {
    let cluster = Cluster::start(2, &[]);
    cluster.create(TOPIC, 1, &[1, 2], 1);
    insist(&cluster, TOPIC, 0, "before");
    cluster.agreed(TOPIC, 0);
    let leader = cluster.leader(TOPIC, 0);
    let away = 3 - leader;
    let sessions = || cluster.nodes[&leader].server.sessions.counts().0;
    cluster.wait("it has a session", |_| sessions() == 1);
    cluster.wires.cut(leader, away);
    cluster.produce(TOPIC, 0, "meanwhile", Acks::Leader).unwrap();
    cluster.wait("it is out", |c| c.isr(TOPIC, 0) == [leader]);
    assert_eq!(sessions(), 1, "the leader does not hear that the connection broke");
    cluster.wires.mend();
    cluster.wait("it is back", |c| c.isr(TOPIC, 0).len() == 2);
    assert_eq!(sessions(), 1);
    cluster.agreed(TOPIC, 0);
}

/// What the leader wrote that nobody fetched goes when it comes back as a follower.
#[test]
fn a_former_leader_cuts_what_nobody_has() {
    let mut cluster = Cluster::start(3, &[]);
    cluster.create(TOPIC, 1, &ALL, 2);
    insist(&cluster, TOPIC, 0, "kept");
    cluster.agreed(TOPIC, 0);
    let former = cluster.leader(TOPIC, 0);
    let others: Vec<i32> = ALL.into_iter().filter(|id| *id != former).collect();
    others.iter().for_each(|id| cluster.wires.cut(former, *id));
    let replica = cluster.replica(former, TOPIC, 0).unwrap();
    let lost = append(&replica, "lost", Acks::All).unwrap();
    assert!(matches!(lost.ack, Ack::Wait(_)));
    (0..5).for_each(|_| drop(append(&replica, "lost too", Acks::Leader)));
    drop(replica);
    cluster.kill(former);
    cluster.wait("another leads", |c| others.contains(&c.leader(TOPIC, 0)));
    insist(&cluster, TOPIC, 0, "next");
    cluster.wires.mend();
    cluster.begin(former);
    let found: Vec<_> = cluster.agreed(TOPIC, 0).into_iter().map(|(_, value)| value).collect();
    assert_eq!(found, ["kept", "next"]);
    let epochs: Vec<i32> = values(&cluster.replica(former, TOPIC, 0).unwrap())
        .into_iter()
        .map(|(_, epoch, _)| epoch)
        .collect();
    assert!(epochs[0] < epochs[1]);
}

/// A follower that was away while the leader deleted what it lacks begins anew at the leader's
/// start.
#[test]
fn a_follower_behind_the_leaders_start_begins_there() {
    let mut cluster = Cluster::start(2, &[]);
    cluster.create(TOPIC, 1, &[1, 2], 1);
    insist(&cluster, TOPIC, 0, "old");
    cluster.agreed(TOPIC, 0);
    let leader = cluster.leader(TOPIC, 0);
    let away = 3 - leader;
    cluster.kill(away);
    cluster.wait("it is out", |c| c.isr(TOPIC, 0) == [leader]);
    (0..20).for_each(|n| {
        insist(&cluster, TOPIC, 0, &format!("v{n}"));
    });
    let replica = cluster.replica(leader, TOPIC, 0).unwrap();
    assert_eq!(replica.delete_records(15).unwrap(), 15);
    assert_eq!(replica.low_watermark().unwrap(), 15, "the other is not in service");
    drop(replica);
    cluster.begin(away);
    insist(&cluster, TOPIC, 0, "new");
    let found = cluster.agreed(TOPIC, 0);
    assert_eq!(found.first().unwrap(), &(15, "v14".to_owned()));
    assert_eq!(cluster.replica(away, TOPIC, 0).unwrap().log().start_offset(), 15);
    // And hears of what is deleted while it is there.
    let replica = cluster.replica(leader, TOPIC, 0);
    let replica = replica.filter(|r| r.leader_epoch().is_some());
    let replica = replica.unwrap_or_else(|| cluster.replica(away, TOPIC, 0).unwrap());
    assert_eq!(replica.delete_records(18).unwrap(), 18);
    match replica.wait_deleted(18).unwrap() {
        Ack::Now => {}
        Ack::Wait(wait) => cluster.runtime.block_on(async {
            tokio::time::timeout(cluster::PATIENCE, wait).await.unwrap().unwrap();
        }),
    }
    assert_eq!(replica.low_watermark().unwrap(), 18);
}

/// The leader deleted records up to the middle of a batch, and a follower comes back that ends just
/// there, with other batches. It cannot go on in the middle of one.
#[test]
fn a_follower_that_ends_where_the_leader_begins_within_a_batch_begins_anew() {
    let mut cluster = Cluster::start(2, &[]);
    cluster.create(TOPIC, 1, &[1, 2], 1);
    insist(&cluster, TOPIC, 0, "kept");
    cluster.agreed(TOPIC, 0);
    let former = cluster.leader(TOPIC, 0);
    let other = 3 - former;
    cluster.wires.cut(former, other);
    let replica = cluster.replica(former, TOPIC, 0).unwrap();
    (0..3).for_each(|_| drop(append(&replica, "lost", Acks::Leader).unwrap()));
    assert_eq!(replica.log().end_offset(), 4);
    drop(replica);
    cluster.kill(former);
    cluster.wait("the other leads", |c| c.leader(TOPIC, 0) == other && c.isr(TOPIC, 0) == [other]);
    let replica = cluster.replica(other, TOPIC, 0).unwrap();
    cluster.wait("it knows", |_| replica.leader_epoch().is_some());
    append_batch(&replica, &["a", "b", "c", "d", "e", "f"], Acks::Leader).unwrap();
    assert_eq!(replica.delete_records(4).unwrap(), 4);
    drop(replica);
    cluster.wires.mend();
    cluster.begin(former);
    let found = cluster.agreed(TOPIC, 0);
    assert_eq!(found, [(4, "d".to_owned()), (5, "e".to_owned()), (6, "f".to_owned())]);
}

/// Brokers are killed and cut off while several write; what was acknowledged is there, once the
/// trouble ends, on all replicas and in the same places.
#[test]
fn nothing_acknowledged_is_lost_while_brokers_come_and_go() {
    const PARTITIONS: i32 = 4;
    let mut cluster = Cluster::start(3, &["num.replica.fetchers=2"]);
    cluster.create(TOPIC, PARTITIONS, &ALL, 2);
    let stop = AtomicBool::new(false);
    let mut acknowledged: Vec<BTreeSet<(i64, String)>> = Vec::new();
    for round in 0..4 {
        stop.store(false, Ordering::Release);
        let written: Vec<_> = std::thread::scope(|scope| {
            let (cluster, stop) = (&cluster, &stop);
            let writers: Vec<_> = (0..PARTITIONS)
                .map(|partition| {
                    scope.spawn(move || {
                        let (mut done, mut n) = (BTreeSet::new(), 0);
                        while !stop.load(Ordering::Acquire) {
                            let value = format!("{round}-{n}");
                            n += 1;
                            match cluster.produce(TOPIC, partition, &value, Acks::All) {
                                Ok(offset) => drop(done.insert((offset, value))),
                                Err(_) => std::thread::sleep(Duration::from_millis(2)),
                            }
                        }
                        done
                    })
                })
                .collect();
            let victim = ALL[round % 3];
            std::thread::sleep(Duration::from_millis(300));
            cluster.wires.trouble(10, Duration::from_millis(5));
            ALL.iter().filter(|id| **id != victim).for_each(|id| cluster.wires.cut(victim, *id));
            std::thread::sleep(Duration::from_millis(2000));
            cluster.wires.mend();
            cluster.wires.trouble(0, Duration::ZERO);
            std::thread::sleep(Duration::from_millis(300));
            stop.store(true, Ordering::Release);
            writers.into_iter().map(|w| w.join().unwrap()).collect()
        });
        acknowledged.resize_with(written.len(), BTreeSet::new);
        acknowledged.iter_mut().zip(written).for_each(|(all, more)| all.extend(more));
        let victim = ALL[(round + 1) % 3];
        // Some of it is on this broker alone, and is not acknowledged.
        cluster.kill(victim);
        cluster.begin(victim);
    }
    for (partition, acknowledged) in (0..).zip(&acknowledged) {
        insist(&cluster, TOPIC, partition, "last");
        let found: BTreeSet<_> = cluster.agreed(TOPIC, partition).into_iter().collect();
        let missing: Vec<_> = acknowledged.difference(&found).collect();
        assert!(missing.is_empty(), "{} of {} lost: {missing:?}", missing.len(), found.len());
        assert!(acknowledged.len() > 10, "only {} acknowledged", acknowledged.len());
    }
}

#[test]
fn consumers_read_from_followers_what_is_committed() {
    let cluster = Cluster::start(2, &[]);
    cluster.create(TOPIC, 1, &[1, 2], 2);
    insist(&cluster, TOPIC, 0, "first");
    cluster.agreed(TOPIC, 0);
    let leader = cluster.leader(TOPIC, 0);
    let follower = 3 - leader;
    let near = cluster.replica(leader, TOPIC, 0).unwrap().nearest(0, |id| id == follower);
    assert_eq!(near, Some(follower));
    let here = cluster.replica(follower, TOPIC, 0).unwrap();
    let core = &cluster.nodes[&follower].server.core;
    let begin = |offset, from| {
        let (epoch, last_fetched_epoch) = (EpochCheck::Any, -1);
        let ask = ReadAsk { offset, max_bytes: 1 << 20, epoch, last_fetched_epoch };
        let params = FetchParams {
            min_bytes: 1,
            max_bytes: 1 << 20,
            max_wait_ms: 60_000,
            reader: Reader::Uncommitted,
            follower: None,
            from,
        };
        fetch(core, params, vec![FetchItem::consumer(Some(here.clone()), ask)])
    };
    let bytes = |found: Vec<Fetched>| found.into_iter().next().unwrap().map(|read| read.bytes());
    match begin(0, ReadFrom::Anyone) {
        Fetch::Ready(found) => assert!(bytes(found).unwrap() > 0),
        Fetch::Parked(_) => panic!("there is a record"),
    }
    match begin(0, ReadFrom::Leader) {
        Fetch::Ready(found) => {
            assert_eq!(bytes(found).unwrap_err().code(), ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        Fetch::Parked(_) => panic!("it does not lead"),
    }
    let Fetch::Parked(parked) = begin(1, ReadFrom::Anyone) else { panic!("nothing is there yet") };
    insist(&cluster, TOPIC, 0, "second");
    let found = cluster.runtime.block_on(parked).unwrap();
    assert!(bytes(found).unwrap() > 0);
}

/// Many partitions over few connections: all are followed, and few requests carry them.
#[test]
fn a_thousand_partitions_are_followed() {
    let cluster = Cluster::start(2, &["num.replica.fetchers=2"]);
    cluster.create(TOPIC, 1000, &[1, 2], 2);
    cluster
        .wait("all are there", |c| c.nodes.values().all(|node| node.server.replicas.len() == 1000));
    for partition in (0..1000).step_by(7) {
        insist(&cluster, TOPIC, partition, "value");
    }
    for partition in (0..1000).step_by(7) {
        assert_eq!(cluster.agreed(TOPIC, partition).len(), 1);
    }
    for node in cluster.nodes.values() {
        assert_eq!(node.replication.counts(), (2, 500), "two fetchers of one leader");
    }
}

/// A leader that does not hear that another one was elected takes records, and acknowledges none.
#[test]
fn a_leader_that_was_replaced_unheard_acknowledges_nothing() {
    let mut cluster = Cluster::start(3, &[]);
    cluster.create(TOPIC, 1, &ALL, 2);
    insist(&cluster, TOPIC, 0, "kept");
    cluster.agreed(TOPIC, 0);
    cluster.kill(1);
    cluster.wait("another leads", |c| [2, 3].contains(&c.leader(TOPIC, 0)));
    cluster.begin(1);
    insist(&cluster, TOPIC, 0, "more");
    cluster.agreed(TOPIC, 0);
    let former = cluster.leader(TOPIC, 0);
    let third = 5 - former;
    cluster.nodes[&former].deaf.send_replace(true);
    let topics = vec![TopicPartitions { topic: TOPIC.into(), partitions: vec![0] }];
    let preferred = ElectLeadersRequest { topic_partitions: Some(topics), ..Default::default() };
    let reply = cluster.ask(Command::ElectLeaders(preferred));
    assert_eq!(cluster.leader(TOPIC, 0), 1, "{reply:?}");
    cluster.wait("the third follows", |c| c.replica(third, TOPIC, 0).unwrap().follows() == Some(1));
    let replica = cluster.replica(former, TOPIC, 0).unwrap();
    let Ack::Wait(mut wait) = append(&replica, "lost", Acks::All).unwrap().ack else {
        panic!("acknowledged alone");
    };
    insist(&cluster, TOPIC, 0, "new");
    let within = |ms| Duration::from_millis(ms);
    cluster.runtime.block_on(async {
        assert!(tokio::time::timeout(within(700), &mut wait).await.is_err());
        cluster.nodes[&former].deaf.send_replace(false);
        let lost = tokio::time::timeout(cluster::PATIENCE, wait).await.unwrap();
        assert_eq!(lost, Err(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    });
    let found: Vec<_> = cluster.agreed(TOPIC, 0).into_iter().map(|(_, value)| value).collect();
    assert_eq!(found, ["kept", "more", "new"]);
}

#[test]
fn a_throttled_follower_catches_up_slowly() {
    const RECORD: usize = 10_000;
    for key in ["leader", "follower"] {
        let mut cluster = Cluster::start(2, &["replica.fetch.max.bytes=20000"]);
        let throttled = format!("{key}.replication.throttled.replicas");
        let configs = [(throttled.as_str(), "*"), ("min.insync.replicas", "1")];
        cluster.create_with(TOPIC, 1, &[1, 2], &configs);
        insist(&cluster, TOPIC, 0, "first");
        let leader = cluster.leader(TOPIC, 0);
        let away = 3 - leader;
        cluster.kill(away);
        cluster.wait("it is out", |c| c.isr(TOPIC, 0) == [leader]);
        for _ in 0..30 {
            insist(&cluster, TOPIC, 0, &"v".repeat(RECORD));
        }
        cluster.wires.cut(leader, away);
        cluster.begin(away);
        let limited = if key == "leader" { leader } else { away };
        cluster.set(limited, &format!("{key}.replication.throttled.rate"), "100000");
        let begun = Instant::now();
        cluster.wires.mend();
        cluster.agreed(TOPIC, 0);
        let took = begun.elapsed();
        assert!(took > Duration::from_millis(1500), "{key}: {took:?} for 300 kB at 100 kB/s");
        assert!(took < Duration::from_secs(30), "{key}: {took:?} for 300 kB at 100 kB/s");
    }
}
