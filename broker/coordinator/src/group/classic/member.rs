//! One member of a classic group.

use std::collections::BTreeSet;

use bytes::Bytes;
use ottla_machine::Ticket;
use ottla_wire::api::join_group::JoinGroupRequestProtocol;

use crate::group::timers::Alarm;

/// A JoinGroup that waits for the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ParkedJoin {
    pub(crate) ticket: Ticket,
    pub(crate) version: i16,
}

/// A member of a group: what it brought, what it was given, and what it waits for.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) session_timeout_ms: i32,
    /// In the order the member prefers them, each name once.
    pub(crate) protocols: Vec<JoinGroupRequestProtocol>,
    pub(crate) assignment: Bytes,
    pub(crate) join: Option<ParkedJoin>,
    pub(crate) sync: Option<Ticket>,
    /// Not yet through its first join: its parked join alone does not keep it alive.
    pub(crate) is_new: bool,
    pub(crate) session: Alarm,
}

impl Member {
    /// What the member says to a protocol; empty when it does not know it.
    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        self.protocols
            .iter()
            .find(|known| known.name == protocol)
            .map(|known| known.metadata.clone())
            .unwrap_or_default()
    }

    /// Whether the end of its session leaves it in the group: who waits for us is alive.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.is_new && (self.join.is_some() || self.sync.is_some())
    }
}

/// The protocols of a request as a member keeps them: each name once, and of its own memory, so
/// that the request's buffer can go.
pub(crate) fn own_protocols(
    protocols: Vec<JoinGroupRequestProtocol>,
) -> Vec<JoinGroupRequestProtocol> {
    let mut own: Vec<JoinGroupRequestProtocol> = Vec::with_capacity(protocols.len());
    let mut names = BTreeSet::new();
    for protocol in protocols {
        if names.insert(protocol.name.clone()) {
            let metadata = Bytes::copy_from_slice(&protocol.metadata);
            own.push(JoinGroupRequestProtocol { metadata, ..protocol });
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many as a request of a few megabytes holds; compared with each other they would take minutes.
    #[test]
    fn each_of_very_many_protocols_is_kept_once() {
        let one = |n: u32| JoinGroupRequestProtocol { name: n.to_string(), ..Default::default() };
        let own = own_protocols((0..300_000).chain(0..300_000).map(one).collect());
        assert_eq!(own.len(), 300_000);
        assert!(own.iter().zip(0..).all(|(protocol, n)| *protocol == one(n)));
    }
}
