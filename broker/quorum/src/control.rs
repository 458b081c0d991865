//! Control batches: what the quorum itself writes into the metadata log, in KRaft's own records.
//!
//! A new leader's first entry is a LEADER_CHANGE. A membership is a KRAFT_VOTERS record, which lists the voters just as
//! Kafka does; what Kafka has no field for (voters on their way out, learners, the entry a snapshot's membership comes
//! from) stands in tagged fields behind them, which Kafka's readers skip.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ottla_wire::schema::raft::{
    Endpoint as WireEndpoint, KRaftVersionFeature, KRaftVersionRecord, LeaderChangeMessage,
    LeaderChangeMessageVoter, SnapshotFooterRecord, SnapshotHeaderRecord, VotersVoter,
};
use ottla_wire::{Decoder, EncodeError, Encoder, Message, Uuid};

use crate::batch::{self, Builder, Flaw, Raw};
use crate::types::{CommittedLeaderId, LogId, Membership, StoredMembership};
use crate::voter::{Endpoint, KraftVersions, Member, NodeKey, Voter};

/// What a control record says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Control {
    LeaderChange(LeaderChangeMessage),
    SnapshotHeader(SnapshotHeaderRecord),
    SnapshotFooter(SnapshotFooterRecord),
    KraftVersion(KRaftVersionRecord),
    Voters(Box<VotersRecord>),
}

/// KRAFT_VOTERS, with what raft needs besides in tagged fields.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct VotersRecord {
    pub(crate) version: i16,
    pub(crate) voters: Vec<VotersVoter>,
    /// Members that are no voters of the newest configuration.
    #[field(tag = 10000, tagged = "0+")]
    pub(crate) others: Vec<VotersVoter>,
    /// The older configuration of a joint one; the newer one is `voters`.
    #[field(tag = 10001, tagged = "0+")]
    pub(crate) leaving: Vec<WireKey>,
    /// In a snapshot: the raft index of the last entry it contains, plus one.
    #[field(tag = 10002, tagged = "0+")]
    pub(crate) next_index: i64,
    /// In a snapshot: the raft index of the entry which made this membership, plus one.
    #[field(tag = 10003, tagged = "0+")]
    pub(crate) membership_next_index: i64,
    /// In a snapshot: the epoch of that entry.
    #[field(tag = 10004, tagged = "0+")]
    pub(crate) membership_epoch: i32,
    /// In a snapshot: the first offset it does not contain.
    #[field(tag = 10005, tagged = "0+")]
    pub(crate) end_offset: i64,
}

/// A node key.
#[derive(Debug, Clone, PartialEq, Message)]
pub(crate) struct WireKey {
    pub(crate) id: i32,
    pub(crate) directory: Uuid,
}

impl Control {
    const LEADER_CHANGE: i16 = 2;
    const SNAPSHOT_HEADER: i16 = 3;
    const SNAPSHOT_FOOTER: i16 = 4;
    const KRAFT_VERSION: i16 = 5;
    const KRAFT_VOTERS: i16 = 6;

    /// Reads a record of a control batch; `None` for a type that is none of the quorum's.
    pub(crate) fn decode(raw: &Raw) -> Result<Option<Self>, Flaw> {
        let key = raw.key.as_deref().unwrap_or_default();
        let &[_, _, high, low] = key else {
            return Err(format!("a control record's key has {} bytes", key.len()));
        };
        let value = raw.value.clone();
        Ok(Some(match i16::from_be_bytes([high, low]) {
            // Version 1 of the message has directory ids; the message's own field says which it is.
            Self::LEADER_CHANGE => {
                let version = value.first_chunk::<2>().map_or(0, |b| i16::from_be_bytes(*b));
                Self::LeaderChange(read(value, version.clamp(0, 1))?)
            }
            Self::SNAPSHOT_HEADER => Self::SnapshotHeader(read(value, 0)?),
            Self::SNAPSHOT_FOOTER => Self::SnapshotFooter(read(value, 0)?),
            Self::KRAFT_VERSION => Self::KraftVersion(read(value, 0)?),
            Self::KRAFT_VOTERS => Self::Voters(Box::new(read(value, 0)?)),
            _ => return Ok(None),
        }))
    }

    /// Adds the record to a control batch.
    pub(crate) fn push(&self, batch: &mut Builder) -> Result<(), EncodeError> {
        let (kind, value) = match self {
            Self::LeaderChange(m) => (Self::LEADER_CHANGE, write(m)?),
            Self::SnapshotHeader(m) => (Self::SNAPSHOT_HEADER, write(m)?),
            Self::SnapshotFooter(m) => (Self::SNAPSHOT_FOOTER, write(m)?),
            Self::KraftVersion(m) => (Self::KRAFT_VERSION, write(m)?),
            Self::Voters(m) => (Self::KRAFT_VOTERS, write(&**m)?),
        };
        let [high, low] = kind.to_be_bytes();
        batch.push(Some(&[0, 0, high, low]), &value);
        Ok(())
    }
}

fn read<M: Message>(value: Bytes, version: i16) -> Result<M, Flaw> {
    let mut d = Decoder::new(value);
    M::decode(&mut d, version).map_err(|e| e.to_string())
}

fn write<M: Message>(message: &M) -> Result<Bytes, EncodeError> {
    let mut e = Encoder::new();
    message.encode(&mut e, 0)?;
    e.into_bytes()
}

/// The first entry of a leader.
pub(crate) fn leader_change(leader: NodeKey, voters: impl Iterator<Item = NodeKey>) -> Control {
    let voter = |k: NodeKey| LeaderChangeMessageVoter {
        voter_id: k.id,
        ..LeaderChangeMessageVoter::default()
    };
    let voters: Vec<_> = voters.map(voter).collect();
    Control::LeaderChange(LeaderChangeMessage {
        version: 0,
        leader_id: leader.id,
        granting_voters: voters.clone(),
        voters,
    })
}

/// The records that stand for a membership. The level of `kraft.version` is 1 where voters can be changed (KIP-853),
/// and 0 where they were named by configuration files; Kafka then has no such records at all.
pub(crate) fn membership(membership: &Membership, kraft_version: i16) -> [Control; 2] {
    let version = KRaftVersionRecord { version: 0, kraft_version };
    [Control::KraftVersion(version), Control::Voters(Box::new(voters_record(membership)))]
}

/// The level of `kraft.version` that a control batch sets, if it sets one.
pub(crate) fn kraft_version(batch: &Bytes) -> Result<Option<i16>, Flaw> {
    let (_, raw) = batch::records(batch)?;
    let mut level = None;
    for record in &raw {
        if let Some(Control::KraftVersion(record)) = Control::decode(record)? {
            level = Some(record.kraft_version);
        }
    }
    Ok(level)
}

/// The same for a snapshot that ends before `end_offset` and whose last entry is `last`.
pub(crate) fn snapshot_membership(
    stored: &StoredMembership,
    end_offset: i64,
    last: Option<LogId>,
    kraft_version: i16,
) -> [Control; 2] {
    let mut record = voters_record(stored.membership());
    record.end_offset = end_offset;
    record.next_index = last.map_or(0, |id| next(id.index));
    if let Some(id) = stored.log_id() {
        record.membership_next_index = next(id.index);
        record.membership_epoch = id.leader_id.term;
    }
    let version = KRaftVersionRecord { version: 0, kraft_version };
    [Control::KraftVersion(version), Control::Voters(Box::new(record))]
}

fn next(index: u64) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX).saturating_add(1)
}

fn voters_record(membership: &Membership) -> VotersRecord {
    let configs = membership.get_joint_config();
    let empty = BTreeSet::new();
    let newest = configs.last().unwrap_or(&empty);
    let (voters, others) = membership.nodes().partition::<Vec<_>, _>(|(k, _)| newest.contains(k));
    let wire = |members: Vec<(&NodeKey, &Member)>| {
        members.into_iter().map(|(key, member)| to_wire(*key, member)).collect()
    };
    let leaving = match configs.as_slice() {
        [older, _] => older.iter().map(|k| WireKey { id: k.id, directory: k.directory }).collect(),
        _ => Vec::new(),
    };
    VotersRecord { voters: wire(voters), others: wire(others), leaving, ..VotersRecord::default() }
}

impl VotersRecord {
    /// The voters, as Kafka sees them.
    pub(crate) fn voter_list(&self) -> Vec<Voter> {
        let voters = self.voters.iter().map(from_wire);
        voters.map(|(key, member)| Voter { key, member }).collect()
    }

    /// The membership as raft sees it.
    pub(crate) fn membership(&self) -> Result<Membership, Flaw> {
        let nodes: BTreeMap<_, _> = self.voters.iter().chain(&self.others).map(from_wire).collect();
        let newest: BTreeSet<_> = self.voters.iter().map(|v| from_wire(v).0).collect();
        let older: BTreeSet<_> =
            self.leaving.iter().map(|k| NodeKey::new(k.id, k.directory)).collect();
        let configs = if older.is_empty() { vec![newest] } else { vec![older, newest] };
        Membership::new(configs, nodes).map_err(|e| e.to_string())
    }

    /// In a snapshot: the last entry's index and the membership with its entry. `None` in snapshots Kafka wrote.
    pub(crate) fn raft_state(&self) -> Result<Option<(u64, StoredMembership)>, Flaw> {
        let Some(last) = previous(self.next_index) else { return Ok(None) };
        let id = previous(self.membership_next_index)
            .map(|index| LogId::new(CommittedLeaderId::new(self.membership_epoch), index));
        Ok(Some((last, StoredMembership::new(id, self.membership()?))))
    }
}

fn previous(next: i64) -> Option<u64> {
    u64::try_from(next).ok()?.checked_sub(1)
}

pub(crate) fn to_wire(key: NodeKey, member: &Member) -> VotersVoter {
    let endpoints = member.endpoints.iter().map(|e| WireEndpoint {
        name: e.name.clone(),
        host: e.host.clone(),
        port: e.port,
    });
    VotersVoter {
        voter_id: key.id,
        voter_directory_id: key.directory,
        endpoints: endpoints.collect(),
        kraft_version_feature: KRaftVersionFeature {
            min_supported_version: member.kraft_versions.min,
            max_supported_version: member.kraft_versions.max,
        },
    }
}

pub(crate) fn from_wire(voter: &VotersVoter) -> (NodeKey, Member) {
    let endpoints = voter.endpoints.iter().map(|e| Endpoint {
        name: e.name.clone(),
        host: e.host.clone(),
        port: e.port,
    });
    let feature = &voter.kraft_version_feature;
    let kraft_versions =
        KraftVersions { min: feature.min_supported_version, max: feature.max_supported_version };
    let member = Member { endpoints: endpoints.collect(), kraft_versions };
    (NodeKey::new(voter.voter_id, voter.voter_directory_id), member)
}
