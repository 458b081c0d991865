//! From the node's configuration to what its parts are started with.

use std::net::{IpAddr, ToSocketAddrs};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ottla_config::{BrokerConfig, keys};
use ottla_net::{NetConfig, QuotaSettings};
use ottla_quorum::{Endpoint, KraftVersions, Member, NodeKey, Voter};
use ottla_wire::Uuid;
use tracing::warn;

use super::StartError;

/// Memory for requests in flight where `queued.max.request.bytes` sets no bound: Kafka has none
/// then, and a crowd of clients can exhaust its heap.
const REQUEST_MEMORY: u64 = 512 << 20;

/// Milliseconds since 1970.
pub(super) fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A time of a key that says milliseconds; none where it is negative.
pub(crate) fn ms(of_key: impl Into<i64>) -> Duration {
    Duration::from_millis(u64::try_from(of_key.into()).unwrap_or(0))
}

/// Refuses what this version cannot run, before anything is touched.
pub(super) fn check_supported(config: &BrokerConfig) -> Result<(), StartError> {
    if !config.get(keys::AUTHORIZER_CLASS_NAME).is_empty() {
        return Err(StartError::Unsupported(
            "authorizer.class.name is set: this version authorizes nobody, and would let everyone \
             do everything"
                .into(),
        ));
    }
    let unsafe_listeners = config
        .listeners()
        .all
        .iter()
        .find(|l| l.protocol != ottla_config::SecurityProtocol::Plaintext);
    if let Some(listener) = unsafe_listeners {
        return Err(StartError::Unsupported(format!(
            "listener {} asks for {}: this version speaks PLAINTEXT only",
            listener.name,
            listener.protocol.name(),
        )));
    }
    Ok(())
}

/// The voters that the configuration names, for directories that were formatted without any.
pub(super) fn voters(config: &BrokerConfig, me: NodeKey) -> Vec<Voter> {
    let name = config.listeners().controller.first().map(|n| n.as_str().to_owned());
    let name = name.unwrap_or_default();
    let voter = |v: &ottla_config::Voter| Voter {
        key: NodeKey::new(v.id, if v.id == me.id { me.directory } else { Uuid::ZERO }),
        member: Member {
            endpoints: vec![Endpoint {
                name: name.clone(),
                host: v.address.host.clone(),
                port: v.address.port,
            }],
            // A static quorum has no kraft.version.
            kraft_versions: KraftVersions::SUPPORTED,
        },
    };
    config.voters().iter().map(voter).collect()
}

/// The network's settings; the process has file descriptors for so many connections.
pub(super) fn net(config: &BrokerConfig, connections: u32) -> NetConfig {
    let memory = u64::try_from(config.get(keys::QUEUED_MAX_REQUEST_BYTES)).ok();
    NetConfig {
        max_frame: u32::try_from(config.get(keys::SOCKET_REQUEST_MAX_BYTES)).unwrap_or(u32::MAX),
        max_requests: usize::try_from(config.get(keys::QUEUED_MAX_REQUESTS)).unwrap_or(usize::MAX),
        request_memory: memory.filter(|m| *m > 0).unwrap_or(REQUEST_MEMORY),
        max_idle_ms: u64::try_from(config.get(keys::CONNECTIONS_MAX_IDLE_MS)).ok(),
        quota: quota(config, connections),
        ..NetConfig::default()
    }
}

/// The limits on connections; the process has file descriptors for so many.
pub(super) fn quota(config: &BrokerConfig, connections: u32) -> QuotaSettings {
    let limit = |n: i32| u32::try_from(n).unwrap_or(u32::MAX);
    let of_listeners = |key: &str| {
        let all = config.listeners().all.iter();
        let own = all.filter_map(|l| {
            let value = config.for_listener(&l.name, key)?;
            Some((l.name.as_str().to_owned(), value.trim().parse().ok()?))
        });
        own.collect()
    };
    let overrides = config.connections_per_ip_overrides();
    let listeners = config.listeners();
    let inter_broker = &listeners.inter_broker;
    let for_others = listeners
        .all
        .iter()
        .any(|l| l.name != *inter_broker && !listeners.controller.contains(&l.name));
    QuotaSettings {
        max: limit(config.get(keys::MAX_CONNECTIONS)),
        most: connections,
        protected: for_others.then(|| inter_broker.as_str().to_owned()),
        apart: listeners.controller.iter().map(|name| name.as_str().to_owned()).collect(),
        per_ip: limit(config.get(keys::MAX_CONNECTIONS_PER_IP)),
        ip_overrides: overrides
            .iter()
            .flat_map(|(host, most)| addresses(host).into_iter().map(|ip| (ip, limit(*most))))
            .collect(),
        listeners: of_listeners("max.connections"),
        creation_rate: limit(config.get(keys::MAX_CONNECTION_CREATION_RATE)),
        listener_rates: of_listeners("max.connection.creation.rate"),
    }
}

/// The addresses of a host that connections are counted for.
fn addresses(host: &str) -> Vec<IpAddr> {
    match (host, 0).to_socket_addrs() {
        Ok(found) => found.map(|address| address.ip().to_canonical()).collect(),
        Err(error) => {
            let key = keys::MAX_CONNECTIONS_PER_IP_OVERRIDES.name();
            warn!(host, %error, "{key} names a host that has no address");
            Vec::new()
        }
    }
}
