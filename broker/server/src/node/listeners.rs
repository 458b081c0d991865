//! Listeners: opening them, and telling the cluster where they are.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ottla_config::{BrokerConfig, Listener as Configured, keys};
use ottla_engine::LogDirs;
use ottla_metadata::features;
use ottla_net::{ListenError, ListenerConfig, Listening, Net};
use ottla_quorum::directories::NodeDirectories;
use ottla_wire::Uuid;
use ottla_wire::api::Listener as Kind;
use ottla_wire::api::broker_registration::{BrokerRegistrationRequest, Feature, Listener};
use ottla_wire::api::controller_registration::{
    ControllerRegistrationRequest, Feature as ControllerFeature, Listener as ControllerListener,
};

use tracing::{error, info};

use super::{StartError, settings};
use crate::connection::Opener;
use crate::context::Context;

/// A listener that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Its name.
    pub name: String,
    /// Which kind it is.
    pub kind: Kind,
    /// Where it answers.
    pub address: SocketAddr,
}

/// Starts the network's threads; the process has file descriptors for so many connections.
pub(super) fn start(config: &BrokerConfig, connections: u32) -> Result<Net, StartError> {
    Ok(Net::start(settings::net(config, connections))?)
}

/// Listeners whose connections wait in the system's queue.
#[derive(Debug, Default)]
pub(super) struct Held {
    clients: Vec<Listening>,
    controllers: Vec<Listening>,
}

impl Held {
    /// Lets other controllers and brokers in to this node's controller.
    pub(super) fn serve_controllers(
        &mut self,
        net: &Net,
        context: &Arc<Context>,
    ) -> Result<(), StartError> {
        for listening in std::mem::take(&mut self.controllers) {
            net.serve(listening, Opener { context: Arc::clone(context), kind: Kind::Controller })?;
        }
        Ok(())
    }

    /// Lets clients and brokers in. Not before metadata knows of this life of the broker: what they
    /// would be told before is not so.
    pub(super) fn serve_clients(self, net: &Net, context: &Arc<Context>) -> Result<(), StartError> {
        for listening in self.clients {
            net.serve(listening, Opener { context: Arc::clone(context), kind: Kind::Broker })?;
        }
        context.accepting.store(true, Ordering::Release);
        Ok(())
    }
}

/// Binds all listeners.
pub(super) fn bind(config: &BrokerConfig) -> Result<(Vec<Bound>, Held), StartError> {
    let (mut all, mut held) = (Vec::new(), Held::default());
    for listener in &config.listeners().all {
        let listening = bind_one(config, listener)?;
        let address = listening.address();
        let kind = if config.listeners().controller.contains(&listener.name) {
            held.controllers.push(listening);
            Kind::Controller
        } else {
            held.clients.push(listening);
            Kind::Broker
        };
        all.push(Bound { name: listener.name.as_str().to_owned(), kind, address });
    }
    Ok((all, held))
}

fn bind_one(config: &BrokerConfig, listener: &Configured) -> Result<Listening, StartError> {
    let buffer = |n: i32| usize::try_from(n).ok();
    Ok(Listening::bind(ListenerConfig {
        backlog: config.get(keys::SOCKET_LISTEN_BACKLOG_SIZE),
        send_buffer: buffer(config.get(keys::SOCKET_SEND_BUFFER_BYTES)),
        receive_buffer: buffer(config.get(keys::SOCKET_RECEIVE_BUFFER_BYTES)),
        ..ListenerConfig::new(listener.name.as_str(), resolve(listener)?)
    })?)
}

/// Opens the clients' listeners that `after` has and `before` had not, and closes those that are
/// gone. Until the node is started again by a file that names them, the new ones are in no
/// registration, and so clients are told of no broker by them: as in Kafka.
pub(super) fn follow(
    net: &Net,
    context: &Arc<Context>,
    before: &BrokerConfig,
    after: &BrokerConfig,
) {
    let has = |config: &BrokerConfig, name| config.listeners().all.iter().any(|l| l.name == name);
    for gone in before.listeners().all.iter().filter(|l| !has(after, l.name.clone())) {
        if net.close(gone.name.as_str()) {
            info!(listener = %gone.name, "listener closed");
        }
    }
    for new in after.listeners().all.iter().filter(|l| !has(before, l.name.clone())) {
        let opener = Opener { context: Arc::clone(context), kind: Kind::Broker };
        let opened = bind_one(after, new).and_then(|l| Ok(net.serve(l, opener)?));
        if let Err(error) = opened {
            error!(listener = %new.name, %error, "a new listener cannot be opened");
        }
    }
}

/// Where a listener is to be; an empty host is every interface.
fn resolve(listener: &Configured) -> Result<SocketAddr, StartError> {
    let (host, port) = (listener.address.host.as_str(), listener.address.port);
    let failed = |source| ListenError::Bind {
        listener: listener.name.as_str().to_owned(),
        address: format!("{host}:{port}"),
        source,
    };
    if host.is_empty() {
        return Ok(SocketAddr::from(([0, 0, 0, 0], port)));
    }
    let mut found = (host, port).to_socket_addrs().map_err(failed)?;
    let none = || std::io::Error::other(format!("{host} has no address"));
    Ok(found.next().ok_or_else(none).map_err(failed)?)
}

/// What is told of a listener: its own port where it was given any.
pub(super) fn told(listener: &Configured, bound: &[Bound]) -> (String, u16) {
    let own = bound.iter().find(|b| b.name == listener.name.as_str());
    let port = match listener.address.port {
        0 => own.map_or(0, |b| b.address.port()),
        port => port,
    };
    let host = match listener.address.host.as_str() {
        "" => host_name(),
        host => host.to_owned(),
    };
    (host, port)
}

/// The machine's own name.
fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

/// How this broker registers.
pub(super) fn registration(
    config: &BrokerConfig,
    found: &NodeDirectories,
    dirs: &LogDirs,
    bound: &[Bound],
    incarnation_id: Uuid,
) -> BrokerRegistrationRequest {
    let listener = |l: &Configured| {
        let (host, port) = told(l, bound);
        let name = l.name.as_str().to_owned();
        Listener { name, host, port, security_protocol: l.protocol.code() }
    };
    let previous = dirs.online().map(|d| d.files().previous_broker_epoch());
    BrokerRegistrationRequest {
        broker_id: config.node_id(),
        cluster_id: found.cluster_id.clone(),
        incarnation_id,
        listeners: config.listeners().advertised.iter().map(listener).collect(),
        features: features::supported()
            .into_iter()
            .map(|(name, range)| Feature {
                name,
                min_supported_version: range.min,
                max_supported_version: range.max,
            })
            .collect(),
        rack: config.get(keys::BROKER_RACK).map(str::to_owned),
        log_dirs: dirs.online().map(|d| d.id()).collect(),
        // One directory without the mark of a clean stop makes the whole stop unclean.
        previous_broker_epoch: previous.map(|e| e.unwrap_or(-1)).min().unwrap_or(-1),
        ..Default::default()
    }
}

/// How this controller registers.
pub(super) fn controller_registration(
    config: &BrokerConfig,
    bound: &[Bound],
    incarnation_id: Uuid,
) -> ControllerRegistrationRequest {
    let listener = |l: &Configured| {
        let (host, port) = told(l, bound);
        let name = l.name.as_str().to_owned();
        ControllerListener { name, host, port, security_protocol: l.protocol.code() }
    };
    ControllerRegistrationRequest {
        controller_id: config.node_id(),
        incarnation_id,
        listeners: config.listeners().advertised_controller.iter().map(listener).collect(),
        features: features::supported()
            .into_iter()
            .map(|(name, range)| ControllerFeature {
                name,
                min_supported_version: range.min,
                max_supported_version: range.max,
            })
            .collect(),
        ..Default::default()
    }
}
