use proptest::prelude::*;

use super::*;
use crate::broker::Roles;
use crate::dynamic::{DynamicLayers, Texts};
use crate::listener::ListenerName;
use crate::provider::NoSurroundings;

const BASE: &str = "\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:9093
log.dirs=/data
";

fn parse_text(text: &str) -> Result<Parsed, ConfigError> {
    parse(Some(File { name: "s.properties", text }), &[], &NoSurroundings)
}

/// The base file with some lines changed or added; an empty value takes the line out.
fn with(changes: &[(&str, &str)]) -> Result<Parsed, ConfigError> {
    let mut lines: Vec<(String, String)> = BASE
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
    for (key, value) in changes {
        lines.retain(|(k, _)| k != key);
        if !value.is_empty() {
            lines.push(((*key).to_owned(), (*value).to_owned()));
        }
    }
    let text: String = lines.iter().map(|(k, v)| format!("{k}={v}\n")).collect();
    parse_text(&text)
}

fn error(changes: &[(&str, &str)]) -> String {
    with(changes).map(|_| ()).expect_err("an error").to_string()
}

#[test]
fn without_a_file_a_node_is_a_cluster_of_its_own() {
    let parsed = parse(None, &[], &NoSurroundings).expect("the embedded default");
    let config = parsed.config;
    assert_eq!(parsed.warnings, []);
    assert_eq!((config.node_id(), config.roles()), (1, Roles::Combined));
    assert_eq!(config.log_dirs(), ["./ottla-data"]);
    assert_eq!(config.metadata_log_dir(), "./ottla-data");
    assert_eq!(config.listeners().advertised[0].to_string(), "PLAINTEXT://127.0.0.1:9092");
    assert_eq!(config.bootstrap_controllers()[0].to_string(), "127.0.0.1:9093");
    assert_eq!(config.get(keys::OFFSETS_TOPIC_REPLICATION_FACTOR), 1);
    assert_eq!(config.get(keys::HTTP_LISTENERS), ["http://127.0.0.1:9644"]);
    let moved = ["listeners=PLAINTEXT://:1,CONTROLLER://:2".to_owned()];
    let config = parse(None, &moved, &NoSurroundings).expect("moved").config;
    assert_eq!(config.bootstrap_controllers()[0].to_string(), "127.0.0.1:2");
}

#[test]
fn a_bad_value_names_line_key_value_and_what_is_allowed() {
    let text = format!("{BASE}# threads\n\nnum.partitions = 0\n");
    let error = parse_text(&text).map(|_| ()).expect_err("0").to_string();
    assert_eq!(
        error,
        "s.properties:9: num.partitions=0: Value must be at least 1; allowed: INT [1,...]"
    );
    for (key, value, part) in [
        ("num.partitions", "x", "Not a number of type INT; allowed: INT [1,...]"),
        ("compression.type", "lzo", "allowed: STRING [uncompressed, zstd, lz4, snappy, gzip,"),
        ("log.cleanup.policy", "delete,", "values must not be empty; allowed: LIST"),
        ("auto.create.topics.enable", "yes", "either true or false; allowed: BOOLEAN"),
        ("log.cleaner.min.cleanable.ratio", "1.5", "allowed: DOUBLE [0,...,1]"),
        ("controller.quorum.voters", "1:x", "Failed to parse"),
    ] {
        let message = self::error(&[(key, value)]);
        assert!(message.contains(part) && message.contains(value), "{message}");
        assert!(message.starts_with("s.properties:") && !message.contains('\n'), "{message}");
    }
}

#[test]
fn a_message_is_one_line_whatever_the_value() {
    let text = format!("{BASE}num.partitions=1\\n2\\u0007\nun\\nknown=1\n");
    let message = parse_text(&text).map(|_| ()).expect_err("two lines").to_string();
    assert!(message.starts_with("s.properties:7: num.partitions=1\\n2\\u{7}: "), "{message}");
    let text = format!("{BASE}un\\nknown=1\n");
    let warnings = parse_text(&text).expect("a warning").warnings;
    assert_eq!(warnings[0].to_string(), "s.properties:7: unknown key un\\nknown");
}

#[test]
fn overrides_win_and_are_named_as_such() {
    let overrides = ["num.partitions=5".to_owned(), "log.dirs=/a,/b".to_owned()];
    let file = Some(File { name: "f", text: BASE });
    let config = parse(file, &overrides, &NoSurroundings).expect("fine").config;
    assert_eq!(config.get(keys::NUM_PARTITIONS), 5);
    assert_eq!(config.log_dirs(), ["/a", "/b"]);
    let bad = ["num.partitions=0".to_owned()];
    let error = parse(file, &bad, &NoSurroundings).map(|_| ()).expect_err("0").to_string();
    assert!(error.starts_with("--override num.partitions=0: "), "{error}");
    for none in ["num.partitions", "=5", ""] {
        let given = [none.to_owned()];
        let error = parse(file, &given, &NoSurroundings).map(|_| ()).expect_err(none);
        assert!(matches!(error, ConfigError::Override { .. }));
    }
}

#[test]
fn missing_keys_say_what_they_are() {
    for key in ["process.roles", "node.id", "controller.listener.names"] {
        let message = error(&[(key, "")]);
        assert!(message.starts_with(&format!("{key} is not set: ")), "{message}");
    }
}

#[test]
fn keys_that_do_not_go_together() {
    let none: &[(&str, &str)] = &[];
    assert!(with(none).is_ok());
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str);
    let cases: &[Case<'_>] = &[
        (&[("broker.id", "2")], "broker.id=2: must be the same as node.id=1"),
        (&[("listeners", "PLAINTEXT://:9092")], "controller.listener.names=CONTROLLER: must name"),
        (&[("listeners", "")], "controller.listener.names=CONTROLLER: must name"),
        (&[("listeners", "CONTROLLER://:9093")], "must leave at least one listener for brokers"),
        (&[("listeners", "PLAINTEXT://:1,CONTROLLER://:1")], "same port 1"),
        (&[("listeners", "PLAINTEXT://:1,PLAINTEXT://:3,CONTROLLER://:2")], "there twice"),
        (&[("connections.max.idle.ms", "100")], "more than connection.failed.authentication"),
        (&[("early.start.listeners", "FOO")], "FOO is none"),
        (&[("group.consumer.assignors", "range,org.example.Mine")], "org.example.Mine is none"),
        (&[("group.share.assignors", "range")], "range is none"),
        (&[("log.cleaner.threads", "0")], "log.cleaner.threads=0: must be at least 1"),
        (&[("max.connections.per.ip.overrides", "a b:1")], "address:count"),
        (&[("listeners", "FOO://:1,CONTROLLER://:2")], "FOO has no entry in listener.security"),
        (&[("listeners", "PLAINTEXT://h,CONTROLLER://:2")], "is not NAME://host:port"),
        (&[("listeners", "SSL://:1,CONTROLLER://:2")], "CONTROLLER has no entry"),
        (&[("listeners", "PLAINTEXT://0.0.0.0:1,CONTROLLER://:2")], "may not use 0.0.0.0"),
        (&[("advertised.listeners", "SSL://h:1")], "must be an advertised listener; there are SSL"),
        (&[("advertised.listeners", "CONTROLLER://h:1")], "must leave at least one"),
        (&[("advertised.listeners", "OTHER://h:1")], "OTHER has no entry"),
        (&[("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT")], "CONTROLLER has no entry"),
        (&[("listener.security.protocol.map", "PLAINTEXT:FOO")], "no security protocol"),
        (&[("listener.security.protocol.map", "PLAINTEXT")], "is not NAME:PROTOCOL"),
        (&[("inter.broker.listener.name", "FOO")], "must have an entry in"),
        (&[("inter.broker.listener.name", "CONTROLLER")], "must be an advertised listener"),
        (
            &[
                ("inter.broker.listener.name", "PLAINTEXT"),
                ("security.inter.broker.protocol", "PLAINTEXT"),
            ],
            "only one of this and security.inter.broker.protocol",
        ),
        (&[("security.inter.broker.protocol", "SSL")], "must be an advertised listener"),
        (&[("controller.quorum.voters", "")], "controller.quorum.bootstrap.servers"),
        (&[("controller.quorum.voters", "2@h:1")], "must name node.id 1"),
        (&[("process.roles", "broker")], "may not name node.id 1"),
        (
            &[("process.roles", "broker"), ("controller.quorum.voters", "2@h:1")],
            "may not name a listener of `listeners`",
        ),
        (&[("process.roles", "controller")], "PLAINTEXT is none"),
        (&[("controller.listener.names", "CONTROLLER,FOO")], "may only name listeners"),
        (&[("cordoned.log.dirs", "/other")], "unlike /other"),
        (&[("cordoned.log.dirs", "*,/data")], "must stand alone"),
        (&[("log.retention.ms", "0")], "log.retention.ms=0: must be -1 for no limit"),
        (&[("log.retention.hours", "0")], "log.retention.hours=0: must be -1 for no limit"),
        (&[("log.roll.ms", "0")], "must be at least 1"),
        (&[("log.roll.jitter.ms", "-1")], "must be at least 0"),
        (&[("log.cleaner.dedupe.buffer.size", "100")], "log.cleaner.threads=1"),
        (&[("log.cleaner.threads", "200")], "for each of log.cleaner.threads=200"),
        (&[("replica.fetch.wait.max.ms", "40000")], "replica.lag.time.max.ms=30000"),
        (&[("offsets.topic.compression.codec", "9")], "4 (zstd)"),
        (&[("queued.max.request.bytes", "10")], "socket.request.max.bytes=104857600"),
        (&[("max.connections.per.ip", "0")], "may only be 0 if max.connections.per.ip.overrides"),
        (&[("max.connections.per.ip.overrides", "x")], "address:count"),
        (
            &[("group.consumer.heartbeat.interval.ms", "1")],
            "must be at least group.consumer.min.heartbeat.interval.ms=5000",
        ),
        (
            &[("group.consumer.max.session.timeout.ms", "10")],
            "must be at least group.consumer.min.session.timeout.ms=45000",
        ),
        (&[("group.share.max.share.sessions", "1")], "must be at least group.share.max.size=200"),
        (&[("group.coordinator.rebalance.protocols", "consumer")], "must have `classic`"),
        (&[("group.share.assignors", "simple,b")], "exactly one entry"),
        (&[("http.listeners", "127.0.0.1:9644")], "must be http://host:port entries"),
        (
            &[
                ("security.inter.broker.protocol", "SASL_PLAINTEXT"),
                ("listeners", "SASL_PLAINTEXT://:1,CONTROLLER://:2"),
                ("listener.security.protocol.map", "SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:SSL"),
                ("sasl.enabled.mechanisms", "PLAIN"),
            ],
            "must be one of sasl.enabled.mechanisms=PLAIN",
        ),
    ];
    for (changes, part) in cases {
        let message = error(changes);
        assert!(message.contains(part) && !message.contains('\n'), "{changes:?}: {message}");
    }
}

#[test]
fn what_kafka_lets_pass_passes() {
    let cases: &[&[(&str, &str)]] = &[
        &[("broker.id", "1")],
        &[("broker.id", "1"), ("node.id", "")],
        &[("listeners", "plaintext://127.0.0.1:9092,controller://127.0.0.1:9093")],
        &[("listeners", "PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0")],
        &[("advertised.listeners", "PLAINTEXT://h:9092,CONTROLLER://h:9092")],
        &[("process.roles", "controller"), ("listeners", "CONTROLLER://127.0.0.1:9093")],
        &[
            ("process.roles", "broker"),
            ("listeners", "PLAINTEXT://:1"),
            ("controller.quorum.voters", "2@h:1"),
        ],
        &[("controller.quorum.voters", ""), ("controller.quorum.bootstrap.servers", "h:1")],
        &[("log.dirs", "a,b"), ("cordoned.log.dirs", "b")],
        &[("cordoned.log.dirs", "*")],
        &[("log.cleanup.policy", "delete,delete")],
        &[("early.start.listeners", "CONTROLLER")],
        &[(
            "group.consumer.assignors",
            "org.apache.kafka.coordinator.group.assignor.RangeAssignor",
        )],
        &[("log.retention.ms", "-2")],
        &[("queued.max.request.bytes", "0")],
        &[("max.connections.per.ip", "0"), ("max.connections.per.ip.overrides", "127.0.0.1:1")],
        &[("max.connections.per.ip.overrides", "::1:3,host:4")],
    ];
    for changes in cases {
        with(changes).unwrap_or_else(|error| panic!("{changes:?}: {error}"));
    }
    assert_eq!(with(&[("log.dirs", "")]).expect("log.dir").config.log_dirs(), ["/tmp/kafka-logs"]);
}

#[test]
fn warnings() {
    let parsed = with(&[
        ("num.partitons", "3"),
        ("my.own", "3"),
        ("zookeeper.connect", "h:2181"),
        ("num.io.threads", "9"),
        ("num.network.threads", "3"),
        ("remote.log.storage.system.enable", "true"),
        ("rsm.config.bucket", "b"),
        ("config.providers.env.class", "x"),
        ("super.users", "User:a"),
        ("listener.name.plaintext.max.connections", "7"),
        ("listener.name.plaintext.ssl.keystore.location", "/k"),
        ("listener.name.plaintext.plain.sasl.jaas.config", "x;"),
        ("listener.name.plaintext.max.conections", "7"),
        ("listener.name.other.max.connections", "7"),
    ])
    .expect("only warnings");
    let lines: Vec<String> = parsed.warnings.iter().map(|w| format!("{w}")).collect();
    let expected = [
        "s.properties:7: unknown key num.partitons; is num.partitions meant?",
        "s.properties:8: unknown key my.own",
        "s.properties:9: zookeeper.connect has no effect: ZooKeeper's: there is none since Kafka \
         4.0",
        "s.properties:10: num.io.threads has no effect: the runtime takes its number of threads \
         from the machine",
        "s.properties:12: remote.log.storage.system.enable has no effect yet: tiered storage is \
         still to come",
        "s.properties:15: super.users has no effect yet: authorization is still to come",
        "s.properties:17: listener.name.plaintext.ssl.keystore.location has no effect yet: TLS is \
         still to come",
        "s.properties:18: listener.name.plaintext.plain.sasl.jaas.config has no effect yet: SASL \
         is still to come",
        "s.properties:19: unknown key listener.name.plaintext.max.conections; is \
         listener.name.plaintext.max.connections meant?",
        "s.properties:20: listener.name.other.max.connections has no effect: there is no listener \
         other",
    ];
    assert_eq!(lines, expected);
    let listener = ListenerName::new("PLAINTEXT");
    assert_eq!(parsed.config.for_listener(&listener, "max.connections").as_deref(), Some("7"));
    let other = ListenerName::new("CONTROLLER");
    let own = parsed.config.for_listener(&other, "max.connections");
    assert_eq!(own.as_deref(), Some("2147483647"));
}

#[test]
fn a_listeners_own_keys_are_checked() {
    let message = error(&[("listener.name.plaintext.max.connections", "-1")]);
    assert_eq!(
        message,
        "s.properties:7: listener.name.plaintext.max.connections=-1: Value must be at least 0; \
         allowed: INT [0,...]"
    );
}

#[test]
fn secrets_are_not_told() {
    let parsed = with(&[("ssl.key.password", "hunter2")]).expect("a secret");
    assert!(!format!("{:?}", parsed.config.settings()).contains("hunter2"));
}

#[test]
fn references_are_resolved() {
    struct Env;
    impl Surroundings for Env {
        fn env(&self, name: &str) -> Option<String> {
            (name == "N").then(|| "4".to_owned())
        }
        fn file(&self, _path: &str) -> Result<String, String> {
            Err("no such file".to_owned())
        }
    }
    let text = format!("{BASE}num.partitions=${{env:N}}\n");
    let file = |text| Some(File { name: "f", text });
    let config = parse(file(&text), &[], &Env).expect("resolved").config;
    assert_eq!(config.get(keys::NUM_PARTITIONS), 4);
    let text = format!("{BASE}num.partitions=${{env:M}}\n");
    let error = parse(file(&text), &[], &Env).map(|_| ()).expect_err("no M").to_string();
    assert_eq!(error, "f:7: num.partitions=${env:M}: the environment has no variable M");
}

#[test]
fn a_key_set_twice_holds_the_later_value() {
    let text = format!("{BASE}num.partitions=2\nnum.partitions=3\n");
    let parsed = parse_text(&text).expect("fine");
    assert_eq!(parsed.config.get(keys::NUM_PARTITIONS), 3);
    let warning = parsed.warnings[0].to_string();
    assert_eq!(warning, "s.properties:7: num.partitions is set again on line 8, which holds");
}

#[test]
fn a_file_that_is_no_properties_file_says_where() {
    let error = parse_text("a=1\nb=\\u12\n").map(|_| ()).expect_err("an escape").to_string();
    assert_eq!(error, "s.properties:2: \\u must be followed by four hexadecimal digits");
}

#[test]
fn lists_that_have_a_form_of_their_own_are_read() {
    let config = with(&[
        ("http.listeners", "http://:1,http://[::1]:2"),
        ("max.connections.per.ip.overrides", "10.0.0.1:3, host:4,::1:5"),
    ])
    .expect("fine")
    .config;
    let http: Vec<String> = config.http_listeners().iter().map(ToString::to_string).collect();
    assert_eq!(http, [":1", "[::1]:2"]);
    let limits = config.connections_per_ip_overrides();
    let expected = [("10.0.0.1", 3), ("host", 4), ("::1", 5)];
    assert_eq!(limits, expected.map(|(address, count)| (address.to_owned(), count)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever a key is set to, the answer is settings or one line.
    #[test]
    fn any_value_is_taken_or_refused_in_one_line(
        key in prop::sample::select(catalog::broker_keys().map(|s| s.name).collect::<Vec<_>>()),
        value in "[-+0-9a-zA-Z:,./@*\\[\\] ]{0,24}",
    ) {
        let overrides = [format!("{key}={value}")];
        if let Err(error) = parse(None, &overrides, &NoSurroundings) {
            let message = error.to_string();
            prop_assert!(message.contains('=') || message.contains("is not set"), "{}", message);
            prop_assert!(!message.contains('\n'), "{}", message);
        }
    }

    /// Whatever is set at run time, the node keeps settings that hold together.
    #[test]
    fn any_dynamic_value_is_applied_or_told(
        key in prop::sample::select(catalog::broker_keys().map(|s| s.name).collect::<Vec<_>>()),
        value in "[-+0-9a-zA-Z:,./@*\\[\\] ]{0,24}",
    ) {
        let config = parse(None, &[], &NoSurroundings).expect("the embedded default").config;
        let layer = Texts::from([(key.to_owned(), value.clone())]);
        for layers in [
            DynamicLayers { broker: layer.clone(), ..DynamicLayers::default() },
            DynamicLayers { cluster: layer, ..DynamicLayers::default() },
        ] {
            let (changed, problems) = config.with_dynamic(layers);
            if !problems.is_empty() {
                prop_assert_eq!(changed.settings(), config.settings());
            }
        }
    }
}
