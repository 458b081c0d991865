//! The types openraft is run with.

use std::fmt;

use bytes::Bytes;
use openraft::entry::RaftEntry;
use openraft::impls::leader_id_std;

use crate::voter::{Member, NodeKey};

openraft::declare_raft_types!(
    /// Single-leader terms, so that a term is a Kafka leader epoch.
    pub TypeConfig:
        D = MetadataBatch,
        R = Applied,
        NodeId = NodeKey,
        Node = Member,
        Term = i32,
        LeaderId = leader_id_std::LeaderId<i32, NodeKey>,
        Entry = Entry,
        AsyncRuntime = crate::simulated::Runtime,
);

/// Who led when an entry was written: its term, which is Kafka's leader epoch.
pub(crate) type CommittedLeaderId = openraft::alias::CommittedLeaderIdOf<TypeConfig>;
/// Where an entry stands.
pub(crate) type LogId = openraft::LogId<CommittedLeaderId>;
/// What an entry carries.
pub(crate) type Payload = openraft::EntryPayload<MetadataBatch, NodeKey, Member>;
/// The voters and learners.
pub(crate) type Membership = openraft::Membership<NodeKey, Member>;
/// The voters and learners, with the entry that made them so.
pub(crate) type StoredMembership = openraft::StoredMembership<CommittedLeaderId, NodeKey, Member>;
/// A promise to a candidate.
pub(crate) type Vote = openraft::alias::VoteOf<TypeConfig>;

/// A record batch of metadata records, as it will stand in the log but for its base offset and leader epoch.
#[derive(Clone, PartialEq, Eq)]
pub struct MetadataBatch(pub(crate) Bytes);

impl MetadataBatch {
    /// The encoded batch, its header included.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }
}

impl fmt::Debug for MetadataBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MetadataBatch({} bytes)", self.0.len())
    }
}

impl fmt::Display for MetadataBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What the state machine answers for an entry: where its last record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The offset of the entry's last record.
    pub offset: i64,
}

/// One entry of the raft log, which is one batch of the metadata log.
#[derive(Clone)]
pub struct Entry {
    pub(crate) log_id: LogId,
    pub(crate) payload: Payload,
    /// The batch just as it stands in a log, once it does: every member stores the same bytes.
    pub(crate) batch: Option<Bytes>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:?}", self.log_id, self.payload)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.log_id, self.payload)
    }
}

impl RaftEntry for Entry {
    type CommittedLeaderId = CommittedLeaderId;
    type Payload = Payload;

    fn new(log_id: LogId, payload: Payload) -> Self {
        Self { log_id, payload, batch: None }
    }

    fn log_id_parts(&self) -> (&CommittedLeaderId, u64) {
        (&self.log_id.leader_id, self.log_id.index)
    }

    fn set_log_id(&mut self, new: LogId) {
        self.log_id = new;
        self.batch = None;
    }

    fn get_membership(&self) -> Option<Membership> {
        match &self.payload {
            Payload::Membership(membership) => Some(membership.clone()),
            Payload::Blank | Payload::Normal(_) => None,
        }
    }
}
