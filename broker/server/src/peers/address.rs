//! Where another node is reached.

use ottla_config::BrokerConfig;
use ottla_quorum::Endpoint;

/// `host:port`, with brackets around an address of version 6.
pub(super) fn text(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Whether we reach controllers by a listener of this name.
pub(super) fn is_ours(config: &BrokerConfig, name: &str) -> bool {
    config.listeners().controller.iter().any(|ours| ours.as_str() == name)
}

/// Of the places where a controller listens the one that we reach it by: a listener that is named
/// as ours is, else the first.
pub(super) fn of_controller(config: &BrokerConfig, endpoints: &[Endpoint]) -> Option<String> {
    let named = endpoints.iter().find(|e| is_ours(config, &e.name));
    named.or(endpoints.first()).map(|e| text(&e.host, e.port))
}

/// Where `controller.quorum.voters` says that a controller listens.
pub(super) fn configured(config: &BrokerConfig, id: i32) -> Option<String> {
    let voter = config.voters().iter().find(|v| v.id == id)?;
    Some(text(&voter.address.host, voter.address.port))
}
