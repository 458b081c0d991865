//! The state of the metadata quorum: its file, and the control records of its log.

use crate::{Message, Uuid};

/// The file `quorum-state`, as JSON there: version 0 for static voters, version 1 for dynamic ones
/// (KIP-853).
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "0+")]
pub struct QuorumStateData {
    #[field(versions = "0")]
    pub cluster_id: String,
    #[field(default = "-1")]
    pub leader_id: i32,
    #[field(default = "-1")]
    pub leader_epoch: i32,
    #[field(default = "-1")]
    pub voted_id: i32,
    #[field(versions = "1+")]
    pub voted_directory_id: Uuid,
    #[field(versions = "0")]
    pub applied_offset: i64,
    #[field(versions = "0", nullable = "0")]
    pub current_voters: Option<Vec<QuorumStateDataVoter>>,
}

/// One element of `current_voters` in [`QuorumStateData`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct QuorumStateDataVoter {
    #[field(versions = "0")]
    pub voter_id: i32,
}

/// The value of a LEADER_CHANGE control record: a new leader of the metadata quorum, and who voted
/// for it.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "0+")]
pub struct LeaderChangeMessage {
    pub version: i16,
    pub leader_id: i32,
    pub voters: Vec<LeaderChangeMessageVoter>,
    pub granting_voters: Vec<LeaderChangeMessageVoter>,
}

/// A struct of several fields of [`LeaderChangeMessage`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct LeaderChangeMessageVoter {
    pub voter_id: i32,
    #[field(versions = "1+")]
    pub voter_directory_id: Uuid,
}

/// The value of the SNAPSHOT_HEADER control record, which begins a metadata snapshot.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct SnapshotHeaderRecord {
    pub version: i16,
    pub last_contained_log_timestamp: i64,
}

/// The value of the SNAPSHOT_FOOTER control record, which ends a metadata snapshot.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct SnapshotFooterRecord {
    pub version: i16,
}

/// The value of a KRAFT_VERSION control record: the level of `kraft.version` from here on.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct KRaftVersionRecord {
    pub version: i16,
    pub kraft_version: i16,
}

/// The value of a KRAFT_VOTERS control record: all voters from here on (KIP-853).
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct VotersRecord {
    pub version: i16,
    pub voters: Vec<VotersVoter>,
}

/// One element of `voters` in [`VotersRecord`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct VotersVoter {
    pub voter_id: i32,
    pub voter_directory_id: Uuid,
    pub endpoints: Vec<Endpoint>,
    pub kraft_version_feature: KRaftVersionFeature,
}

/// One element of `voters.endpoints` in [`VotersRecord`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Endpoint {
    pub name: String,
    pub host: String,
    pub port: u16,
}

/// The value of `voters.kraft_version_feature` in [`VotersRecord`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct KRaftVersionFeature {
    pub min_supported_version: i16,
    pub max_supported_version: i16,
}
