use std::collections::BTreeMap;

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
log.retention.hours=100
log.retention.minutes=3000
log.roll.hours=50
num.io.threads=6
listener.name.plaintext.max.connections=900
super.users=User:a
ssl.key.password=pw
";

const ALL: DescribeOptions<'_> =
    DescribeOptions { names: None, synonyms: Include::Yes, documentation: Include::No };

fn texts(settings: &[(&str, &str)]) -> Texts {
    settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn broker(own: &[(&str, &str)], all: &[(&str, &str)]) -> BrokerConfig {
    let config = parse(Some(File { name: "f", text: FILE }), &[], &NoSurroundings);
    let layers = DynamicLayers { broker: texts(own), cluster: texts(all) };
    let (config, problems) = config.expect("the file").config.with_dynamic(layers);
    assert_eq!(problems, []);
    config
}

/// `name=value SOURCE [SOURCE:name=value ...]`, written short.
fn line(rows: &[Described], name: &str) -> String {
    let Some(row) = rows.iter().find(|row| row.name == name) else { return "none".to_owned() };
    let short = |source: ConfigSource| match source {
        ConfigSource::Topic => "topic",
        ConfigSource::DynamicBroker => "own",
        ConfigSource::DynamicDefaultBroker => "all",
        ConfigSource::StaticBroker => "file",
        ConfigSource::Default => "default",
        ConfigSource::DynamicBrokerLogger => "logger",
        ConfigSource::ClientMetrics => "metrics",
        ConfigSource::Group => "group",
    };
    let null = "null".to_owned();
    let mut line = format!("{}={}", short(row.source), row.value.as_ref().unwrap_or(&null));
    for s in &row.synonyms {
        let value = s.value.as_ref().unwrap_or(&null);
        line.push_str(&format!(" {}:{}={value}", short(s.source), s.name));
    }
    line
}

// What a running Kafka 4.3.1 answered with this file and these dynamic settings.

#[test]
fn values_of_the_file() {
    let rows = describe_broker(&broker(&[], &[]), ALL);
    for (name, expected) in [
        ("log.retention.ms", "default=null"),
        (
            "log.retention.minutes",
            "file=3000 file:log.retention.minutes=3000 file:log.retention.hours=100 \
             default:log.retention.hours=168",
        ),
        (
            "log.retention.hours",
            "file=100 file:log.retention.hours=100 default:log.retention.hours=168",
        ),
        ("num.io.threads", "file=6 file:num.io.threads=6 default:num.io.threads=8"),
        ("broker.id", "file=1 file:broker.id=1 default:broker.id=-1"),
        ("node.id", "file=1 file:node.id=1"),
        ("ssl.key.password", "file=null file:ssl.key.password=null"),
        ("super.users", "file=null file:super.users=null"),
        ("advertised.listeners", "default=null"),
        (
            "listener.name.plaintext.max.connections",
            "file=900 file:listener.name.plaintext.max.connections=900 \
             default:max.connections=2147483647",
        ),
        ("internal.metadata.delete.delay.millis", "none"),
    ] {
        assert_eq!(line(&rows, name), expected, "{name}");
    }
    let topic = describe_topic(&broker(&[], &[]), &Texts::new(), ALL).expect("a topic");
    assert_eq!(line(&topic, "retention.ms"), "default=180000000");
    assert_eq!(line(&topic, "segment.ms"), "default=180000000");
}

#[test]
fn dynamic_values_stand_over_the_file_and_all_that_means_the_same() {
    let config = broker(&[("log.retention.ms", "7000")], &[("log.retention.ms", "8000")]);
    let rows = describe_broker(&config, ALL);
    let behind = "file:log.retention.minutes=3000 file:log.retention.hours=100 \
                  default:log.retention.hours=168";
    let both = format!("own:log.retention.ms=7000 all:log.retention.ms=8000 {behind}");
    assert_eq!(line(&rows, "log.retention.ms"), format!("own=7000 {both}"));
    assert_eq!(line(&rows, "log.retention.minutes"), format!("file=null {behind}"));
    assert_eq!(
        line(&rows, "log.retention.hours"),
        "file=168 file:log.retention.hours=100 default:log.retention.hours=168"
    );
    let topic = |overrides: &[(&str, &str)]| {
        let rows = describe_topic(&config, &texts(overrides), ALL).expect("a topic");
        line(&rows, "retention.ms")
    };
    assert_eq!(topic(&[]), format!("own=7000 {both}"));
    assert_eq!(topic(&[("retention.ms", " 5 ")]), format!("topic=5 topic:retention.ms=5 {both}"));
}

#[test]
fn values_for_all_brokers_are_answered_as_stored() {
    let config = broker(&[], &[("log.roll.ms", " 9 "), ("foo", "bar"), ("max.connections", "5")]);
    let rows = describe_cluster_default(&config, ALL);
    assert_eq!(line(&rows, "log.roll.ms"), "all= 9  all:log.roll.ms= 9 ");
    assert_eq!(line(&rows, "foo"), "all=null all:foo=null");
    assert_eq!(rows.len(), 3);
    let rows = describe_broker(&config, ALL);
    assert_eq!(
        line(&rows, "log.roll.ms"),
        "all=9 all:log.roll.ms= 9  file:log.roll.hours=50 default:log.roll.hours=168"
    );
    assert_eq!(
        line(&rows, "listener.name.plaintext.max.connections"),
        "file=900 file:listener.name.plaintext.max.connections=900 \
         default:max.connections=2147483647",
        "what a weaker synonym says before the key's own value is not told"
    );
}

#[test]
fn throttles_and_unknown_keys() {
    let own = [("leader.replication.throttled.rate", "5"), ("foo.bar", "x")];
    let config = broker(&own, &[]);
    assert_eq!(config.get(crate::entity_keys::throttle::LEADER_REPLICATION_THROTTLED_RATE), 5);
    let rows = describe_broker(&config, ALL);
    let throttle = rows.iter().find(|r| r.name == "leader.replication.throttled.rate");
    let throttle = throttle.expect("the throttle");
    assert_eq!((throttle.read_only, throttle.kind), (false, Some(ConfigType::Long)));
    assert_eq!(
        line(&rows, "leader.replication.throttled.rate"),
        "own=5 own:leader.replication.throttled.rate=5"
    );
    let unknown = rows.iter().find(|r| r.name == "foo.bar").expect("the unknown key");
    assert!(unknown.read_only && unknown.sensitive && unknown.type_code() == 0);
    assert_eq!(line(&rows, "follower.replication.throttled.rate"), "none");
}

#[test]
fn groups_and_client_metrics() {
    let config = broker(&[], &[]);
    let own = texts(&[("consumer.session.timeout.ms", "50000")]);
    let rows = describe_group(&config, &own, ALL).expect("a group");
    assert_eq!(rows.len(), 17);
    assert_eq!(
        line(&rows, "consumer.session.timeout.ms"),
        "group=50000 group:consumer.session.timeout.ms=50000 \
         default:group.consumer.session.timeout.ms=45000"
    );
    assert_eq!(
        line(&rows, "share.auto.offset.reset"),
        "default=latest default:share.auto.offset.reset=latest"
    );
    let own = texts(&[("interval.ms", "100"), ("metrics", "")]);
    let rows = describe_client_metrics(&own, ALL).expect("a subscription");
    assert_eq!(line(&rows, "interval.ms"), "metrics=100 metrics:interval.ms=100");
    assert_eq!(line(&rows, "metrics"), "metrics= metrics:metrics=");
    assert_eq!(line(&rows, "match"), "default=");
}

#[test]
fn internal_keys_show_only_when_a_topic_sets_them() {
    let config = broker(&[], &[]);
    let own = texts(&[("internal.segment.bytes", "1000")]);
    let rows = describe_topic(&config, &own, ALL).expect("a topic");
    assert_eq!(
        line(&rows, "internal.segment.bytes"),
        "topic=1000 topic:internal.segment.bytes=1000"
    );
    assert_eq!(rows.len(), 34);
    assert_eq!(describe_topic(&config, &BTreeMap::new(), ALL).expect("a topic").len(), 33);
}

#[test]
fn what_no_layer_may_hold_is_told_and_left_out() {
    let config = parse(Some(File { name: "f", text: FILE }), &[], &NoSurroundings);
    let config = config.expect("the file").config;
    let own = [("num.partitions", "9"), ("num.io.threads", "x"), ("log.roll.ms", "60000")];
    let all = [("ssl.client.auth", "none"), ("ssl.keystore.type", "PEM"), ("log.roll.ms", "0")];
    let layers = DynamicLayers { broker: texts(&own), cluster: texts(&all) };
    let (changed, problems) = config.with_dynamic(layers);
    let mut keys: Vec<&str> = problems.iter().filter_map(|p| p.key.as_deref()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["num.io.threads", "num.partitions", "ssl.client.auth", "ssl.keystore.type"]);
    assert_eq!(changed.get(crate::keys::NUM_IO_THREADS), 6);
    assert_eq!(changed.get(crate::keys::NUM_PARTITIONS), 1);
    assert_eq!(changed.log_roll_ms(), 60_000);
    let bad = DynamicLayers { cluster: texts(&[("log.roll.ms", "0")]), ..Default::default() };
    let (kept, problems) = changed.with_dynamic(bad);
    assert!(matches!(problems.as_slice(), [one] if one.key.is_none()), "{problems:?}");
    assert_eq!(kept.log_roll_ms(), 60_000);
}
