//! Keys that are in no table: a listener's own, a plugin's, and those of older versions.

use std::collections::BTreeMap;

use crate::broker::Given;
use crate::catalog::{self, why};
use crate::keys;
use crate::spec::{Spec, Standing, UpdateMode};
use crate::value::split_list;

/// What a key that is in no table is.
#[derive(Debug)]
pub(crate) enum Custom {
    /// `listener.name.<name>.<key>`, perhaps with a SASL mechanism between.
    Listener {
        /// The listener.
        name: String,
        /// Whether this node has such a listener.
        listens: bool,
        /// The key that it stands for; none if there is no such key, or not for one listener.
        spec: Option<&'static Spec>,
    },
    /// Read by Kafka's own parts, though it is in none of its tables.
    Known(Standing),
    /// Handed on to something that reads its own keys.
    Plugin,
    /// Of an older version of Kafka.
    Removed(&'static str),
    /// Nobody's.
    Unknown,
}

const ZOOKEEPER: &str = "ZooKeeper's: there is none since Kafka 4.0";
const FORMATS: &str = "removed in Kafka 4.0: there is one message format, and a cluster's version \
                       is its metadata.version";
const REMOVED: &str = "removed in Kafka 4.0";

/// Keys that are read, though in no table of Kafka.
const KNOWN: &[(&str, Standing)] = &[
    ("super.users", Standing::Planned(why::AUTHZ)),
    ("allow.everyone.if.no.acl.found", Standing::Planned(why::AUTHZ)),
    ("metrics.jmx.include", Standing::NoEffect(why::REPORTERS)),
    ("metrics.jmx.exclude", Standing::NoEffect(why::REPORTERS)),
];

/// Keys of older versions.
const GONE: &[(&str, &str)] = &[
    ("inter.broker.protocol.version", FORMATS),
    ("log.message.format.version", FORMATS),
    ("log.message.downconversion.enable", FORMATS),
    ("log.message.timestamp.difference.max.ms", REMOVED),
    ("broker.id.generation.enable", ZOOKEEPER),
    ("reserved.broker.max.id", ZOOKEEPER),
    ("control.plane.listener.name", ZOOKEEPER),
    ("delegation.token.master.key", REMOVED),
    ("offsets.commit.required.acks", REMOVED),
    ("leader.imbalance.per.broker.percentage", REMOVED),
    ("auto.include.jmx.reporter", REMOVED),
    ("group.coordinator.new.enable", REMOVED),
    ("metadata.log.max.size", REMOVED),
];

const GONE_PREFIXES: &[(&str, &str)] =
    &[("zookeeper.", ZOOKEEPER), ("password.encoder.", ZOOKEEPER)];

/// Prefixes whose keys belong to what reads them.
const PLUGIN_PREFIXES: &[&str] = &["config.providers.", "metrics.context."];

/// Names worth proposing for a mistyped one.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|(name, _)| *name)
}

/// Says what a key is that is in no table.
pub(crate) fn classify(key: &str, given: &BTreeMap<String, Given>) -> Custom {
    if let Some((_, standing)) = KNOWN.iter().find(|(name, _)| *name == key) {
        return Custom::Known(*standing);
    }
    let gone = GONE.iter().find(|(name, _)| *name == key);
    let gone = gone.or_else(|| GONE_PREFIXES.iter().find(|(prefix, _)| key.starts_with(prefix)));
    if let Some((_, why)) = gone {
        return Custom::Removed(why);
    }
    let text = |name: &'static str, default: &'static str| {
        given.get(name).map_or(default, |given| given.value.as_str())
    };
    let plugins = [
        text(keys::REMOTE_LOG_STORAGE_MANAGER_IMPL_PREFIX.name(), "rsm.config."),
        text(keys::REMOTE_LOG_METADATA_MANAGER_IMPL_PREFIX.name(), "rlmm.config."),
    ];
    if PLUGIN_PREFIXES.iter().chain(&plugins).any(|prefix| key.starts_with(prefix)) {
        return Custom::Plugin;
    }
    let Some((name, rest)) = listener_key(key) else { return Custom::Unknown };
    let listeners = split_list(text(keys::LISTENERS.name(), "PLAINTEXT://:9092"));
    let controllers = split_list(text(keys::CONTROLLER_LISTENER_NAMES.name(), ""));
    let listens = listeners
        .iter()
        .filter_map(|entry| entry.split_once("://").map(|(name, _)| name))
        .chain(controllers.iter().map(String::as_str))
        .any(|known| known.eq_ignore_ascii_case(name));
    Custom::Listener { name: name.to_owned(), listens, spec: listener_spec(rest) }
}

/// Splits `listener.name.<name>.<key>`.
pub(crate) fn listener_key(key: &str) -> Option<(&str, &str)> {
    let (name, rest) = key.strip_prefix("listener.name.")?.split_once('.')?;
    (!name.is_empty() && !rest.is_empty()).then_some((name, rest))
}

/// The key that a listener's own key stands for: TLS, SASL, limits on connections, and a few more;
/// a SASL mechanism may stand before it.
pub(crate) fn listener_spec(rest: &str) -> Option<&'static Spec> {
    let fits =
        |spec: &&Spec| spec.mode == UpdateMode::PerBroker || PER_LISTENER.contains(&spec.name);
    let find = |name: &str| catalog::broker_keys().find(|spec| spec.name == name).filter(fits);
    find(rest).or_else(|| {
        let (_mechanism, key) = rest.split_once('.')?;
        find(key).filter(|spec| spec.name.starts_with("sasl.") || spec.name.contains("connections"))
    })
}

/// Keys that may be set for one listener, beside those that change for one broker.
const PER_LISTENER: &[&str] = &[
    "max.connections",
    "max.connection.creation.rate",
    "connections.max.reauth.ms",
    "num.network.threads",
    "sasl.server.callback.handler.class",
    "sasl.server.max.receive.size",
    "sasl.login.callback.handler.class",
    "sasl.login.class",
    "sasl.client.callback.handler.class",
    "ssl.principal.mapping.rules",
    "sasl.oauthbearer.jwks.endpoint.url",
    "sasl.oauthbearer.expected.audience",
    "sasl.oauthbearer.expected.issuer",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.oauthbearer.scope.claim.name",
    "sasl.oauthbearer.sub.claim.name",
    "socket.send.buffer.bytes",
    "socket.receive.buffer.bytes",
    "socket.listen.backlog.size",
    "socket.request.max.bytes",
    "connections.max.idle.ms",
];
