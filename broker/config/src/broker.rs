//! One node's settings: parsed, checked, and read by typed key.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::check;
use crate::dynamic::{DynamicLayers, Texts};
use crate::error::Place;
use crate::key::{Key, KeyType};
use crate::keys;
use crate::listener::{Listener, ListenerName, ProtocolMap};
use crate::quorum::{HostPort, Voter};
use crate::settings::Settings;

/// A setting as it was given, references resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Its value.
    pub value: String,
    /// Where it was given.
    pub place: Place,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roles {
    /// `process.roles=broker`.
    Broker,
    /// `process.roles=controller`.
    Controller,
    /// `process.roles=broker,controller`.
    Combined,
}

impl Roles {
    /// True if the node holds partitions and serves clients.
    pub const fn is_broker(self) -> bool {
        matches!(self, Roles::Broker | Roles::Combined)
    }

    /// True if the node votes in the metadata quorum.
    pub const fn is_controller(self) -> bool {
        matches!(self, Roles::Controller | Roles::Combined)
    }
}

/// What several keys say together about listeners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listeners {
    /// Every listener of this node.
    pub all: Vec<Listener>,
    /// What clients and other brokers are told, without controllers' listeners. An empty host means
    /// the machine's own name, which this room cannot know.
    pub advertised: Vec<Listener>,
    /// What other members of the quorum are told of this node as a controller.
    pub advertised_controller: Vec<Listener>,
    /// Which protocol each name stands for.
    pub protocols: ProtocolMap,
    /// The listener that brokers use among themselves.
    pub inter_broker: ListenerName,
    /// The names of controllers' listeners, the preferred first.
    pub controller: Vec<ListenerName>,
}

/// The settings of a node as they stand now: its file, and whatever was changed at run time.
///
/// Immutable; a dynamic change makes a new one. Invariant: every rule of `check` holds.
#[derive(Debug, Clone, PartialEq)]
pub struct BrokerConfig {
    pub(crate) settings: Settings,
    pub(crate) given: Arc<BTreeMap<String, Given>>,
    /// The text of every setting as it stands: the file's under the dynamic ones.
    pub(crate) texts: Arc<Texts>,
    pub(crate) layers: Arc<DynamicLayers>,
    pub(crate) roles: Roles,
    pub(crate) listeners: Arc<Listeners>,
    pub(crate) voters: Arc<[Voter]>,
    pub(crate) bootstrap: Arc<[HostPort]>,
    pub(crate) log_dirs: Arc<[String]>,
}

impl BrokerConfig {
    /// The value of a broker key.
    pub fn get<T: KeyType>(&self, key: Key<T>) -> T::Read<'_> {
        self.settings.get(key)
    }

    /// All broker keys' values.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The settings as given in the file and by overrides, under any name, known or not.
    pub fn given(&self) -> &BTreeMap<String, Given> {
        &self.given
    }

    /// The text of a key that is in no catalog, such as a listener's or a plugin's.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    /// The node's number.
    pub fn node_id(&self) -> i32 {
        self.get(keys::NODE_ID)
    }

    /// What the node is.
    pub fn roles(&self) -> Roles {
        self.roles
    }

    /// Its listeners.
    pub fn listeners(&self) -> &Listeners {
        &self.listeners
    }

    /// The static voters of the quorum; empty when it is found by `bootstrap_controllers`.
    pub fn voters(&self) -> &[Voter] {
        &self.voters
    }

    /// `controller.quorum.bootstrap.servers`.
    pub fn bootstrap_controllers(&self) -> &[HostPort] {
        &self.bootstrap
    }

    /// The log directories, each once: `log.dirs`, else `log.dir`.
    pub fn log_dirs(&self) -> &[String] {
        &self.log_dirs
    }

    /// The directory of the metadata log: `metadata.log.dir`, else the first log directory.
    pub fn metadata_log_dir(&self) -> &str {
        let first = || self.log_dirs.first().map_or("", String::as_str);
        self.get(keys::METADATA_LOG_DIR).unwrap_or_else(first)
    }

    /// Where metrics, health and the console are served; an empty host is every interface.
    pub fn http_listeners(&self) -> Vec<HostPort> {
        let entries = self.get(keys::HTTP_LISTENERS);
        entries.iter().filter_map(|entry| check::http_listener(entry)).collect()
    }

    /// `max.connections.per.ip.overrides`: limits on connections of single addresses or hosts.
    pub fn connections_per_ip_overrides(&self) -> Vec<(String, i32)> {
        let text = self.get(keys::MAX_CONNECTIONS_PER_IP_OVERRIDES);
        // Each entry was checked with the other settings.
        check::ip_overrides(text).unwrap_or_default()
    }

    /// The value of a key as one listener sees it: `listener.name.<name>.<key>` if given, else the
    /// key's own. Nothing for names that are in no catalog and not given.
    pub fn for_listener(&self, listener: &ListenerName, name: &str) -> Option<String> {
        let own = self.raw(&format!("{}{name}", listener.config_prefix()));
        own.map(str::to_owned).or_else(|| match self.settings.value(name) {
            Some(crate::value::Value::Null) => None,
            Some(crate::value::Value::Secret(secret)) => Some(secret.reveal().to_owned()),
            Some(value) => Some(value.to_string()),
            None => self.raw(name).map(str::to_owned),
        })
    }
}
