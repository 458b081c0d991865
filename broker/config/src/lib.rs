//! Every configuration key once, and all that is derived of it.
//!
//! [`keys`], [`topic_keys`], [`group_keys`] and [`client_metrics_keys`] are the catalog as typed
//! constants, [`catalog`] lists them; [`parse()`] makes a [`BrokerConfig`] of a properties file; [`LogConfig`] is what a
//! log needs of a topic's settings.
//!
//! Invariant: this room does no I/O and knows no wire format; files, environment and error codes
//! belong to its callers.
//!
//! Start reading at `spec.rs`, then any file of `catalog/`, then `parse.rs`.

mod alter;
mod broker;
pub mod catalog;
mod check;
mod client_metrics_config;
mod custom;
mod describe;
mod document;
mod duration;
mod dynamic;
mod embedded;
mod error;
mod group_config;
mod key;
mod listener;
mod log_config;
mod nearest;
mod parse;
pub mod properties;
mod provider;
mod quorum;
mod settings;
mod spec;
mod valid;
mod validate;
mod value;
mod warning;

/// The broker's keys, typed.
pub mod keys {
    pub use crate::catalog::broker::*;
    pub use crate::catalog::group::*;
    pub use crate::catalog::listener::*;
    pub use crate::catalog::log::*;
    pub use crate::catalog::metrics::*;
    pub use crate::catalog::quorum::*;
    pub use crate::catalog::quota::*;
    pub use crate::catalog::remote::*;
    pub use crate::catalog::replica::*;
    pub use crate::catalog::sasl::*;
    pub use crate::catalog::security::*;
    pub use crate::catalog::share::*;
    pub use crate::catalog::streams::*;
    pub use crate::catalog::txn::*;
}

/// A topic's keys, typed.
pub mod topic_keys {
    pub use crate::catalog::topic::*;
}

/// A group's keys, typed.
pub mod group_keys {
    pub use crate::catalog::group_resource::*;
}

/// The keys of a client metrics subscription, typed.
pub mod client_metrics_keys {
    pub use crate::catalog::client_metrics::*;
}

/// Limits that are set at run time for brokers, clients and addresses, typed.
pub mod entity_keys {
    pub use crate::catalog::entity::{client, ip, throttle};
}

pub use alter::{
    AlterContext, AlterError, AlterErrorCode, AlterOp, Alteration, Change, Elr, MAX_VALUE_BYTES,
    Target, alter_all, alter_incremental, check_new_topic,
};
pub use broker::{BrokerConfig, Given, Listeners, Roles};
pub use client_metrics_config::{ClientAttribute, ClientMetricsConfig};
pub use describe::{
    ConfigSource, DescribeOptions, Described, Include, Synonym, describe_broker,
    describe_client_metrics, describe_cluster_default, describe_group, describe_topic,
};
pub use document::document;
pub use duration::parse_iso_millis;
pub use dynamic::{DynamicLayers, NotApplied, Texts};
pub use embedded::EMBEDDED;
pub use error::{ConfigError, Place, ValueError};
pub use group_config::{bounded_group_settings, group_settings};
pub use key::{ClassName, Key, KeyType, Names, Text};
pub use listener::{Listener, ListenerName, ProtocolMap, SecurityProtocol};
pub use log_config::{
    CleanupPolicy, Compression, LogConfig, RemoteConfig, ThrottledReplicas, TimestampType,
};
pub use parse::{File, Parsed, parse};
pub use provider::{NoSurroundings, ProviderError, Providers, Surroundings};
pub use quorum::{HostPort, Voter};
pub use settings::Settings;
pub use spec::{
    ConfigType, DefaultValue, Importance, Origin, Spec, Standing, UpdateMode, Visibility,
};
pub use valid::{Emptiness, Valid};
pub use value::{Secret, Value};
pub use warning::Warning;
