//! Whom a client quota is for.

use std::collections::BTreeMap;

/// The entity of a client quota: type (`user`, `client-id`, `ip`) and name, where no name is the type's default
/// (KIP-546).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuotaEntity(pub BTreeMap<String, Option<String>>);

impl QuotaEntity {
    /// The type of users.
    pub const USER: &'static str = "user";
    /// The type of client ids.
    pub const CLIENT_ID: &'static str = "client-id";
    /// The type of addresses.
    pub const IP: &'static str = "ip";
}

/// The quotas of one entity: key and value.
pub type Quotas = BTreeMap<String, f64>;
