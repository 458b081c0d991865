//! Configurations: what is recorded, and what clients are told when it is not.

use crate::common::{Rig, assigned, topic};
use ottla_controller::{Command, Reply};
use ottla_metadata::{ConfigResource, ResourceType};
use ottla_wire::ErrorCode;
use ottla_wire::api::alter_configs as full;
use ottla_wire::api::incremental_alter_configs::*;
use ottla_wire::schema::metadata::MetadataRecord;

const TOPIC: i8 = ResourceType::Topic as i8;
const BROKER: i8 = ResourceType::Broker as i8;
const GROUP: i8 = ResourceType::Group as i8;
const METRICS: i8 = ResourceType::ClientMetrics as i8;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

fn alter(
    rig: &mut Rig,
    kind: i8,
    name: &str,
    ops: &[(i8, &str, Option<&str>)],
) -> (ErrorCode, String) {
    let configs = ops.iter().map(|(op, name, value)| AlterableConfig {
        name: (*name).to_owned(),
        config_operation: *op,
        value: value.map(str::to_owned),
    });
    let resource = AlterConfigsResource {
        resource_type: kind,
        resource_name: name.to_owned(),
        configs: configs.collect(),
    };
    let request =
        IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    match rig.ask(Command::IncrementalAlterConfigs(request)) {
        Reply::IncrementalAlterConfigs(r) => {
            let r = &r.responses[0];
            (r.error_code, r.error_message.clone().unwrap_or_default())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn values_are_set_listed_and_deleted() {
    let mut rig = Rig::with_brokers(&[1]);
    rig.create(topic("aaa", 1, 1));
    let value = |rig: &Rig, key: &str| {
        rig.image().config(&ConfigResource::topic("aaa"), key).map(str::to_owned)
    };
    assert!(alter(&mut rig, TOPIC, "aaa", &[(SET, "retention.ms", Some("1000"))]).0.is_none());
    assert_eq!(value(&rig, "retention.ms").as_deref(), Some("1000"));
    let policy = "cleanup.policy";
    assert!(alter(&mut rig, TOPIC, "aaa", &[(APPEND, policy, Some("compact"))]).0.is_none());
    assert_eq!(value(&rig, policy).as_deref(), Some("delete,compact"));
    let from = rig.log.len();
    assert!(alter(&mut rig, TOPIC, "aaa", &[(APPEND, policy, Some("compact"))]).0.is_none());
    assert_eq!(rig.log.len(), from, "nothing changed, nothing is written");
    assert!(alter(&mut rig, TOPIC, "aaa", &[(SUBTRACT, policy, Some("delete"))]).0.is_none());
    assert_eq!(value(&rig, policy).as_deref(), Some("compact"));
    assert!(alter(&mut rig, TOPIC, "aaa", &[(DELETE, "retention.ms", None)]).0.is_none());
    assert_eq!(value(&rig, "retention.ms"), None);
    assert!(alter(&mut rig, TOPIC, "aaa", &[(DELETE, "nonesuch", None)]).0.is_none());
}

/// Kind and name of a resource, what is asked, and what is said.
type Case = (i8, &'static str, (i8, &'static str, Option<&'static str>), ErrorCode, &'static str);

#[test]
fn refusals_have_kafkas_codes_and_words() {
    let mut rig = Rig::with_brokers(&[1]);
    rig.create(topic("aaa", 1, 1));
    use ErrorCode as E;
    let timeout = "consumer.session.timeout.ms";
    let cases: &[Case] = &[
        (
            TOPIC,
            "zzz",
            (SET, "retention.ms", Some("1")),
            E::UNKNOWN_TOPIC_OR_PARTITION,
            "The topic 'zzz' does not exist.",
        ),
        (
            TOPIC,
            "aaa",
            (SET, "foo", Some("1")),
            E::INVALID_CONFIG,
            "Unknown topic config name: foo",
        ),
        (
            TOPIC,
            "aaa",
            (SET, "retention.ms", Some("x")),
            E::INVALID_CONFIG,
            "Invalid value x for configuration retention.ms: Not a number of type LONG",
        ),
        (
            TOPIC,
            "aaa",
            (SET, "retention.ms", Some("-5")),
            E::INVALID_CONFIG,
            "Invalid value -5 for configuration retention.ms: Value must be at least -1",
        ),
        (
            TOPIC,
            "aaa",
            (APPEND, "retention.ms", Some("5")),
            E::INVALID_CONFIG,
            "Can't APPEND to key retention.ms because its type is not LIST.",
        ),
        (
            TOPIC,
            "",
            (SET, "retention.ms", Some("5")),
            E::INVALID_REQUEST,
            "Default topic resources are not allowed.",
        ),
        (
            TOPIC,
            "aaa",
            (SET, "retention.ms", None),
            E::INVALID_REQUEST,
            "Null value not supported for : retention.ms",
        ),
        (
            BROKER,
            "1",
            (SET, "log.dirs", Some("x")),
            E::INVALID_REQUEST,
            "Cannot update these configs dynamically: [log.dirs]",
        ),
        (
            BROKER,
            "",
            (SET, "listeners", Some("PLAINTEXT://:1")),
            E::INVALID_REQUEST,
            "Cannot update these configs at default cluster level, broker id must be specified: [listeners]",
        ),
        (
            BROKER,
            "9",
            (SET, "log.cleaner.threads", Some("2")),
            E::BROKER_ID_NOT_REGISTERED,
            "No node with id 9 found.",
        ),
        (
            BROKER,
            "x",
            (SET, "log.cleaner.threads", Some("2")),
            E::INVALID_REQUEST,
            "Unable to parse broker name as a base 10 number.",
        ),
        (
            BROKER,
            "-1",
            (SET, "log.cleaner.threads", Some("2")),
            E::INVALID_REQUEST,
            "Invalid negative broker ID.",
        ),
        (
            BROKER,
            "1",
            (SET, "min.insync.replicas", Some("1")),
            E::INVALID_CONFIG,
            "Broker-level min.insync.replicas cannot be altered while ELR is enabled.",
        ),
        (
            BROKER,
            "",
            (DELETE, "min.insync.replicas", None),
            E::INVALID_CONFIG,
            "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.",
        ),
        (
            GROUP,
            "g",
            (SET, timeout, Some("5")),
            E::INVALID_CONFIG,
            "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms",
        ),
        (GROUP, "g", (SET, "foo", Some("5")), E::INVALID_CONFIG, "Unknown group config name: foo"),
        (
            GROUP,
            "",
            (SET, timeout, Some("45001")),
            E::INVALID_REQUEST,
            "Default group resources are not allowed.",
        ),
        (
            METRICS,
            "m",
            (SET, "interval.ms", Some("6")),
            E::INVALID_REQUEST,
            "Invalid value 6 for interval.ms, interval must be between 100 and 3600000 (1 hour)",
        ),
        (
            METRICS,
            "m",
            (SET, "match", Some("foo=bar")),
            E::INVALID_CONFIG,
            "Illegal client matching pattern: foo=bar",
        ),
        (
            METRICS,
            "m",
            (SET, "foo", Some("6")),
            E::INVALID_REQUEST,
            "Unknown client metrics configuration: foo",
        ),
        (77, "m", (SET, "foo", Some("6")), E::INVALID_REQUEST, "Unknown resource type 77"),
        (GROUP, "g", (SET, timeout, Some("45001")), E::NONE, ""),
        (METRICS, "m", (SET, "interval.ms", Some("60000")), E::NONE, ""),
        (BROKER, "1", (SET, "log.cleaner.threads", Some("2")), E::NONE, ""),
        (BROKER, "", (SET, "log.retention.ms", Some("2000000")), E::NONE, ""),
    ];
    for (kind, name, op, code, words) in cases {
        let from = rig.log.len();
        let said = alter(&mut rig, *kind, name, &[*op]);
        assert_eq!(said, (*code, (*words).to_owned()), "{kind} {name} {op:?}");
        assert_eq!(rig.log.len() > from, code.is_none());
    }
}

#[test]
fn one_bad_key_refuses_all_keys_of_its_resource_and_no_other_resource() {
    let mut rig = Rig::with_brokers(&[1]);
    rig.create(topic("a", 1, 1));
    rig.create(topic("b", 1, 1));
    let set = |name: &str, value: &str| AlterableConfig {
        name: name.into(),
        config_operation: SET,
        value: Some(value.into()),
    };
    let of = |name: &str, configs| AlterConfigsResource {
        resource_type: TOPIC,
        resource_name: name.into(),
        configs,
    };
    let resources = vec![
        of("a", vec![set("retention.ms", "5"), set("foo", "1")]),
        of("b", vec![set("retention.ms", "5")]),
    ];
    let request = IncrementalAlterConfigsRequest { resources, ..Default::default() };
    let Reply::IncrementalAlterConfigs(r) = rig.ask(Command::IncrementalAlterConfigs(request))
    else {
        panic!()
    };
    assert_eq!(r.responses[0].error_code, ErrorCode::INVALID_CONFIG);
    assert_eq!(r.responses[1].error_code, ErrorCode::NONE);
    assert_eq!(rig.image().configs(&ConfigResource::topic("a")), None);
    assert!(rig.image().configs(&ConfigResource::topic("b")).is_some());
}

#[test]
fn validate_only_changes_nothing() {
    let mut rig = Rig::with_brokers(&[1]);
    rig.create(topic("a", 1, 1));
    let from = rig.log.len();
    let resource = full::AlterConfigsResource {
        resource_type: TOPIC,
        resource_name: "a".into(),
        configs: vec![full::AlterableConfig {
            name: "retention.ms".into(),
            value: Some("5".into()),
        }],
    };
    let request = full::AlterConfigsRequest { resources: vec![resource], validate_only: true };
    let Reply::AlterConfigs(r) = rig.ask(Command::AlterConfigs(request)) else { panic!() };
    assert!(r.responses[0].error_code.is_none());
    assert_eq!(rig.log.len(), from);
}

#[test]
fn replacing_deletes_what_is_not_given() {
    let mut rig = Rig::with_brokers(&[1]);
    rig.create(topic("a", 1, 1));
    alter(&mut rig, TOPIC, "a", &[(SET, "retention.ms", Some("5")), (SET, "flush.ms", Some("6"))]);
    let resource = full::AlterConfigsResource {
        resource_type: TOPIC,
        resource_name: "a".into(),
        configs: vec![full::AlterableConfig { name: "flush.ms".into(), value: Some("7".into()) }],
    };
    let request = full::AlterConfigsRequest { resources: vec![resource], validate_only: false };
    let Reply::AlterConfigs(r) = rig.ask(Command::AlterConfigs(request)) else { panic!() };
    assert!(r.responses[0].error_code.is_none(), "{r:?}");
    let resource = ConfigResource::topic("a");
    assert_eq!(rig.image().config(&resource, "retention.ms"), None);
    assert_eq!(rig.image().config(&resource, "flush.ms"), Some("7"));
}

#[test]
fn a_resource_given_twice_is_refused() {
    let mut rig = Rig::with_brokers(&[1]);
    rig.create(topic("a", 1, 1));
    let resource = AlterConfigsResource {
        resource_type: TOPIC,
        resource_name: "a".into(),
        configs: Vec::new(),
    };
    let request = IncrementalAlterConfigsRequest {
        resources: vec![resource.clone(), resource],
        ..Default::default()
    };
    let Reply::IncrementalAlterConfigs(r) = rig.ask(Command::IncrementalAlterConfigs(request))
    else {
        panic!()
    };
    let words = Some("Each resource must appear at most once.");
    assert!(r.responses.iter().all(|r| r.error_message.as_deref() == words));
}

#[test]
fn a_new_least_number_in_sync_makes_nobody_eligible() {
    let mut rig = Rig::with_brokers(&[1, 2]);
    rig.create(assigned("t", &[(0, &[1, 2])]));
    alter(&mut rig, TOPIC, "t", &[(SET, "min.insync.replicas", Some("2"))]);
    rig.now += 5_000;
    rig.beat(1);
    rig.now += 5_000;
    rig.tick();
    let elr = |rig: &Rig| {
        let topic = rig.image().topic_named("t").expect("the topic");
        topic.partition(0).expect("a partition").elr().to_vec()
    };
    assert_eq!(elr(&rig), [2]);
    alter(&mut rig, TOPIC, "t", &[(SET, "min.insync.replicas", Some("1"))]);
    assert!(elr(&rig).is_empty());
    assert!(rig.log.iter().any(|r| matches!(r, MetadataRecord::ClearElr(_))));
}

#[test]
fn a_brokers_key_is_written_again_even_unchanged() {
    let mut rig = Rig::with_brokers(&[1]);
    alter(&mut rig, BROKER, "1", &[(SET, "log.cleaner.threads", Some("2"))]);
    let from = rig.log.len();
    alter(&mut rig, BROKER, "1", &[(SET, "log.cleaner.threads", Some("2"))]);
    assert_eq!(rig.log.len(), from + 1);
}

#[test]
fn a_list_does_not_grow_longer_than_a_record_can_hold() {
    let mut rig = Rig::with_brokers(&[1]);
    rig.create(topic("aaa", 1, 1));
    let key = "leader.replication.throttled.replicas";
    let half = |n: u32| format!("{}{n}:1", "0".repeat(20_000));
    assert!(alter(&mut rig, TOPIC, "aaa", &[(APPEND, key, Some(&half(1)))]).0.is_none());
    let (code, text) = alter(&mut rig, TOPIC, "aaa", &[(APPEND, key, Some(&half(2)))]);
    assert_eq!(code, ErrorCode::INVALID_CONFIG);
    let words = "The configuration value cannot be added because it exceeds the maximum value size of 32767 bytes.";
    assert_eq!(text, words);
}
