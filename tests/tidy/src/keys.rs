//! What the catalog of keys claims.

use crate::house::{ROOMS, root, sources};
use ottla_config::{Standing, catalog};

/// Keys that `config` reads itself, for what it hands to the other rooms.
const READ_BY_CONFIG: &[&str] = &[
    "advertised.listeners",
    "broker.id",
    "config.providers",
    "controller.listener.names",
    "controller.quorum.bootstrap.servers",
    "controller.quorum.voters",
    "http.listeners",
    "inter.broker.listener.name",
    "listener.security.protocol.map",
    "listeners",
    "log.dir",
    "log.dirs",
    "max.connections.per.ip.overrides",
    "metadata.log.dir",
    "node.id",
    "process.roles",
    "security.inter.broker.protocol",
];

#[test]
fn a_key_that_is_said_to_work_is_read() {
    let mut text = String::new();
    for file in ROOMS.iter().filter(|room| room.folder != "config").flat_map(sources) {
        text.push_str(&std::fs::read_to_string(file).expect("a source is text"));
    }
    let config = root().join("broker/config/src/log_config.rs");
    text.push_str(&std::fs::read_to_string(config).expect("a source is text"));
    let words: std::collections::BTreeSet<&str> =
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let is_read = |name: &str| {
        let constant = name.to_uppercase().replace(['.', '-'], "_");
        words.contains(constant.as_str()) || text.contains(&format!("\"{name}\""))
    };
    let behind_topics = |name: &str| catalog::topic_keys().any(|key| key.synonyms.contains(&name));
    let idle: Vec<&str> = catalog::broker_keys()
        .filter(|key| key.standing == Standing::Works)
        .map(|key| key.name)
        .filter(|name| !READ_BY_CONFIG.contains(name) && !behind_topics(name) && !is_read(name))
        .collect();
    assert!(idle.is_empty(), "said to work, but nobody reads them: {idle:#?}");
}
