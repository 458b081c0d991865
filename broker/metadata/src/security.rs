//! ACLs, SCRAM credentials and delegation tokens as the cluster keeps them.

use bytes::Bytes;
use ottla_wire::Uuid;
use ottla_wire::schema::metadata::{
    AccessControlEntryRecord, DelegationTokenRecord, UserScramCredentialRecord,
};

/// One access rule. The codes are those of the wire.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acl {
    /// 2 topic, 3 group, 4 cluster, 5 transactional id, 6 delegation token, 7 user.
    pub resource_type: i8,
    /// The resource's name, or `*` for all of the type.
    pub resource_name: String,
    /// 3 literal, 4 prefixed.
    pub pattern_type: i8,
    /// Such as `User:alice` or `User:*`.
    pub principal: String,
    /// An address, a range of addresses, or `*`.
    pub host: String,
    /// 2 all, 3 read, 4 write and so on.
    pub operation: i8,
    /// 2 deny, 3 allow.
    pub permission_type: i8,
}

impl Acl {
    /// The rule of a record.
    #[must_use]
    pub fn from_record(r: &AccessControlEntryRecord) -> Self {
        Self {
            resource_type: r.resource_type,
            resource_name: r.resource_name.clone(),
            pattern_type: r.pattern_type,
            principal: r.principal.clone(),
            host: r.host.clone(),
            operation: r.operation,
            permission_type: r.permission_type,
        }
    }

    /// The record of this rule under an id.
    #[must_use]
    pub fn to_record(&self, id: Uuid) -> AccessControlEntryRecord {
        AccessControlEntryRecord {
            id,
            resource_type: self.resource_type,
            resource_name: self.resource_name.clone(),
            pattern_type: self.pattern_type,
            principal: self.principal.clone(),
            host: self.host.clone(),
            operation: self.operation,
            permission_type: self.permission_type,
        }
    }
}

/// A mechanism of SCRAM (RFC 5802, RFC 7677); the numbers are those of the wire and of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum ScramMechanism {
    /// SCRAM-SHA-256.
    Sha256 = 1,
    /// SCRAM-SHA-512.
    Sha512 = 2,
}

impl ScramMechanism {
    /// The mechanism with this code, if there is one.
    #[must_use]
    pub fn from_code(code: i8) -> Option<Self> {
        match code {
            1 => Some(Self::Sha256),
            2 => Some(Self::Sha512),
            _ => None,
        }
    }

    /// The code on the wire and in records.
    #[must_use]
    pub fn code(self) -> i8 {
        self as i8
    }

    /// The name in a SASL handshake.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }

    /// The fewest iterations a credential may have.
    #[must_use]
    pub fn min_iterations(self) -> i32 {
        4096
    }

    /// The most iterations a credential may have.
    #[must_use]
    pub fn max_iterations(self) -> i32 {
        16384
    }
}

/// What the broker keeps of a user's password.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramCredential {
    /// The salt.
    pub salt: Bytes,
    /// The stored key of RFC 5802.
    pub stored_key: Bytes,
    /// The server key of RFC 5802.
    pub server_key: Bytes,
    /// The iterations of the salted password.
    pub iterations: i32,
}

impl std::fmt::Debug for ScramCredential {
    /// Keeps the secrets out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScramCredential")
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

impl ScramCredential {
    /// The credential of a record.
    #[must_use]
    pub fn from_record(r: &UserScramCredentialRecord) -> Self {
        Self {
            salt: r.salt.clone(),
            stored_key: r.stored_key.clone(),
            server_key: r.server_key.clone(),
            iterations: r.iterations,
        }
    }

    /// The record of this credential.
    #[must_use]
    pub fn to_record(&self, name: &str, mechanism: ScramMechanism) -> UserScramCredentialRecord {
        UserScramCredentialRecord {
            name: name.to_owned(),
            mechanism: mechanism.code(),
            salt: self.salt.clone(),
            stored_key: self.stored_key.clone(),
            server_key: self.server_key.clone(),
            iterations: self.iterations,
        }
    }
}

/// A delegation token without its secret, which follows from the cluster's own (KIP-48).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelegationToken {
    /// The principal the token speaks for.
    pub owner: String,
    /// The principal that asked for it.
    pub requester: String,
    /// The principals that may renew it.
    pub renewers: Vec<String>,
    /// When it was made, in milliseconds since 1970.
    pub issue_ms: i64,
    /// Until when it can be renewed, in milliseconds since 1970.
    pub max_ms: i64,
    /// When it ends unless renewed, in milliseconds since 1970.
    pub expiry_ms: i64,
}

impl DelegationToken {
    /// The token of a record.
    #[must_use]
    pub fn from_record(r: &DelegationTokenRecord) -> Self {
        Self {
            owner: r.owner.clone(),
            requester: r.requester.clone(),
            renewers: r.renewers.clone(),
            issue_ms: r.issue_timestamp,
            max_ms: r.max_timestamp,
            expiry_ms: r.expiration_timestamp,
        }
    }

    /// The record of this token.
    #[must_use]
    pub fn to_record(&self, token_id: &str) -> DelegationTokenRecord {
        DelegationTokenRecord {
            owner: self.owner.clone(),
            requester: self.requester.clone(),
            renewers: self.renewers.clone(),
            issue_timestamp: self.issue_ms,
            max_timestamp: self.max_ms,
            expiration_timestamp: self.expiry_ms,
            token_id: token_id.to_owned(),
        }
    }
}

/// Which access rules are meant: a code of 1 and no name are any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclFilter {
    /// A code of [`Acl::resource_type`], or 1 for any.
    pub resource_type: i8,
    /// A resource's name; none for any.
    pub resource_name: Option<String>,
    /// A code of [`Acl::pattern_type`], 1 for any, or 2 for every rule that concerns a resource of the name: its own,
    /// one for all resources, or one for a prefix of the name (KIP-290).
    pub pattern_type: i8,
    /// A principal; none for any.
    pub principal: Option<String>,
    /// A host as it stands in rules; none for any.
    pub host: Option<String>,
    /// A code of [`Acl::operation`], or 1 for any.
    pub operation: i8,
    /// A code of [`Acl::permission_type`], or 1 for any.
    pub permission_type: i8,
}

const ANY: i8 = 1;
const MATCH: i8 = 2;
const LITERAL: i8 = 3;
const PREFIXED: i8 = 4;

impl AclFilter {
    /// Whether a rule is meant.
    #[must_use]
    pub fn matches(&self, acl: &Acl) -> bool {
        let code = |wanted: i8, is: i8| wanted == ANY || wanted == is;
        let text = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
        code(self.resource_type, acl.resource_type)
            && self.matches_pattern(acl)
            && text(&self.principal, &acl.principal)
            && text(&self.host, &acl.host)
            && code(self.operation, acl.operation)
            && code(self.permission_type, acl.permission_type)
    }

    fn matches_pattern(&self, acl: &Acl) -> bool {
        let kind = self.pattern_type;
        if kind != ANY && kind != MATCH && kind != acl.pattern_type {
            return false;
        }
        let Some(name) = &self.resource_name else { return true };
        if kind != MATCH {
            return *name == acl.resource_name;
        }
        match acl.pattern_type {
            LITERAL => *name == acl.resource_name || acl.resource_name == "*",
            PREFIXED => name.starts_with(&acl.resource_name),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(name: &str, pattern_type: i8) -> Acl {
        Acl {
            resource_type: 2,
            resource_name: name.into(),
            pattern_type,
            principal: "User:a".into(),
            host: "*".into(),
            operation: 3,
            permission_type: 3,
        }
    }

    fn filter(name: Option<&str>, pattern_type: i8) -> AclFilter {
        AclFilter {
            resource_type: ANY,
            resource_name: name.map(str::to_owned),
            pattern_type,
            principal: None,
            host: None,
            operation: ANY,
            permission_type: ANY,
        }
    }

    #[test]
    fn a_filter_without_a_name_takes_every_rule_of_its_pattern() {
        assert!(filter(None, ANY).matches(&acl("x", PREFIXED)));
        assert!(filter(None, LITERAL).matches(&acl("x", LITERAL)));
        assert!(!filter(None, LITERAL).matches(&acl("x", PREFIXED)));
    }

    #[test]
    fn match_takes_whatever_concerns_the_resource() {
        let orders = filter(Some("orders-1"), MATCH);
        assert!(orders.matches(&acl("orders-1", LITERAL)));
        assert!(orders.matches(&acl("*", LITERAL)));
        assert!(orders.matches(&acl("orders", PREFIXED)));
        assert!(!orders.matches(&acl("orders", LITERAL)));
        assert!(!orders.matches(&acl("orders-12", PREFIXED)));
    }

    #[test]
    fn every_part_must_match() {
        let mut f = filter(Some("x"), LITERAL);
        assert!(f.matches(&acl("x", LITERAL)));
        f.principal = Some("User:b".into());
        assert!(!f.matches(&acl("x", LITERAL)));
        f = AclFilter { operation: 4, ..filter(Some("x"), LITERAL) };
        assert!(!f.matches(&acl("x", LITERAL)));
    }
}
