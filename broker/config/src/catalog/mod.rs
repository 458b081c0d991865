//! The catalog: each key declared once, with its type, default, limits, rank, mode and standing.
//!
//! One file a subject. The doc comment of a key is also its documentation in DescribeConfigs and
//! in CONFIG.md.

pub(crate) mod broker;
pub(crate) mod client_metrics;
pub(crate) mod entity;
pub(crate) mod group;
pub(crate) mod group_resource;
pub(crate) mod listener;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod quorum;
pub(crate) mod quota;
pub(crate) mod remote;
pub(crate) mod replica;
pub(crate) mod sasl;
pub(crate) mod security;
pub(crate) mod share;
pub(crate) mod streams;
pub(crate) mod topic;
pub(crate) mod txn;

use crate::spec::Spec;

/// Declares keys as typed constants, and lists them in the file's `TABLE`.
macro_rules! keys {
    ($(
        $(#[doc = $doc:literal])+
        $ident:ident : $ty:ty = $name:literal $(, $(. $method:ident ( $($arg:tt)* ))+)?;
    )+) => {
        $(
            $(#[doc = $doc])+
            pub const $ident: $crate::key::Key<$ty> = {
                const DOC: &str = concat!($($doc),+).trim_ascii_start();
                const KIND: $crate::spec::ConfigType = <$ty as $crate::key::KeyType>::KIND;
                const SPEC: $crate::spec::Spec =
                    $crate::spec::Spec::new($name, KIND, DOC) $($(. $method ( $($arg)* ))+)?;
                $crate::key::Key::new(&SPEC)
            };
        )+

        /// Every key of this file, in the order of declaration.
        pub(crate) const TABLE: &[&$crate::spec::Spec] = &[$($ident.spec()),+];
    };
}
pub(crate) use keys;

/// Why a key has no effect here, or which feature it waits for.
pub(crate) mod why {
    pub(crate) const THREADS: &str = "the runtime takes its number of threads from the machine";
    pub(crate) const PURGATORY: &str = "a request that waits is let go when it ends, so nothing \
                                        has to be swept";
    pub(crate) const CLASS: &str = "Java classes cannot be loaded";
    pub(crate) const PLUGIN: &str = "Java classes cannot be loaded; the store that is built in \
                                     is used";
    pub(crate) const REPORTERS: &str = "Java reporters cannot be loaded; `/metrics` and \
                                        `/jolokia` are always there";
    pub(crate) const STARTUP: &str = "the start has no step that waits without an end";
    pub(crate) const CHANCE: &str = "each member waits a time of its own, by chance, between two \
                                     elections";
    pub(crate) const GATHERED: &str = "records are written at once, and those that come meanwhile \
                                       together after them";
    pub(crate) const QUIET: &str = "no records are needed to hear that nothing happens";
    pub(crate) const SYSTEM: &str = "the system sizes the buffers of connections between nodes";
    pub(crate) const AT_ONCE: &str = "what no controller takes is answered at once, and the client \
                                      asks again";
    pub(crate) const LOADING: &str = "a coordinator's log is read in pieces of a fixed size";
    pub(crate) const OWN_LIMITS: &str = "the metadata log keeps limits of its own";
    pub(crate) const CLEANER: &str = "compaction copies through memory of a fixed size";
    pub(crate) const BUFFERS: &str = "buffers of appends are not kept";
    pub(crate) const JCA: &str = "it chooses among a JVM's cryptography, and there is no JVM";
    pub(crate) const KERBEROS: &str = "Kerberos (GSSAPI) is not offered";

    pub(crate) const METRICS: &str = "windowed metrics";
    pub(crate) const TIER: &str = "tiered storage";
    pub(crate) const STREAMS: &str = "streams groups (KIP-1071)";
    pub(crate) const SHARE: &str = "share groups (KIP-932)";
    pub(crate) const TWO_PHASES: &str = "transactions in two phases (KIP-939)";
    pub(crate) const QUOTA: &str = "quotas and throttles";
    pub(crate) const SECURITY: &str = "TLS, SASL and authorization";
    pub(crate) const AUTHZ: &str = "authorization";
    pub(crate) const TOKENS: &str = "delegation tokens";
    pub(crate) const TLS: &str = "TLS";
    pub(crate) const SASL: &str = "SASL";
    pub(crate) const OAUTH: &str = "SASL/OAUTHBEARER";
    pub(crate) const UNSTABLE: &str = "unreleased versions of APIs and features";
    pub(crate) const CONTROLLER_PERF: &str = "performance samples of the controller";
}

/// The broker's keys by subject, in the order in which CONFIG.md shows them.
pub(crate) const BROKER_TABLES: &[(&str, &[&Spec])] = &[
    ("The node and its quorum", quorum::TABLE),
    ("Listeners and connections", listener::TABLE),
    ("Broker", broker::TABLE),
    ("Logs", log::TABLE),
    ("Replication", replica::TABLE),
    ("Groups and offsets", group::TABLE),
    ("Streams groups", streams::TABLE),
    ("Share groups", share::TABLE),
    ("Transactions", txn::TABLE),
    ("Quotas", quota::TABLE),
    ("Authorization, tokens and TLS", security::TABLE),
    ("SASL", sasl::TABLE),
    ("Tiered storage", remote::TABLE),
    ("Metrics", metrics::TABLE),
];

/// Every broker key, in no particular order.
pub fn broker_keys() -> impl Iterator<Item = &'static Spec> {
    BROKER_TABLES.iter().flat_map(|(_, table)| table.iter().copied())
}

/// Every topic key.
pub fn topic_keys() -> impl Iterator<Item = &'static Spec> {
    topic::TABLE.iter().copied()
}

/// Every group key.
pub fn group_keys() -> impl Iterator<Item = &'static Spec> {
    group_resource::TABLE.iter().copied()
}

/// Every key of a client metrics subscription.
pub fn client_metrics_keys() -> impl Iterator<Item = &'static Spec> {
    client_metrics::TABLE.iter().copied()
}

/// Throttles of brokers, which are dynamic broker settings and never in the file.
pub fn throttle_keys() -> impl Iterator<Item = &'static Spec> {
    entity::throttle::TABLE.iter().copied()
}

/// Quotas of users and client ids.
pub fn client_quota_keys() -> impl Iterator<Item = &'static Spec> {
    entity::client::TABLE.iter().copied()
}

/// Quotas of addresses.
pub fn ip_quota_keys() -> impl Iterator<Item = &'static Spec> {
    entity::ip::TABLE.iter().copied()
}
