//! Topics: what is created, grown and deleted, and what clients are told when it is not.

use crate::common::{self, Rig, assigned, topic, with_config};
use ottla_controller::{Command, DeleteTopics, Reply, Settings};
use ottla_metadata::{ConfigResource, directory};
use ottla_wire::api::create_partitions::*;
use ottla_wire::api::create_topics::*;
use ottla_wire::api::delete_topics::*;
use ottla_wire::schema::metadata::MetadataRecord;
use ottla_wire::{ErrorCode, Uuid};

fn said(result: CreatableTopicResult) -> (ErrorCode, String) {
    (result.error_code, result.error_message.unwrap_or_default())
}

#[test]
fn a_topic_is_created_with_its_partitions_and_configuration() {
    let mut rig = Rig::with_brokers(&[1, 2, 3]);
    let from = rig.log.len();
    let result = rig.create(with_config(topic("aaa", 3, 2), "retention.ms", Some("1000")));
    assert_eq!(result.error_code, ErrorCode::NONE);
    assert_eq!((result.num_partitions, result.replication_factor), (3, 2));
    let configs = result.configs.expect("configs");
    let retention = configs.iter().find(|c| c.name == "retention.ms").expect("the key");
    assert_eq!((retention.value.as_deref(), retention.config_source), (Some("1000"), 1));
    let policy = configs.iter().find(|c| c.name == "cleanup.policy").expect("the key");
    assert_eq!((policy.value.as_deref(), policy.config_source), (Some("delete"), 5));
    let kinds: Vec<u32> = rig.log[from..].iter().map(MetadataRecord::kind).collect();
    assert_eq!(kinds, [2, 4, 3, 3, 3], "topic, configuration, partitions");
    let created = rig.image().topic_named("aaa").expect("the topic");
    assert_eq!(created.id, result.topic_id);
    for (_, p) in created.partitions.iter() {
        assert_eq!(p.replicas.len(), 2);
        assert_eq!(p.isr, p.replicas);
        assert_eq!((p.leader, p.leader_epoch, p.partition_epoch), (p.replicas[0], 0, 0));
        assert_eq!(p.directories[0], common::dir(p.replicas[0]));
    }
    let resource = ConfigResource::topic("aaa");
    assert_eq!(rig.image().config(&resource, "retention.ms"), Some("1000"));
}

#[test]
fn defaults_fill_what_a_request_leaves_open() {
    let mut rig = Rig::with_brokers(&[1]);
    let result = rig.create(topic("aaa", -1, -1));
    assert_eq!((result.num_partitions, result.replication_factor), (1, 1));
}

#[test]
fn validate_only_creates_nothing() {
    let mut rig = Rig::with_brokers(&[1]);
    let (from, topics) = (rig.log.len(), vec![topic("aaa", 2, 1), topic("b b", 1, 1)]);
    let request = CreateTopicsRequest { topics, validate_only: true, ..Default::default() };
    let Reply::CreateTopics(response) = rig.ask(Command::CreateTopics(request)) else { panic!() };
    assert_eq!(response.topics[0].error_code, ErrorCode::NONE);
    assert_eq!(response.topics[0].num_partitions, 2);
    assert_eq!(response.topics[1].error_code, ErrorCode::INVALID_TOPIC_EXCEPTION);
    assert_eq!(rig.log.len(), from);
}

#[test]
fn refusals_have_kafkas_codes_and_words() {
    let mut rig = Rig::with_brokers(&[1]);
    assert!(rig.create(topic("aaa", 3, 1)).error_code.is_none());
    assert!(rig.create(topic("a.b_c", 3, 1)).error_code.is_none());
    let rf = "Replication factor must be larger than 0, or -1 to use the default value.";
    let count = "Number of partitions was set to an invalid non-positive value.";
    let manual = "The manual partition assignment includes";
    let gap = "partitions should be a consecutive 0-based integer sequence";
    let many = "Excessively large number of partitions per request.";
    use ErrorCode as E;
    let cases: Vec<(CreatableTopic, ErrorCode, &str)> = vec![
        (topic("aaa", 3, 1), E::TOPIC_ALREADY_EXISTS, "Topic 'aaa' already exists."),
        (
            topic("b1", 3, 3),
            E::INVALID_REPLICATION_FACTOR,
            "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached \
             because only 1 broker(s) are registered or some brokers have all their log directories cordoned.",
        ),
        (topic("b2", 3, 0), E::INVALID_REPLICATION_FACTOR, rf),
        (topic("b2", 3, -2), E::INVALID_REPLICATION_FACTOR, rf),
        (topic("b3", 0, 1), E::INVALID_PARTITIONS, count),
        (topic("b3", -2, 1), E::INVALID_PARTITIONS, count),
        (topic(".", 1, 1), E::INVALID_TOPIC_EXCEPTION, "Topic name is invalid: '.' is not allowed"),
        (
            topic("a_b.c", 1, 1),
            E::INVALID_TOPIC_EXCEPTION,
            "Topic 'a_b.c' collides with existing topic: a.b_c",
        ),
        (
            topic("__cluster_metadata", 1, 1),
            E::INVALID_REQUEST,
            "Creation of internal topic __cluster_metadata is prohibited.",
        ),
        (
            with_config(topic("c", 1, 1), "foo", Some("bar")),
            E::INVALID_CONFIG,
            "Unknown topic config name: foo",
        ),
        (
            with_config(topic("c", 1, 1), "retention.ms", Some("abc")),
            E::INVALID_CONFIG,
            "Invalid value abc for configuration retention.ms: Not a number of type LONG",
        ),
        (
            with_config(topic("c", 1, 1), "cleanup.policy", Some("abc")),
            E::INVALID_CONFIG,
            "Invalid value abc for configuration cleanup.policy: String must be one of: compact, delete",
        ),
        (
            with_config(topic("c", 1, 1), "segment.bytes", Some("5")),
            E::INVALID_CONFIG,
            "Invalid value 5 for configuration segment.bytes: Value must be at least 1048576",
        ),
        (
            with_config(topic("c", 1, 1), "max.compaction.lag.ms", Some("50")),
            E::NONE,
            "",
        ),
        (
            with_config(
                with_config(topic("d", 1, 1), "max.compaction.lag.ms", Some("50")),
                "min.compaction.lag.ms",
                Some("100"),
            ),
            E::INVALID_CONFIG,
            "conflict topic config setting min.compaction.lag.ms (100) > max.compaction.lag.ms (50)",
        ),
        (
            with_config(topic("d", 1, 1), "retention.ms", None),
            E::INVALID_CONFIG,
            "Null value not supported for topic configs: retention.ms",
        ),
        (
            assigned("d", &[(0, &[7])]),
            E::INVALID_REPLICA_ASSIGNMENT,
            &format!("{manual} broker 7, but no such broker is registered."),
        ),
        (
            assigned("d", &[(0, &[1, 1])]),
            E::INVALID_REPLICA_ASSIGNMENT,
            &format!("{manual} the broker 1 more than once."),
        ),
        (
            assigned("d", &[(0, &[])]),
            E::INVALID_REPLICA_ASSIGNMENT,
            &format!("{manual} an empty replica list."),
        ),
        (assigned("d", &[(0, &[1]), (2, &[1])]), E::INVALID_REPLICA_ASSIGNMENT, gap),
        (assigned("d", &[(1, &[1])]), E::INVALID_REPLICA_ASSIGNMENT, gap),
        (
            assigned("d", &[(0, &[1]), (0, &[1])]),
            E::INVALID_REPLICA_ASSIGNMENT,
            "Found multiple manual partition assignments for partition 0",
        ),
        (
            CreatableTopic { num_partitions: 1, ..assigned("d", &[(0, &[1])]) },
            E::INVALID_REQUEST,
            "A manual partition assignment was specified, but numPartitions was not set to -1.",
        ),
        (
            CreatableTopic { replication_factor: 1, ..assigned("d", &[(0, &[1])]) },
            E::INVALID_REQUEST,
            "A manual partition assignment was specified, but replication factor was not set to -1.",
        ),
        (topic("e", 10_001, 1), E::POLICY_VIOLATION, many),
        (topic("e", i32::MAX, 1), E::POLICY_VIOLATION, many),
    ]
    .into_iter()
    .map(|(t, c, s)| (t, c, Box::leak(s.to_owned().into_boxed_str()) as &str))
    .collect();
    for (topic, code, words) in cases {
        let name = topic.name.clone();
        assert_eq!(said(rig.create(topic)), (code, words.to_owned()), "{name}");
    }
}

#[test]
fn a_name_given_twice_is_refused_once() {
    let mut rig = Rig::with_brokers(&[1]);
    let results = rig.create_all(vec![topic("a", 1, 1), topic("b", 1, 1), topic("a", 2, 1)]);
    assert_eq!(results.len(), 2);
    assert_eq!(results[0].error_code, ErrorCode::INVALID_REQUEST);
    assert_eq!(results[0].error_message.as_deref(), Some("Duplicate topic name."));
    assert!(results[1].error_code.is_none());
}

#[test]
fn replicas_need_brokers_in_service() {
    let mut rig = Rig::new();
    let none = "Unable to replicate the partition 1 time(s): All brokers are currently fenced, or have all their \
                log directories cordoned.";
    let (code, words) = said(rig.create(topic("a", 1, 1)));
    assert_eq!((code, words.as_str()), (ErrorCode::INVALID_REPLICATION_FACTOR, none));
    rig.register(common::registration(1, 1));
    let (code, words) = said(rig.create(topic("a", 1, 1)));
    assert_eq!((code, words.as_str()), (ErrorCode::INVALID_REPLICATION_FACTOR, none));
    let (code, words) = said(rig.create(assigned("a", &[(0, &[1])])));
    assert_eq!(code, ErrorCode::INVALID_REPLICA_ASSIGNMENT);
    assert_eq!(
        words,
        "All brokers specified in the manual partition assignment for partition 0 are fenced or in controlled \
         shutdown."
    );
    rig.beat(1);
    rig.register(common::registration(2, 2));
    // A fenced broker can hold a replica, which is not in sync.
    assert!(rig.create(topic("a", 1, 2)).error_code.is_none());
    let p = rig.image().topic_named("a").and_then(|t| t.partition(0)).expect("the partition");
    assert_eq!((p.replicas.as_slice(), p.isr.as_slice()), (&[1, 2][..], &[1][..]));
}

#[test]
fn many_partitions_are_one_transaction() {
    let mut rig = Rig::with_brokers(&[1]);
    let from = rig.log.len();
    assert!(rig.create(topic("big", 10_000, 1)).error_code.is_none());
    let log = &rig.log[from..];
    assert_eq!(log.len(), 10_003);
    assert!(matches!(log[0], MetadataRecord::BeginTransaction(_)));
    assert!(matches!(log[10_002], MetadataRecord::EndTransaction(_)));
    assert_eq!(rig.image().partition_count(), 10_000);
    let version = rig.image().features().version();
    assert_eq!(ottla_controller::batches(log, version).count(), 1, "a transaction is one batch");
    assert_eq!(rig.replayed().image(), rig.image());
}

#[test]
fn leaders_are_spread_and_racks_are_kept_apart() {
    let mut rig = Rig::new();
    for id in 0..6 {
        let mut request = common::registration(id, id as u128);
        request.rack = Some(format!("rack-{}", id % 3));
        rig.register(request);
        rig.beat(id);
    }
    assert!(rig.create(topic("t", 60, 3)).error_code.is_none());
    let topic = rig.image().topic_named("t").expect("the topic").clone();
    let mut led = [0; 6];
    let mut held = [0; 6];
    for (_, p) in topic.partitions.iter() {
        led[p.leader as usize] += 1;
        let mut racks: Vec<i32> = p.replicas.iter().map(|id| id % 3).collect();
        racks.sort_unstable();
        assert_eq!(racks, [0, 1, 2], "one replica a rack: {:?}", p.replicas);
        p.replicas.iter().for_each(|id| held[*id as usize] += 1);
    }
    assert_eq!(led, [10; 6]);
    assert!(held.iter().all(|n| (25..=35).contains(n)), "{held:?}");
}

fn grow(
    rig: &mut Rig,
    name: &str,
    count: i32,
    assign: Option<Vec<Vec<i32>>>,
) -> (ErrorCode, String) {
    let assignments = assign.map(|a| {
        a.into_iter().map(|broker_ids| CreatePartitionsAssignment { broker_ids }).collect()
    });
    let topics = vec![CreatePartitionsTopic { name: name.into(), count, assignments }];
    let request = CreatePartitionsRequest { topics, ..Default::default() };
    let Reply::CreatePartitions(mut response) = rig.ask(Command::CreatePartitions(request)) else {
        panic!()
    };
    let result = response.results.remove(0);
    (result.error_code, result.error_message.unwrap_or_default())
}

#[test]
fn partitions_are_added_and_refused_in_kafkas_words() {
    let mut rig = Rig::with_brokers(&[1, 2]);
    rig.create(topic("aaa", 3, 1));
    use ErrorCode as E;
    let refused = |code, words: &str| (code, words.to_owned());
    assert_eq!(
        grow(&mut rig, "aaa", 3, None),
        refused(E::INVALID_PARTITIONS, "Topic already has 3 partition(s).")
    );
    assert_eq!(
        grow(&mut rig, "aaa", 2, None),
        refused(
            E::INVALID_PARTITIONS,
            "The topic aaa currently has 3 partition(s); 2 would not be an increase."
        )
    );
    assert_eq!(grow(&mut rig, "zzz", 2, None), refused(E::UNKNOWN_TOPIC_OR_PARTITION, ""));
    assert_eq!(
        grow(&mut rig, "aaa", 5, Some(vec![vec![1]])),
        refused(
            E::INVALID_REPLICA_ASSIGNMENT,
            "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified."
        )
    );
    assert_eq!(
        grow(&mut rig, "aaa", 4, Some(vec![vec![1, 2]])),
        refused(
            E::INVALID_REPLICA_ASSIGNMENT,
            "The manual partition assignment includes a partition with 2 replica(s), but this is not consistent \
             with previous partitions, which have 1 replica(s)."
        )
    );
    assert_eq!(grow(&mut rig, "aaa", 20_000, None).0, E::POLICY_VIOLATION);
    assert_eq!(grow(&mut rig, "aaa", 5, Some(vec![vec![2], vec![1]])), refused(E::NONE, ""));
    assert_eq!(grow(&mut rig, "aaa", 6, None), refused(E::NONE, ""));
    let topic = rig.image().topic_named("aaa").expect("the topic");
    assert_eq!(topic.partitions.len(), 6);
    assert_eq!(topic.partition(3).map(|p| p.leader), Some(2));
    assert_eq!(topic.partition(4).map(|p| p.leader), Some(1));
}

#[test]
fn the_most_partitions_are_counted_over_all_topics_of_a_request() {
    let mut rig = Rig::with_brokers(&[1]);
    rig.create_all(vec![topic("a", 1, 1), topic("b", 1, 1)]);
    let mut codes = |counts: [i32; 2]| -> Vec<ErrorCode> {
        let wanted = ["a", "b"].into_iter().zip(counts);
        let topics = wanted.map(|(name, count)| CreatePartitionsTopic {
            name: name.into(),
            count,
            assignments: None,
        });
        let request = CreatePartitionsRequest { topics: topics.collect(), ..Default::default() };
        match rig.ask(Command::CreatePartitions(request)) {
            Reply::CreatePartitions(response) => {
                response.results.iter().map(|result| result.error_code).collect()
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(codes([5_001, 5_002]), [ErrorCode::POLICY_VIOLATION; 2]);
    assert_eq!(codes([5_001, 5_001]), [ErrorCode::NONE; 2]);
    assert_eq!(rig.image().partition_count(), 10_002);
}

fn delete(rig: &mut Rig, topics: Vec<DeleteTopicState>) -> Vec<DeletableTopicResult> {
    let request = DeleteTopicsRequest { topics, ..Default::default() };
    match rig.ask(Command::DeleteTopics(request)) {
        Reply::DeleteTopics(response) => response.responses,
        other => panic!("{other:?}"),
    }
}

fn named(name: &str) -> DeleteTopicState {
    DeleteTopicState { name: Some(name.into()), topic_id: Uuid::ZERO }
}

fn with_id(topic_id: Uuid) -> DeleteTopicState {
    DeleteTopicState { name: None, topic_id }
}

#[test]
fn topics_are_deleted_by_name_and_by_id() {
    let mut rig = Rig::with_brokers(&[1]);
    rig.create(with_config(topic("a", 3, 1), "retention.ms", Some("1")));
    let b = rig.create(topic("b", 3, 1)).topic_id;
    rig.create(topic("c", 3, 1));
    let unknown = Uuid::from_u128(12345);
    let results = delete(
        &mut rig,
        vec![named("a"), with_id(b), named("zzz"), with_id(unknown), with_id(Uuid::ZERO)],
    );
    let codes: Vec<_> = results.iter().map(|r| r.error_code).collect();
    use ErrorCode as E;
    assert_eq!(
        codes,
        [E::NONE, E::NONE, E::UNKNOWN_TOPIC_OR_PARTITION, E::UNKNOWN_TOPIC_ID, E::INVALID_REQUEST]
    );
    assert_eq!((results[1].name.as_deref(), results[1].topic_id), (Some("b"), b));
    assert_eq!(rig.image().topics().map(|t| t.name.to_string()).collect::<Vec<_>>(), ["c"]);
    assert_eq!(rig.image().partition_count(), 3);
    assert_eq!(rig.image().configs(&ConfigResource::topic("a")), None);
    // The name is free again, and the new topic has another id.
    assert!(rig.create(topic("b", 1, 1)).error_code.is_none());
    assert_ne!(rig.image().topic_id("b"), Some(b));
}

#[test]
fn a_topic_given_twice_is_deleted_at_most_once() {
    let mut rig = Rig::with_brokers(&[1]);
    let id = rig.create(topic("a", 1, 1)).topic_id;
    let results = delete(&mut rig, vec![named("a"), named("a")]);
    assert_eq!(results.len(), 1);
    assert_eq!(results[0].error_message.as_deref(), Some("Duplicate topic name."));
    let results = delete(&mut rig, vec![with_id(id), with_id(id)]);
    assert_eq!(results[0].error_message.as_deref(), Some("Duplicate topic id."));
    assert!(rig.image().topic_id("a").is_some());
    let results = delete(&mut rig, vec![named("a"), with_id(id)]);
    assert!(results[0].error_code.is_none());
    assert_eq!(
        results[1].error_message.as_deref(),
        Some("The provided topic name maps to an ID that was already supplied.")
    );
}

#[test]
fn deletion_can_be_switched_off() {
    let mut rig = Rig::with_brokers(&[1]);
    rig.create(topic("a", 1, 1));
    let settings = rig.waits.settings().clone();
    let settings = Settings { delete_topics: DeleteTopics::Refused, ..settings };
    rig.waits.set_settings(settings);
    let results = delete(&mut rig, vec![named("a")]);
    assert_eq!(results[0].error_code, ErrorCode::TOPIC_DELETION_DISABLED);
}

#[test]
fn a_broker_with_several_directories_chooses_itself() {
    let mut rig = Rig::new();
    let mut request = common::registration(1, 1);
    request.log_dirs.push(Uuid::from_u128(777));
    rig.register(request);
    rig.beat(1);
    rig.create(topic("a", 1, 1));
    let p = rig.image().topic_named("a").and_then(|t| t.partition(0)).expect("the partition");
    assert_eq!(*p.directories, [directory::UNASSIGNED]);
}

#[test]
fn a_request_for_more_than_one_batch_holds_is_refused() {
    let mut rig = Rig::with_brokers(&[1]);
    let (from, state) = (rig.log.len(), rig.image().clone());
    let long = format!("{}:1", "0".repeat(32_000));
    let throttled = "leader.replication.throttled.replicas";
    let many: Vec<_> = (0..300)
        .map(|n| with_config(topic(&format!("t{n}"), 33, 1), throttled, Some(&long)))
        .collect();
    let request = CreateTopicsRequest { topics: many, ..Default::default() };
    match rig.ask(Command::CreateTopics(request)) {
        Reply::Failed(error) => assert_eq!(error.code, ErrorCode::POLICY_VIOLATION),
        other => panic!("{other:?}"),
    }
    assert_eq!(rig.log.len(), from);
    assert_eq!(rig.image(), &state);
}

/// Topics with a long value each: few records, many bytes.
fn bulky(count: usize) -> Vec<CreatableTopic> {
    let long = format!("{}:1", "0".repeat(32_000));
    let throttled = "leader.replication.throttled.replicas";
    let one = |n| with_config(topic(&format!("t{n}"), 1, 1), throttled, Some(&long));
    (0..count).map(one).collect()
}

#[test]
fn a_request_of_few_records_and_too_many_bytes_is_refused_as_kafka_does() {
    let mut rig = Rig::with_brokers(&[1]);
    let (from, state) = (rig.log.len(), rig.image().clone());
    let request = CreateTopicsRequest { topics: bulky(300), ..Default::default() };
    match rig.ask(Command::CreateTopics(request)) {
        Reply::Failed(error) => {
            assert_eq!(error.code, ErrorCode::POLICY_VIOLATION);
            let text = "Unable to perform excessively large batch operation.";
            assert_eq!(error.message.as_deref(), Some(text));
        }
        _ => panic!("it was taken"),
    }
    assert_eq!(rig.log.len(), from);
    assert_eq!(rig.image(), &state);
    // One that fits is one batch, and the next one goes on from it.
    let done = rig.create_all(bulky(200));
    assert!(done.iter().all(|t| t.error_code.is_none()), "{:?}", done[0]);
}

#[test]
fn batches_are_cut_by_bytes_too() {
    let mut rig = Rig::with_brokers(&[1]);
    let from = rig.log.len();
    for _ in 0..3 {
        let n = rig.image().topic_count();
        let mut topics = bulky(n + 150);
        rig.create_all(topics.split_off(n));
    }
    let version = rig.image().features().version();
    let log = &rig.log[from..];
    let cut: Vec<_> = ottla_controller::batches(log, version).collect();
    assert!(cut.len() > 1 && cut.iter().map(|b| b.len()).sum::<usize>() == log.len());
    for batch in cut {
        let bytes = batch.iter().map(|r| r.encode(0).map_or(0, |bytes| bytes.len()));
        assert!(bytes.sum::<usize>() < ottla_controller::MAX_BATCH_BYTES);
    }
}
