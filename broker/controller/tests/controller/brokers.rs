//! The life of brokers, and what it means for the partitions they hold.

use crate::common::{self, Rig, dir, registration, topic};
use ottla_controller::{Command, Reply, Settings};
use ottla_metadata::{MetadataVersion, NO_LEADER, Partition, Recovery};
use ottla_wire::api::allocate_producer_ids::*;
use ottla_wire::api::broker_heartbeat::*;
use ottla_wire::api::controller_registration::*;
use ottla_wire::api::incremental_alter_configs::*;
use ottla_wire::api::unregister_broker::*;
use ottla_wire::schema::metadata::{BeginTransactionRecord, MetadataRecord};
use ottla_wire::{ErrorCode, Uuid};

fn partition(rig: &Rig) -> Partition {
    let topic = rig.image().topics().next().expect("a topic");
    topic.partition(0).expect("a partition").clone()
}

#[test]
fn a_broker_is_fenced_until_it_has_read_its_own_registration() {
    let mut rig = Rig::new();
    let response = rig.register(registration(1, 1));
    assert!(response.error_code.is_none());
    let epoch = response.broker_epoch;
    assert!(
        matches!(&rig.log[epoch as usize], MetadataRecord::RegisterBroker(r) if r.broker_epoch == epoch)
    );
    assert!(rig.image().broker(1).is_some_and(|b| b.fenced));
    let mut beat = BrokerHeartbeatRequest {
        broker_id: 1,
        broker_epoch: epoch,
        current_metadata_offset: epoch - 1,
        ..BrokerHeartbeatRequest::default()
    };
    let response = rig.heartbeat(beat.clone());
    assert!(response.is_fenced && !response.is_caught_up);
    beat.current_metadata_offset = epoch;
    beat.want_fence = true;
    let response = rig.heartbeat(beat.clone());
    assert!(response.is_fenced && response.is_caught_up);
    beat.want_fence = false;
    let response = rig.heartbeat(beat);
    assert!(!response.is_fenced && response.is_caught_up && !response.should_shut_down);
    assert!(rig.image().is_active(1));
    assert_eq!(rig.image().endpoint(1, "PLAINTEXT").map(|e| e.port), Some(9092));
}

#[test]
fn registrations_are_refused_with_kafkas_codes() {
    let mut rig = Rig::with_brokers(&[1]);
    let mut code =
        |change: &dyn Fn(&mut ottla_wire::api::broker_registration::BrokerRegistrationRequest)| {
            let mut request = registration(2, 5);
            change(&mut request);
            rig.register(request).error_code
        };
    use ErrorCode as E;
    assert_eq!(code(&|r| r.cluster_id = "other".into()), E::INCONSISTENT_CLUSTER_ID);
    assert_eq!(code(&|r| r.broker_id = 1), E::DUPLICATE_BROKER_REGISTRATION);
    assert_eq!(code(&|r| r.log_dirs = vec![dir(1)]), E::DUPLICATE_BROKER_REGISTRATION);
    assert_eq!(code(&|r| r.log_dirs.clear()), E::INVALID_REQUEST);
    assert_eq!(code(&|r| r.log_dirs = vec![dir(2), dir(2)]), E::INVALID_REQUEST);
    assert_eq!(code(&|r| r.log_dirs = vec![Uuid::ZERO]), E::INVALID_REQUEST);
    assert_eq!(code(&|r| r.is_migrating_zk_broker = true), E::INVALID_REQUEST);
    assert_eq!(code(&|r| r.features.clear()), E::INVALID_REGISTRATION);
    assert_eq!(code(&|r| r.features.retain(|f| f.name != "group.version")), E::UNSUPPORTED_VERSION);
    let old = |r: &mut ottla_wire::api::broker_registration::BrokerRegistrationRequest| {
        r.features.iter_mut().for_each(|f| f.max_supported_version = 1);
    };
    assert_eq!(code(&old), E::UNSUPPORTED_VERSION);
    assert_eq!(code(&|_| {}), E::NONE);
}

#[test]
fn the_same_process_may_register_again_and_keeps_its_epoch() {
    let mut rig = Rig::with_brokers(&[1]);
    let epoch = rig.epoch(1);
    let again = rig.register(registration(1, 1));
    assert_eq!(again.broker_epoch, epoch);
    assert!(rig.image().is_active(1), "it stays in service");
}

#[test]
fn a_silent_broker_is_fenced_and_its_partitions_move() {
    let mut rig = Rig::with_brokers(&[1, 2]);
    rig.create(common::assigned("t", &[(0, &[1, 2])]));
    assert_eq!(partition(&rig).leader, 1);
    rig.now += 5_000;
    rig.beat(2);
    assert_eq!(rig.wake_at.map(|at| at.0), Some(10_000), "when the first broker's session ends");
    rig.now += 3_999;
    rig.tick();
    assert!(rig.image().is_active(1));
    rig.now += 1;
    rig.tick();
    assert!(!rig.image().is_active(1) && rig.image().is_active(2));
    let p = partition(&rig);
    assert_eq!((p.leader, p.leader_epoch, p.isr.as_slice()), (2, 1, &[2][..]));
    // It comes back by its heartbeat, and follows.
    rig.beat(1);
    assert!(rig.image().is_active(1));
    assert_eq!(partition(&rig).leader, 2);
}

#[test]
fn silent_brokers_are_fenced_one_at_a_time() {
    let mut rig = Rig::with_brokers(&[1, 2, 3]);
    rig.now += 60_000;
    rig.tick();
    assert_eq!(rig.image().brokers().filter(|b| b.fenced).count(), 1);
    assert_eq!(rig.wake_at.map(|at| at.0), Some(rig.now), "there is more to do");
    rig.beat(3);
    rig.tick();
    rig.tick();
    assert!(rig.image().is_active(3));
    assert_eq!(rig.image().brokers().filter(|b| b.fenced).count(), 2);
}

#[test]
fn a_new_leader_gives_every_broker_a_whole_session() {
    let rig = Rig::with_brokers(&[1]);
    let settings = Settings { cluster_id: common::CLUSTER.into(), ..Settings::default() };
    let mut next = Rig::inactive(settings);
    next.state = rig.state.clone();
    next.now = 500_000;
    assert_eq!(next.ask(Command::Activate { bootstrap: Vec::new() }), Reply::Activated);
    next.tick();
    assert!(next.image().is_active(1));
    next.now += 9_000;
    next.tick();
    assert!(!next.image().is_active(1));
}

#[test]
fn an_orderly_shutdown_moves_leaders_first() {
    let mut rig = Rig::with_brokers(&[1, 2]);
    rig.create(common::assigned("t", &[(0, &[1, 2])]));
    let response = rig.beat_to_stop(1);
    assert!(!response.should_shut_down && !response.is_fenced);
    assert!(rig.image().broker(1).is_some_and(|b| b.in_controlled_shutdown && !b.fenced));
    assert_eq!(partition(&rig).leader, 2);
    // The other broker has not read that yet.
    assert!(!rig.beat_to_stop(1).should_shut_down);
    rig.beat(2);
    let response = rig.beat_to_stop(1);
    assert!(response.should_shut_down && response.is_fenced);
    assert!(rig.image().broker(1).is_some_and(|b| b.fenced));
}

#[test]
fn a_sole_broker_stops_and_leads_again() {
    let mut rig = Rig::with_brokers(&[1]);
    rig.create(topic("t", 1, 1));
    let epoch = rig.epoch(1);
    assert!(!rig.beat_to_stop(1).should_shut_down);
    let p = partition(&rig);
    assert_eq!((p.leader, p.isr.len(), p.elr().as_slice()), (NO_LEADER, 0, &[1][..]));
    assert!(rig.beat_to_stop(1).should_shut_down);
    let mut request = registration(1, 2);
    request.previous_broker_epoch = epoch;
    assert!(rig.register(request).error_code.is_none());
    rig.beat(1);
    let p = partition(&rig);
    assert_eq!((p.leader, p.isr.as_slice(), p.recovery), (1, &[1][..], Recovery::Recovered));
    assert!(p.elr().is_empty() && p.last_known_elr().is_empty());
}

#[test]
fn a_sole_broker_killed_leads_again() {
    let mut rig = Rig::with_brokers(&[1]);
    rig.create(topic("t", 1, 1));
    rig.now += 60_000;
    assert!(rig.register(registration(1, 2)).error_code.is_none());
    let p = partition(&rig);
    assert_eq!((p.leader, p.last_known_elr().as_slice()), (NO_LEADER, &[1][..]));
    rig.beat(1);
    let p = partition(&rig);
    assert_eq!((p.leader, p.isr.as_slice(), p.recovery), (1, &[1][..], Recovery::Recovering));
}

#[test]
fn a_directory_that_goes_offline_loses_its_leaders() {
    let mut rig = Rig::new();
    let mut request = registration(1, 1);
    request.log_dirs.push(Uuid::from_u128(777));
    rig.register(request);
    rig.beat(1);
    rig.start_broker(2);
    rig.create(common::assigned("t", &[(0, &[1, 2])]));
    // The partition is in no directory yet, so it is not concerned.
    let (broker_epoch, offset) = (rig.epoch(1), rig.state.next_offset() - 1);
    let beat = BrokerHeartbeatRequest {
        broker_id: 1,
        broker_epoch,
        current_metadata_offset: offset,
        offline_log_dirs: vec![Uuid::from_u128(777)],
        ..BrokerHeartbeatRequest::default()
    };
    rig.heartbeat(beat);
    assert_eq!(rig.image().broker(1).map(|b| b.log_dirs.clone()), Some(vec![dir(1)]));
    assert_eq!(partition(&rig).leader, 1);
}

#[test]
fn cordoned_directories_take_no_new_replicas() {
    let mut rig = Rig::with_brokers(&[1, 2]);
    let (broker_epoch, offset) = (rig.epoch(1), rig.state.next_offset() - 1);
    let beat = BrokerHeartbeatRequest {
        broker_id: 1,
        broker_epoch,
        current_metadata_offset: offset,
        cordoned_log_dirs: Some(vec![dir(1)]),
        ..BrokerHeartbeatRequest::default()
    };
    rig.heartbeat(beat);
    rig.create(topic("t", 10, 1));
    let topic = rig.image().topic_named("t").expect("the topic");
    assert!(topic.partitions.iter().all(|(_, p)| p.leader == 2));
    assert_eq!(rig.create(topic_of_two()).error_code, ErrorCode::INVALID_REPLICATION_FACTOR);
}

fn topic_of_two() -> ottla_wire::api::create_topics::CreatableTopic {
    topic("u", 1, 2)
}

#[test]
fn an_unregistered_broker_is_gone() {
    let mut rig = Rig::with_brokers(&[1, 2]);
    rig.create(common::assigned("t", &[(0, &[1, 2])]));
    let unregister = |rig: &mut Rig, broker_id| match rig
        .ask(Command::UnregisterBroker(UnregisterBrokerRequest { broker_id }))
    {
        Reply::UnregisterBroker(r) => (r.error_code, r.error_message.unwrap_or_default()),
        other => panic!("{other:?}"),
    };
    let (code, words) = unregister(&mut rig, 9);
    assert_eq!(code, ErrorCode::BROKER_ID_NOT_REGISTERED);
    assert_eq!(words, "Broker ID 9 is not currently registered");
    assert!(unregister(&mut rig, 1).0.is_none());
    assert!(rig.image().broker(1).is_none());
    assert_eq!(partition(&rig).leader, 2);
}

#[test]
fn stale_epochs_are_refused() {
    let mut rig = Rig::with_brokers(&[1]);
    let beat = BrokerHeartbeatRequest {
        broker_id: 1,
        broker_epoch: 99,
        ..BrokerHeartbeatRequest::default()
    };
    assert_eq!(rig.heartbeat(beat).error_code, ErrorCode::STALE_BROKER_EPOCH);
    let ask = AllocateProducerIdsRequest { broker_id: 1, broker_epoch: 99 };
    let Reply::AllocateProducerIds(r) = rig.ask(Command::AllocateProducerIds(ask)) else {
        panic!()
    };
    assert_eq!(r.error_code, ErrorCode::STALE_BROKER_EPOCH);
}

#[test]
fn producer_ids_are_given_once() {
    let mut rig = Rig::with_brokers(&[1, 2]);
    let mut starts = Vec::new();
    for id in [1, 2, 1] {
        let ask = AllocateProducerIdsRequest { broker_id: id, broker_epoch: rig.epoch(id) };
        let Reply::AllocateProducerIds(r) = rig.ask(Command::AllocateProducerIds(ask)) else {
            panic!()
        };
        assert_eq!((r.error_code, r.producer_id_len), (ErrorCode::NONE, 1000));
        starts.push(r.producer_id_start);
    }
    assert_eq!(starts, [0, 1000, 2000]);
}

#[test]
fn controllers_register_from_their_version_on() {
    let ask = |rig: &mut Rig| {
        let request = ControllerRegistrationRequest { controller_id: 7, ..Default::default() };
        match rig.ask(Command::RegisterController(request)) {
            Reply::RegisterController(r) => r.error_code,
            other => panic!("{other:?}"),
        }
    };
    let mut rig = Rig::new();
    assert_eq!(ask(&mut rig), ErrorCode::NONE);
    assert!(rig.image().controller(7).is_some());
    let mut rig = Rig::at(MetadataVersion::from_level(14).expect("a level"));
    assert_eq!(ask(&mut rig), ErrorCode::UNSUPPORTED_VERSION);
}

#[test]
fn a_transaction_left_open_is_taken_back() {
    let mut rig = Rig::with_brokers(&[1]);
    let before = rig.image().clone();
    let begin: MetadataRecord = BeginTransactionRecord::default().into();
    rig.state.apply(&begin);
    rig.log.push(begin);
    rig.create(topic("t", 1, 1));
    assert_eq!(rig.ask(Command::Activate { bootstrap: Vec::new() }), Reply::Activated);
    assert_eq!(rig.image(), &before);
    assert_eq!(rig.replayed().image(), &before);
}

#[test]
fn a_new_cluster_records_its_least_number_in_sync() {
    let rig = Rig::new();
    let all = ottla_metadata::ConfigResource::all_brokers();
    assert_eq!(rig.image().config(&all, "min.insync.replicas"), Some("1"));
    assert!(matches!(rig.log[0], MetadataRecord::FeatureLevel(_)));
}

#[test]
fn leadership_goes_back_to_preferred_replicas() {
    let mut rig = Rig::with_brokers(&[1, 2]);
    rig.create(common::assigned("t", &[(0, &[1, 2])]));
    rig.now += 5_000;
    rig.beat(2);
    rig.now += 5_000;
    rig.tick();
    assert_eq!(partition(&rig).leader, 2);
    rig.beat(1);
    rig.tick();
    let later = |rig: &mut Rig| {
        rig.now += 400_000;
        rig.beat(1);
        rig.beat(2);
        rig.tick();
        partition(rig).leader
    };
    assert_eq!(later(&mut rig), 2, "broker 1 is not in sync yet");
    rig.say(2, &[1, 2]);
    assert_eq!(partition(&rig).leader, 2, "not before it is due");
    assert_eq!(later(&mut rig), 1);
}

#[test]
fn a_topic_may_prefer_an_unclean_leader_to_none() {
    let mut rig = Rig::with_brokers(&[1, 2]);
    let t = common::assigned("t", &[(0, &[1, 2])]);
    rig.create(t);
    rig.say(1, &[1]);
    rig.tick();
    rig.now += 60_000;
    rig.beat(2);
    rig.tick();
    assert_eq!(partition(&rig).leader, NO_LEADER);
    let configs = vec![AlterableConfig {
        name: "unclean.leader.election.enable".into(),
        config_operation: 0,
        value: Some("true".into()),
    }];
    let resource_name = "t".to_owned();
    let resources = vec![AlterConfigsResource { resource_type: 2, resource_name, configs }];
    let request = IncrementalAlterConfigsRequest { resources, validate_only: false };
    rig.ask(Command::IncrementalAlterConfigs(request));
    rig.now += 400_000;
    rig.beat(2);
    rig.tick();
    let p = partition(&rig);
    assert_eq!((p.leader, p.isr.as_slice(), p.recovery), (2, &[2][..], Recovery::Recovering));
}

#[test]
fn the_broker_of_the_controllers_own_node_need_not_wait_for_its_old_session() {
    let rig = Rig::with_brokers(&[1, 2]);
    let settings = rig.waits.settings().clone();
    assert_eq!(settings.node_id, 1);
    let mut next = Rig::inactive(settings);
    next.state = rig.state.clone();
    next.now = 500_000;
    assert_eq!(next.ask(Command::Activate { bootstrap: Vec::new() }), Reply::Activated);
    let refused = ErrorCode::DUPLICATE_BROKER_REGISTRATION;
    assert_eq!(next.register(registration(2, 7)).error_code, refused);
    assert!(next.register(registration(1, 7)).error_code.is_none());
    next.beat(1);
    assert_eq!(next.register(registration(1, 8)).error_code, refused, "a second one is foreign");
}

#[test]
fn a_new_controller_that_nobody_fails_does_what_is_due() {
    let mut rig = Rig::with_brokers(&[1, 2]);
    rig.create(common::assigned("t", &[(0, &[1, 2])]));
    rig.now += 5_000;
    rig.beat(2);
    rig.now += 5_000;
    rig.tick();
    rig.beat(1);
    rig.say(2, &[1, 2]);
    assert_eq!(partition(&rig).leader, 2);
    let mut next = Rig::inactive(rig.waits.settings().clone());
    next.state = rig.state.clone();
    assert_eq!(next.ask(Command::Activate { bootstrap: Vec::new() }), Reply::Activated);
    let end = next.now + 400_000;
    while next.now < end {
        next.now += 500;
        next.beat(1);
        next.beat(2);
        if next.wake_at.is_some_and(|at| at.0 <= next.now) {
            next.tick();
        }
    }
    assert_eq!(partition(&next).leader, 1);
}
