//! The nodes of the cluster as they registered themselves.

use crate::features::VersionRange;
use crate::version::MetadataVersion;
use ottla_wire::Uuid;
use ottla_wire::schema::metadata::{
    BrokerEndpoint, BrokerFeature, ControllerEndpoint, ControllerFeature, RegisterBrokerRecord,
    RegisterControllerRecord,
};
use std::collections::BTreeMap;

/// Where a node is reached through one of its listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name, such as `PLAINTEXT` or `EXTERNAL`.
    pub listener: String,
    /// The advertised host.
    pub host: String,
    /// The advertised port.
    pub port: u16,
    /// Kafka's code of the security protocol: 0 plaintext, 1 TLS, 2 SASL over plaintext, 3 SASL over TLS.
    pub security_protocol: i16,
}

/// A broker's registration.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerRegistration {
    /// The node's id.
    pub id: i32,
    /// The epoch of the registration: the offset of its record. It fences messages of earlier incarnations.
    pub epoch: i64,
    /// Chosen by the process at its start.
    pub incarnation_id: Uuid,
    /// Its listeners, in the order it named them.
    pub endpoints: Vec<Endpoint>,
    /// The feature levels it supports.
    pub features: BTreeMap<String, VersionRange>,
    /// Its rack.
    pub rack: Option<String>,
    /// Whether it must not lead or be in sync: it has not caught up, or has fallen silent.
    pub fenced: bool,
    /// Whether it is being shut down in order.
    pub in_controlled_shutdown: bool,
    /// Whether it is a broker migrating from ZooKeeper; never in a cluster of today.
    pub is_migrating_zk_broker: bool,
    /// The ids of its online log directories, in ascending order.
    pub log_dirs: Vec<Uuid>,
    /// Those of them that take no new replicas (KIP-1066), in ascending order.
    pub cordoned_log_dirs: Vec<Uuid>,
}

impl BrokerRegistration {
    /// The registration of a record.
    #[must_use]
    pub fn from_record(record: &RegisterBrokerRecord) -> Self {
        Self {
            id: record.broker_id,
            epoch: record.broker_epoch,
            incarnation_id: record.incarnation_id,
            endpoints: record.end_points.iter().map(Endpoint::from).collect(),
            features: record.features.iter().map(Supported::from).map(|f| (f.0, f.1)).collect(),
            rack: record.rack.clone(),
            fenced: record.fenced,
            in_controlled_shutdown: record.in_controlled_shutdown,
            is_migrating_zk_broker: record.is_migrating_zk_broker,
            log_dirs: sorted(&record.log_dirs),
            cordoned_log_dirs: sorted(record.cordoned_log_dirs.as_deref().unwrap_or_default()),
        }
    }

    /// The record of this registration; what the metadata version lacks is dropped.
    #[must_use]
    pub fn to_record(&self, version: MetadataVersion) -> RegisterBrokerRecord {
        RegisterBrokerRecord {
            broker_id: self.id,
            is_migrating_zk_broker: version.has_migration() && self.is_migrating_zk_broker,
            incarnation_id: self.incarnation_id,
            broker_epoch: self.epoch,
            end_points: self.endpoints.iter().map(Into::into).collect(),
            features: self.features.iter().map(|(n, r)| Supported(n.clone(), *r).into()).collect(),
            rack: self.rack.clone(),
            fenced: self.fenced,
            in_controlled_shutdown: self.in_controlled_shutdown,
            log_dirs: if version.has_directories() { self.log_dirs.clone() } else { Vec::new() },
            cordoned_log_dirs: version
                .has_cordoned_directories()
                .then(|| self.cordoned_log_dirs.clone()),
        }
    }

    /// Whether the broker may lead and be in sync: it is neither fenced nor shutting down.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }

    /// The endpoint of a listener.
    #[must_use]
    pub fn endpoint(&self, listener: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|e| e.listener == listener)
    }

    /// Whether a replica in this directory is online. A broker that named no directories is taken at its word.
    #[must_use]
    pub fn has_online_directory(&self, dir: Uuid) -> bool {
        crate::partition::directory::is_online(dir, &self.log_dirs)
    }

    /// Whether every log directory is cordoned, so that the broker takes no new replicas.
    #[must_use]
    pub fn is_cordoned(&self) -> bool {
        !self.log_dirs.is_empty()
            && self.log_dirs.iter().all(|dir| self.cordoned_log_dirs.contains(dir))
    }

    /// The directory in which a new replica starts: the only one there is, or none yet, for the broker to choose.
    #[must_use]
    pub fn default_directory(&self) -> Uuid {
        use crate::partition::directory::{MIGRATING, UNASSIGNED};
        match self.log_dirs.as_slice() {
            [] => MIGRATING,
            [only] => *only,
            _ => UNASSIGNED,
        }
    }
}

/// A controller's registration (KIP-919).
#[derive(Clone, Debug, PartialEq)]
pub struct ControllerRegistration {
    /// The node's id.
    pub id: i32,
    /// Chosen by the process at its start.
    pub incarnation_id: Uuid,
    /// Whether it could migrate from ZooKeeper; never in a cluster of today.
    pub zk_migration_ready: bool,
    /// Its listeners, in the order it named them.
    pub endpoints: Vec<Endpoint>,
    /// The feature levels it supports.
    pub features: BTreeMap<String, VersionRange>,
}

impl ControllerRegistration {
    /// The registration of a record.
    #[must_use]
    pub fn from_record(record: &RegisterControllerRecord) -> Self {
        Self {
            id: record.controller_id,
            incarnation_id: record.incarnation_id,
            zk_migration_ready: record.zk_migration_ready,
            endpoints: record.end_points.iter().map(Endpoint::from).collect(),
            features: record.features.iter().map(Supported::from).map(|f| (f.0, f.1)).collect(),
        }
    }

    /// The record of this registration.
    #[must_use]
    pub fn to_record(&self) -> RegisterControllerRecord {
        RegisterControllerRecord {
            controller_id: self.id,
            incarnation_id: self.incarnation_id,
            zk_migration_ready: self.zk_migration_ready,
            end_points: self.endpoints.iter().map(Into::into).collect(),
            features: self.features.iter().map(|(n, r)| Supported(n.clone(), *r).into()).collect(),
        }
    }
}

/// A feature and the levels of it that a node supports.
struct Supported(String, VersionRange);

/// Endpoints and features to and from their forms in records, which differ by name alone.
macro_rules! in_records {
    ($endpoint:ident, $feature:ident) => {
        impl From<&$endpoint> for Endpoint {
            fn from(e: &$endpoint) -> Self {
                let (listener, host) = (e.name.clone(), e.host.clone());
                Self { listener, host, port: e.port, security_protocol: e.security_protocol }
            }
        }

        impl From<&Endpoint> for $endpoint {
            fn from(e: &Endpoint) -> Self {
                let (name, host) = (e.listener.clone(), e.host.clone());
                Self { name, host, port: e.port, security_protocol: e.security_protocol }
            }
        }

        impl From<&$feature> for Supported {
            fn from(f: &$feature) -> Self {
                let range = VersionRange::new(f.min_supported_version, f.max_supported_version);
                Self(f.name.clone(), range)
            }
        }

        impl From<Supported> for $feature {
            fn from(Supported(name, range): Supported) -> Self {
                let (min_supported_version, max_supported_version) = (range.min, range.max);
                Self { name, min_supported_version, max_supported_version }
            }
        }
    };
}

in_records!(BrokerEndpoint, BrokerFeature);
in_records!(ControllerEndpoint, ControllerFeature);

fn sorted(dirs: &[Uuid]) -> Vec<Uuid> {
    let mut dirs = dirs.to_vec();
    dirs.sort_unstable();
    dirs
}
