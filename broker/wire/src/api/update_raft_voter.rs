//! UpdateRaftVoter, key 82, versions 0.

use crate::{ErrorCode, Message, Uuid};

/// The request of UpdateRaftVoter.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct UpdateRaftVoterRequest {
    #[field(nullable = "0+")]
    pub cluster_id: Option<String>,
    pub current_leader_epoch: i32,
    pub voter_id: i32,
    pub voter_directory_id: Uuid,
    pub listeners: Vec<Listener>,
    pub kraft_version_feature: KRaftVersionFeature,
}

/// One element of `listeners` in [`UpdateRaftVoterRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Listener {
    pub name: String,
    pub host: String,
    pub port: u16,
}

/// The value of `kraft_version_feature` in [`UpdateRaftVoterRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct KRaftVersionFeature {
    pub min_supported_version: i16,
    pub max_supported_version: i16,
}

/// The response of UpdateRaftVoter.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct UpdateRaftVoterResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    #[field(tag = 0, tagged = "0+")]
    pub current_leader: CurrentLeader,
}

/// The value of `current_leader` in [`UpdateRaftVoterResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct CurrentLeader {
    #[field(default = "-1")]
    pub leader_id: i32,
    #[field(default = "-1")]
    pub leader_epoch: i32,
    pub host: String,
    pub port: i32,
}
