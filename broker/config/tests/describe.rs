//! DescribeConfigs answers row for row what a running Apache Kafka 4.3.1 answered.

use std::collections::BTreeMap;

use ottla_config::{
    BrokerConfig, ConfigSource, DescribeOptions, Described, DynamicLayers, File, Include,
    NoSurroundings, Origin, catalog, describe_broker, describe_cluster_default, describe_topic,
    parse,
};

/// The file of the broker whose answers `data/describe-configs.tsv` has, but for its addresses.
const FILE: &str = "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:9093
listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
log.dirs=/data
default.replication.factor=1
group.initial.rebalance.delay.ms=0
log.retention.check.interval.ms=1000
metric.reporters=org.example.Reporter
offsets.topic.num.partitions=5
offsets.topic.replication.factor=1
remote.log.metadata.manager.listener.name=PLAINTEXT
remote.log.storage.manager.class.name=org.example.Store
remote.log.storage.system.enable=true
rlmm.config.remote.log.metadata.topic.num.partitions=5
rlmm.config.remote.log.metadata.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=5
share.coordinator.state.topic.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=5
transaction.state.log.replication.factor=1
";

const ALL: DescribeOptions<'_> =
    DescribeOptions { names: None, synonyms: Include::Yes, documentation: Include::Yes };

fn broker() -> BrokerConfig {
    let file = File { name: "server.properties", text: FILE };
    let config = parse(Some(file), &[], &NoSurroundings).expect("the file").config;
    let cluster = BTreeMap::from([("min.insync.replicas".to_owned(), "1".to_owned())]);
    let (config, problems) =
        config.with_dynamic(DynamicLayers { cluster, ..DynamicLayers::default() });
    assert_eq!(problems, []);
    config
}

fn source_name(source: ConfigSource) -> &'static str {
    match source {
        ConfigSource::Topic => "DYNAMIC_TOPIC_CONFIG",
        ConfigSource::DynamicBroker => "DYNAMIC_BROKER_CONFIG",
        ConfigSource::DynamicDefaultBroker => "DYNAMIC_DEFAULT_BROKER_CONFIG",
        ConfigSource::StaticBroker => "STATIC_BROKER_CONFIG",
        ConfigSource::Default => "DEFAULT_CONFIG",
        ConfigSource::DynamicBrokerLogger => "DYNAMIC_BROKER_LOGGER_CONFIG",
        ConfigSource::ClientMetrics => "DYNAMIC_CLIENT_METRICS_CONFIG",
        ConfigSource::Group => "DYNAMIC_GROUP_CONFIG",
    }
}

fn row(resource: &str, described: &Described) -> String {
    let synonyms: Vec<String> = described
        .synonyms
        .iter()
        .map(|s| format!("{}:{}", source_name(s.source), s.name))
        .collect();
    [
        resource,
        &described.name,
        described.kind.map_or("UNKNOWN", |kind| kind.name()),
        &described.read_only.to_string(),
        &described.sensitive.to_string(),
        source_name(described.source),
        &synonyms.join(","),
    ]
    .join("\t")
}

fn ottlas_own(name: &str) -> bool {
    catalog::broker_keys().any(|spec| spec.name == name && spec.origin == Origin::Ottla)
}

#[test]
fn every_row_of_a_broker_and_of_a_topic() {
    let broker = broker();
    let mut rows: Vec<String> = describe_broker(&broker, ALL)
        .iter()
        .filter(|described| !ottlas_own(&described.name))
        .map(|described| row("broker", described))
        .collect();
    let topic = describe_topic(&broker, &BTreeMap::new(), ALL).expect("a topic");
    rows.extend(topic.iter().map(|described| row("topic", described)));
    rows.sort();
    let mut facts: Vec<&str> = include_str!("data/describe-configs.tsv").lines().skip(1).collect();
    facts.sort_unstable();
    assert_eq!(facts.iter().filter(|fact| fact.starts_with("broker\t")).count(), 343);
    assert_eq!(facts.iter().filter(|fact| fact.starts_with("topic\t")).count(), 33);
    let missing: Vec<&&str> =
        facts.iter().filter(|fact| !rows.contains(&(**fact).to_owned())).collect();
    let surplus: Vec<&String> = rows.iter().filter(|row| !facts.contains(&row.as_str())).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "missing {missing:#?} surplus {surplus:#?}");
    assert_eq!(rows.len(), facts.len());
}

#[test]
fn known_keys_have_documentation_and_secrets_have_no_value() {
    for described in describe_broker(&broker(), ALL) {
        let known = catalog::broker_keys().any(|spec| spec.name == described.name);
        assert_eq!(described.documentation.is_some(), known, "{}", described.name);
        assert!(!described.sensitive || described.value.is_none(), "{}", described.name);
    }
}

#[test]
fn only_what_is_asked_for_is_answered() {
    let names = ["num.partitions".to_owned(), "no.such.key".to_owned()];
    let options =
        DescribeOptions { names: Some(&names), synonyms: Include::No, documentation: Include::No };
    let rows = describe_broker(&broker(), options);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].value.as_deref(), Some("1"));
    assert_eq!((rows[0].type_code(), rows[0].source.code()), (3, 5));
    assert!(rows[0].synonyms.is_empty() && rows[0].documentation.is_none());
}

#[test]
fn the_cluster_default_is_what_was_set_for_all_brokers() {
    let rows = describe_cluster_default(&broker(), ALL);
    let lines: Vec<String> = rows.iter().map(|described| row("cluster", described)).collect();
    assert_eq!(
        lines,
        ["cluster\tmin.insync.replicas\tINT\tfalse\tfalse\tDYNAMIC_DEFAULT_BROKER_CONFIG\t\
          DYNAMIC_DEFAULT_BROKER_CONFIG:min.insync.replicas"]
    );
}
