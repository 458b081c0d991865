use super::*;
use crate::dynamic::DynamicLayers;
use crate::{File, NoSurroundings, parse};

const FILE: &str = "\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:9093
log.dirs=/data
";

fn broker(own: &[(&str, &str)]) -> BrokerConfig {
    let config = parse(Some(File { name: "f", text: FILE }), &[], &NoSurroundings);
    let layers = DynamicLayers { broker: texts(own), cluster: Texts::new() };
    let (config, problems) = config.expect("the file").config.with_dynamic(layers);
    assert_eq!(problems, []);
    config
}

fn texts(settings: &[(&str, &str)]) -> Texts {
    settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn op(op: AlterOp, name: &str, value: &str) -> Alteration {
    Alteration { name: name.to_owned(), op, value: Some(value.to_owned()) }
}

/// Applies one operation over what is stored, and gives what is stored then, or the refusal.
fn alter(
    target: Target<'_>,
    broker: &BrokerConfig,
    current: &[(&str, &str)],
    ops: &[Alteration],
) -> Result<Vec<Change>, String> {
    let current = texts(current);
    let context = AlterContext { target, current: &current, broker, elr: Elr::Disabled };
    alter_incremental(context, ops).map_err(|error| match error.code {
        AlterErrorCode::InvalidConfig => format!("config: {error}"),
        AlterErrorCode::InvalidRequest => format!("request: {error}"),
    })
}

fn refusal(target: Target<'_>, broker: &BrokerConfig, settings: &[(&str, &str)]) -> String {
    let ops: Vec<Alteration> = settings.iter().map(|(k, v)| op(AlterOp::Set, k, v)).collect();
    alter(target, broker, &[], &ops).map_or_else(|message| message, |_| "fine".to_owned())
}

// The answers below are those of a running Kafka 4.3.1.

#[test]
fn refusals_for_topics() {
    let broker = broker(&[]);
    for (settings, expected) in [
        (
            &[("segment.bytes", "1")][..],
            "config: Invalid value 1 for configuration segment.bytes: Value must be at least \
             1048576",
        ),
        (
            &[("segment.bytes", "x")],
            "config: Invalid value x for configuration segment.bytes: Not a number of type INT",
        ),
        (&[("foo", "1")], "config: Unknown topic config name: foo"),
        (&[("", "1")], "config: Unknown topic config name: "),
        (&[("segment.bytes", "x"), ("foo", "x")], "config: Unknown topic config name: foo"),
        (
            &[("cleanup.policy", "foo")],
            "config: Invalid value foo for configuration cleanup.policy: String must be one of: \
             compact, delete",
        ),
        (
            &[("cleanup.policy", "delete,")],
            "config: Configuration 'cleanup.policy' values must not be empty.",
        ),
        (&[("cleanup.policy", "")], "fine"),
        (&[("cleanup.policy", "delete,delete")], "fine"),
        (
            &[("retention.ms", "")],
            "config: Invalid value  for configuration retention.ms: Not a number of type LONG",
        ),
        (
            &[("retention.ms", "5"), ("retention.ms", "6")],
            "request: Error due to duplicate config keys",
        ),
        (
            &[("min.compaction.lag.ms", "10"), ("max.compaction.lag.ms", "5")],
            "config: conflict topic config setting min.compaction.lag.ms (10) > \
             max.compaction.lag.ms (5)",
        ),
        (&[("local.retention.ms", "99"), ("retention.ms", "9")], "fine"),
        (
            &[("remote.storage.enable", "true")],
            "config: Tiered Storage functionality is disabled in the broker. Topic cannot be \
             configured with remote log storage.",
        ),
        (
            &[("leader.replication.throttled.replicas", "x")],
            "config: Invalid value [x] for configuration leader.replication.throttled.replicas: \
             leader.replication.throttled.replicas must be the literal '*' or a list of replicas \
             in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
        ),
        (
            &[("compression.type", "GZIP")],
            "config: Invalid value GZIP for configuration compression.type: String must be one \
             of: uncompressed, zstd, lz4, snappy, gzip, producer",
        ),
        (&[("internal.segment.bytes", "1000")], "fine"),
        (
            &[("min.insync.replicas", "0")],
            "config: Invalid value 0 for configuration min.insync.replicas: Value must be at \
             least 1",
        ),
    ] {
        assert_eq!(refusal(Target::Topic, &broker, settings), expected, "{settings:?}");
    }
}

#[test]
fn lists_are_edited() {
    let broker = broker(&[]);
    let edit = |stored: &[(&str, &str)], kind: AlterOp, text: &str| {
        let ops = [op(kind, "cleanup.policy", text)];
        match alter(Target::Topic, &broker, stored, &ops) {
            Ok(changes) => changes.first().map_or("same".to_owned(), |change| {
                change.value.clone().unwrap_or_else(|| "forgotten".to_owned())
            }),
            Err(message) => message,
        }
    };
    let both = &[("cleanup.policy", "delete,compact")][..];
    assert_eq!(edit(&[], AlterOp::Append, "compact"), "delete,compact");
    assert_eq!(edit(&[], AlterOp::Append, "compact,compact"), "delete,compact");
    assert_eq!(edit(&[], AlterOp::Subtract, "delete"), "");
    assert_eq!(edit(both, AlterOp::Append, "compact"), "same");
    assert_eq!(edit(both, AlterOp::Subtract, "delete"), "compact");
    assert_eq!(edit(both, AlterOp::Subtract, "nothing"), "same");
    assert_eq!(edit(both, AlterOp::Subtract, ""), "same");
    assert_eq!(edit(both, AlterOp::Delete, "anything"), "forgotten");
    assert_eq!(edit(&[], AlterOp::Delete, ""), "same");
    assert_eq!(edit(&[("cleanup.policy", "")], AlterOp::Append, "compact"), "compact");
    assert_eq!(edit(both, AlterOp::Set, " compact , compact"), " compact , compact");
    assert_eq!(
        edit(both, AlterOp::Append, ""),
        "config: Configuration 'cleanup.policy' values must not be empty."
    );
    let not_a_list = |kind, name: &str| alter(Target::Topic, &broker, &[], &[op(kind, name, "5")]);
    for name in ["retention.ms", "foo"] {
        assert_eq!(
            not_a_list(AlterOp::Append, name),
            Err(format!("config: Can't APPEND to key {name} because its type is not LIST."))
        );
    }
    assert_eq!(
        not_a_list(AlterOp::Subtract, "retention.ms"),
        Err("config: Can't SUBTRACT to key retention.ms because its type is not LIST.".to_owned())
    );
    assert_eq!(alter(Target::Topic, &broker, &[], &[op(AlterOp::Delete, "foo", "")]), Ok(vec![]));
}

#[test]
fn nulls_are_only_for_deleting() {
    let broker = broker(&[]);
    let null = |op| Alteration { name: "retention.ms".to_owned(), op, value: None };
    for kind in [AlterOp::Set, AlterOp::Append, AlterOp::Subtract] {
        let message = "request: Null value not supported for : retention.ms";
        assert_eq!(alter(Target::Topic, &broker, &[], &[null(kind)]), Err(message.to_owned()));
    }
    assert_eq!(alter(Target::Topic, &broker, &[], &[null(AlterOp::Delete)]), Ok(vec![]));
}

#[test]
fn refusals_for_one_broker() {
    let broker = broker(&[("log.retention.ms", "100000")]);
    let wrapped = |message: &str| {
        format!(
            "request: Invalid value org.apache.kafka.common.config.ConfigException: {message} for \
             configuration Invalid dynamic configuration"
        )
    };
    let cases: Vec<(&[(&str, &str)], String)> = vec![
        (
            &[("num.io.threads", "0")],
            "request: Invalid value 0 for configuration num.io.threads: Value must be at least 1"
                .into(),
        ),
        (&[("num.io.threads", "10")], "fine".into()),
        (
            &[("num.io.threads", "100")],
            wrapped(
                "Dynamic thread count update validation failed for num.io.threads=100, value \
                 should not be greater than double the current value 8",
            ),
        ),
        (
            &[("num.io.threads", "3")],
            wrapped(
                "Dynamic thread count update validation failed for num.io.threads=3, value should \
                 be at least half the current value 8",
            ),
        ),
        (
            &[("log.cleaner.threads", "5")],
            wrapped(
                "Log cleaner threads cannot be increased to more than double the current value 1",
            ),
        ),
        (&[("node.id", "5")], "request: Cannot update these configs dynamically: [node.id]".into()),
        (
            &[("log.retention.hours", "1")],
            "request: Cannot update these configs dynamically: [log.retention.hours]".into(),
        ),
        (&[("foo.bar", "5")], "fine".into()),
        (
            &[("log.retention.ms", "0")],
            "request: requirement failed: log.retention.ms must be unlimited (-1) or, greater \
             than or equal to 1"
                .into(),
        ),
        (
            &[("log.roll.ms", "0")],
            "request: requirement failed: log.roll.ms must be greater than or equal to 1".into(),
        ),
        (
            &[("log.roll.jitter.ms", "-1")],
            "request: requirement failed: log.roll.jitter.ms must be greater than or equal to 0"
                .into(),
        ),
        (
            &[("ssl.keystore.location", "/x")],
            "request: These security configs can be dynamically updated only per-listener using \
             the listener prefix: [ssl.keystore.location]"
                .into(),
        ),
        (&[("listener.name.plaintext.ssl.keystore.location", "/x")], "fine".into()),
        (
            &[("listener.name.plaintext.ssl.client.auth", "foo")],
            "request: Invalid value foo for configuration ssl.client.auth: String must be one of: \
             required, requested, none"
                .into(),
        ),
        (
            &[("listeners", "PLAINTEXT://:1")],
            "request: requirement failed: controller.listener.names must contain at least one \
             value appearing in the 'listeners' configuration when running the KRaft controller \
             role"
                .into(),
        ),
        (
            &[("listeners", "PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:9093")],
            wrapped(
                "Configs cannot be updated dynamically for existing listener \
                 ListenerName(PLAINTEXT), restart broker or create a new listener for update",
            ),
        ),
        (
            &[(
                "listeners",
                "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093,EXT://127.0.0.1:9094",
            )],
            "request: Error creating broker listeners from '[PLAINTEXT://127.0.0.1:9092, \
             CONTROLLER://127.0.0.1:9093, EXT://127.0.0.1:9094]': No security protocol defined \
             for listener EXT"
                .into(),
        ),
        (
            &[("listener.security.protocol.map", "FOO:BAR")],
            "request: Invalid security protocol `BAR` defined in listener.security.protocol.map"
                .into(),
        ),
        (
            &[("log.cleaner.dedupe.buffer.size", "5")],
            "request: requirement failed: log.cleaner.dedupe.buffer.size must be at least 1MB per \
             cleaner thread."
                .into(),
        ),
        (
            &[("leader.replication.throttled.rate", "-1")],
            "request: Invalid value -1 for configuration leader.replication.throttled.rate: Value \
             must be at least 0"
                .into(),
        ),
        (&[("leader.replication.throttled.rate", "5")], "fine".into()),
        (
            &[("log.retention.ms", "100000"), ("log.local.retention.ms", "999999999999")],
            wrapped(
                "Invalid value 999999999999 for configuration log.local.retention.ms: Value must \
                 not be more than log.retention.ms property value: 100000",
            ),
        ),
        (
            &[("log.retention.ms", "100000"), ("log.local.retention.ms", "-1")],
            wrapped(
                "Invalid value -1 for configuration log.local.retention.ms: Value must not be -1 \
                 as log.retention.ms value is set as 100000.",
            ),
        ),
        (
            &[("cordoned.log.dirs", "/x")],
            "request: requirement failed: All entries in cordoned.log.dirs must be present in \
             log.dirs or log.dir. Missing entries : /x"
                .into(),
        ),
        (&[("cordoned.log.dirs", "*")], "fine".into()),
        (
            &[("group.consumer.assignment.interval.ms", "999999")],
            "request: group.consumer.assignment.interval.ms must be less than or equal to \
             group.consumer.max.assignment.interval.ms"
                .into(),
        ),
        (
            &[("principal.builder.class", "x")],
            "request: Invalid value x for configuration principal.builder.class: Class x could \
             not be found."
                .into(),
        ),
        (
            &[("metric.reporters", "foo.Bar")],
            wrapped(
                "Validation of dynamic config update of Set(metric.reporters) failed with class \
                 class kafka.server.DynamicMetricsReporters",
            ),
        ),
        (&[("max.connections", "0")], wrapped("Invalid max.connections 0")),
        (&[("listener.name.plaintext.max.connections", "0")], wrapped("Invalid max.connections 0")),
        (&[("listeners", "x")], "request: Unable to parse a listener name from x".into()),
        (&[("log.cleanup.policy", "delete,delete")], "fine".into()),
        (&[("super.users", "User:x")], "fine".into()),
        (
            &[("http.listeners", "http://:1")],
            "request: Cannot update these configs dynamically: [http.listeners]".into(),
        ),
    ];
    for (settings, expected) in cases {
        assert_eq!(refusal(Target::Broker, &broker, settings), expected, "{settings:?}");
    }
}

#[test]
fn refusals_for_all_brokers() {
    let broker = broker(&[]);
    for (name, value) in [
        ("listeners", "PLAINTEXT://:1"),
        ("listener.name.plaintext.ssl.keystore.location", "/x"),
        ("listener.name.plaintext.background.threads", "5"),
        ("sasl.jaas.config", "x"),
        ("cordoned.log.dirs", "/x"),
    ] {
        assert_eq!(
            refusal(Target::Cluster, &broker, &[(name, value)]),
            format!(
                "request: Cannot update these configs at default cluster level, broker id must \
                 be specified: [{name}]"
            )
        );
    }
    for name in ["listener.name.plaintext.max.connections", "max.connections", "foo.bar"] {
        assert_eq!(refusal(Target::Cluster, &broker, &[(name, "5")]), "fine");
    }
}

#[test]
fn lists_of_brokers() {
    let broker = broker(&[]);
    let append =
        |name: &str| alter(Target::Broker, &broker, &[], &[op(AlterOp::Append, name, "compact")]);
    assert_eq!(append("nope"), Err("config: Unknown config name: nope".to_owned()));
    assert_eq!(
        append("num.io.threads"),
        Err("config: Config value append is not allowed for config key: num.io.threads".to_owned())
    );
    let changes = append("log.cleanup.policy").expect("a list");
    assert_eq!(changes[0].value.as_deref(), Some("delete,compact"));
}

#[test]
fn refusals_for_groups() {
    let broker = broker(&[]);
    for (name, value, expected) in [
        (
            "consumer.session.timeout.ms",
            "1",
            "consumer.session.timeout.ms must be greater than or equal to \
             group.consumer.min.session.timeout.ms",
        ),
        (
            "consumer.session.timeout.ms",
            "99999999",
            "consumer.session.timeout.ms must be less than or equal to \
             group.consumer.max.session.timeout.ms",
        ),
        (
            "consumer.session.timeout.ms",
            "x",
            "Invalid value x for configuration consumer.session.timeout.ms: Not a number of type \
             INT",
        ),
        ("foo", "1", "Unknown group config name: foo"),
        (
            "share.auto.offset.reset",
            "foo",
            "Invalid value foo for configuration share.auto.offset.reset: Invalid value `foo` for \
             configuration share.auto.offset.reset. The value must be either 'earliest', 'latest' \
             or of the format 'by_duration:<PnDTnHnMn.nS>'.",
        ),
        (
            "share.delivery.count.limit",
            "30",
            "share.delivery.count.limit must be less than or equal to \
             group.share.max.delivery.count.limit",
        ),
        (
            "streams.num.standby.replicas",
            "5",
            "streams.num.standby.replicas must be less than or equal to \
             group.streams.max.standby.replicas",
        ),
    ] {
        let expected = format!("config: {expected}");
        assert_eq!(refusal(Target::Group, &broker, &[(name, value)]), expected);
    }
    for (name, value) in [
        ("consumer.session.timeout.ms", "50000"),
        ("share.auto.offset.reset", "by_duration:PT1H"),
        ("consumer.heartbeat.interval.ms", "15000"),
    ] {
        assert_eq!(refusal(Target::Group, &broker, &[(name, value)]), "fine", "{name}");
    }
}

#[test]
fn refusals_for_client_metrics() {
    let broker = broker(&[]);
    let target = Target::ClientMetrics("cm");
    for (name, value, expected) in [
        (
            "interval.ms",
            "50",
            "request: Invalid value 50 for interval.ms, interval must be between 100 and 3600000 \
             (1 hour)",
        ),
        (
            "interval.ms",
            "x",
            "config: Invalid value x for configuration interval.ms: Not a number of type INT",
        ),
        ("foo", "1", "request: Unknown client metrics configuration: foo"),
        ("match", "a", "config: Illegal client matching pattern: a"),
        ("match", "foo=bar", "config: Illegal client matching pattern: foo=bar"),
        ("match", "client_id=[", "config: Illegal client matching pattern: client_id=["),
        ("match", "client_id=", "config: Illegal client matching pattern: client_id="),
        ("match", "client_id=a=b", "config: Illegal client matching pattern: client_id=a=b"),
        ("match", "client_id=a.*, client_software_name=b", "fine"),
        ("metrics", "*", "fine"),
        ("metrics", "a,a", "fine"),
        ("metrics", "", "fine"),
    ] {
        assert_eq!(refusal(target, &broker, &[(name, value)]), expected, "{name}={value}");
    }
    assert_eq!(
        refusal(Target::ClientMetrics(""), &broker, &[("interval.ms", "100")]),
        "request: Subscription name can't be empty"
    );
    assert_eq!(
        alter(target, &broker, &[], &[op(AlterOp::Append, "metrics", "x")]),
        Err("config: Can't APPEND to key metrics because its type is not LIST.".to_owned())
    );
}

#[test]
fn min_insync_replicas_under_eligible_leader_replicas() {
    let broker = broker(&[]);
    let current = texts(&[("min.insync.replicas", "1")]);
    let run = |target, op: Alteration| {
        let context =
            AlterContext { target, current: &current, broker: &broker, elr: Elr::Enabled };
        alter_incremental(context, &[op]).map_err(|error| error.to_string())
    };
    let own = "Broker-level min.insync.replicas cannot be altered while ELR is enabled.";
    let all = "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.";
    let set = || op(AlterOp::Set, "min.insync.replicas", "2");
    let delete = || op(AlterOp::Delete, "min.insync.replicas", "");
    assert_eq!(run(Target::Broker, set()), Err(own.to_owned()));
    assert_eq!(run(Target::Broker, delete()), Err(own.to_owned()));
    assert_eq!(run(Target::Cluster, delete()), Err(all.to_owned()));
    assert!(run(Target::Cluster, set()).is_ok());
    assert!(run(Target::Topic, set()).is_ok());
}

#[test]
fn the_old_request_replaces_all() {
    let broker = broker(&[]);
    let current = texts(&[("retention.ms", "5"), ("segment.ms", "6"), ("flush.ms", "7")]);
    let target = Target::Topic;
    let context = AlterContext { target, current: &current, broker: &broker, elr: Elr::Disabled };
    let new = [
        ("retention.ms".to_owned(), Some("5".to_owned())),
        ("segment.ms".to_owned(), Some("8".to_owned())),
    ];
    let changes = alter_all(context, &new).expect("fine");
    let change = |name: &str, value: Option<&str>| Change {
        name: name.to_owned(),
        value: value.map(str::to_owned),
    };
    assert_eq!(changes, [change("flush.ms", None), change("segment.ms", Some("8"))]);
    let error = alter_all(context, &[("a".to_owned(), None)]).expect_err("null");
    assert_eq!(error.to_string(), "Null value not supported for : a");
}

#[test]
fn a_value_has_a_greatest_length() {
    let broker = broker(&[]);
    let long = "x".repeat(MAX_VALUE_BYTES + 1);
    let message = refusal(Target::Broker, &broker, &[("foo", &long)]);
    assert!(message.starts_with("config: The configuration value cannot be added"), "{message}");
    assert_eq!(refusal(Target::Broker, &broker, &[("foo", &long[1..])]), "fine");
}

#[test]
fn a_new_topics_settings_are_checked() {
    let broker = broker(&[]);
    assert_eq!(check_new_topic(&broker, &texts(&[("retention.ms", "5")])), Ok(()));
    let error = check_new_topic(&broker, &texts(&[("foo", "5")])).expect_err("unknown");
    assert_eq!(error.to_string(), "Unknown topic config name: foo");
}
