//! UpdateRaftVoter: a voter listens elsewhere, or supports other levels of kraft.version (KIP-853).

use ottla_metadata::features;
use ottla_quorum::{Endpoint, KraftVersions, Leadership, Member, NodeKey, Voter, VoterChange};
use ottla_wire::api::update_raft_voter::{
    CurrentLeader, UpdateRaftVoterRequest, UpdateRaftVoterResponse,
};
use ottla_wire::{ErrorCode, Uuid};

use crate::answer::Answer;
use crate::api::voters::{PATIENCE, change};
use crate::call::Call;

/// What a request is held against.
struct Here<'a> {
    cluster_id: &'a str,
    node_id: i32,
    now: Leadership,
    /// The listener on which controllers reach each other.
    listener: &'a str,
    /// The level of kraft.version.
    level: i16,
}

/// Why a request is refused before the voters are looked at, in the order in which Kafka looks.
fn check(request: &UpdateRaftVoterRequest, here: &Here<'_>) -> Result<(), ErrorCode> {
    if request.cluster_id.as_deref().is_some_and(|theirs| theirs != here.cluster_id) {
        return Err(ErrorCode::INCONSISTENT_CLUSTER_ID);
    }
    if request.current_leader_epoch < here.now.epoch {
        return Err(ErrorCode::FENCED_LEADER_EPOCH);
    }
    if request.current_leader_epoch > here.now.epoch {
        return Err(ErrorCode::UNKNOWN_LEADER_EPOCH);
    }
    if here.now.leader.is_none_or(|leader| leader.id != here.node_id) {
        return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    }
    let versions = &request.kraft_version_feature;
    let supported = versions.min_supported_version..=versions.max_supported_version;
    let valid = request.voter_id >= 0
        && request.voter_directory_id != Uuid::ZERO
        && request.listeners.iter().any(|listener| listener.name == here.listener)
        && versions.min_supported_version >= 0
        && supported.contains(&here.level);
    if valid { Ok(()) } else { Err(ErrorCode::INVALID_REQUEST) }
}

/// Answers UpdateRaftVoter.
pub fn handle(call: Call, request: UpdateRaftVoterRequest) -> Answer<UpdateRaftVoterResponse> {
    Answer::later(async move {
        let endpoint = |l: &ottla_wire::api::update_raft_voter::Listener| Endpoint {
            name: l.name.clone(),
            host: l.host.clone(),
            port: l.port,
        };
        let feature = &request.kraft_version_feature;
        let voter = Voter {
            key: NodeKey::new(request.voter_id, request.voter_directory_id),
            member: Member {
                endpoints: request.listeners.iter().map(endpoint).collect(),
                kraft_versions: KraftVersions {
                    min: feature.min_supported_version,
                    max: feature.max_supported_version,
                },
            },
        };
        let checked = {
            let context = &call.context;
            let image = context.image();
            let names = &context.initial.listeners().controller;
            let now = *context.quorum.leadership().borrow();
            let here = Here {
                cluster_id: &context.cluster_id,
                node_id: context.node_id,
                now,
                listener: names.first().map_or("", |name| name.as_str()),
                level: image.features().level(features::KRAFT),
            };
            check(&request, &here)
        };
        let changed = match checked {
            Ok(()) => {
                let cluster_id = request.cluster_id.as_deref();
                change(&call, cluster_id, VoterChange::Update(voter), PATIENCE).await
            }
            Err(code) => Err((code, None)),
        };
        let leader = call.context.quorum.leader_hint();
        let current_leader = leader.map_or_else(CurrentLeader::default, |leader| {
            let endpoint = leader.endpoints.first();
            CurrentLeader {
                leader_id: leader.id,
                leader_epoch: leader.epoch,
                host: endpoint.map(|e| e.host.clone()).unwrap_or_default(),
                port: endpoint.map_or(0, |e| i32::from(e.port)),
            }
        });
        UpdateRaftVoterResponse {
            error_code: changed.map_or_else(|(code, _)| code, |()| ErrorCode::NONE),
            current_leader,
            ..Default::default()
        }
    })
}

#[cfg(test)]
mod tests {
    use ottla_quorum::Role;
    use ottla_wire::api::update_raft_voter::{KRaftVersionFeature, Listener};

    use super::*;

    const DIRECTORY: Uuid = Uuid::from_u128(7);

    fn leadership(leader: i32) -> Leadership {
        let leader = Some(NodeKey::new(leader, DIRECTORY));
        Leadership { epoch: 5, leader, role: Role::Follower }
    }

    fn good() -> UpdateRaftVoterRequest {
        UpdateRaftVoterRequest {
            cluster_id: Some("ours".into()),
            current_leader_epoch: 5,
            voter_id: 3,
            voter_directory_id: DIRECTORY,
            listeners: vec![Listener { name: "CONTROLLER".into(), ..Default::default() }],
            kraft_version_feature: KRaftVersionFeature {
                max_supported_version: 1,
                ..Default::default()
            },
        }
    }

    #[test]
    fn what_is_wrong_is_told_in_order() {
        let here = Here {
            cluster_id: "ours",
            node_id: 1,
            now: leadership(1),
            listener: "CONTROLLER",
            level: 1,
        };
        let told = |spoil: &dyn Fn(&mut UpdateRaftVoterRequest)| {
            let mut request = good();
            spoil(&mut request);
            check(&request, &here)
        };
        assert_eq!(told(&|_| ()), Ok(()));
        assert_eq!(told(&|r| r.cluster_id = None), Ok(()));
        let other = Err(ErrorCode::INCONSISTENT_CLUSTER_ID);
        assert_eq!(told(&|r| r.cluster_id = Some("theirs".into())), other);
        assert_eq!(told(&|r| r.current_leader_epoch = 4), Err(ErrorCode::FENCED_LEADER_EPOCH));
        assert_eq!(told(&|r| r.current_leader_epoch = 6), Err(ErrorCode::UNKNOWN_LEADER_EPOCH));
        let invalid = Err(ErrorCode::INVALID_REQUEST);
        assert_eq!(told(&|r| r.voter_id = -1), invalid);
        assert_eq!(told(&|r| r.voter_directory_id = Uuid::ZERO), invalid);
        assert_eq!(told(&|r| r.listeners.clear()), invalid);
        assert_eq!(told(&|r| r.listeners[0].name = "OTHER".into()), invalid);
        for (min, max) in [(-1, 1), (1, 0), (2, 3), (0, 0)] {
            let versions =
                KRaftVersionFeature { min_supported_version: min, max_supported_version: max };
            assert_eq!(told(&|r| r.kraft_version_feature = versions.clone()), invalid);
        }
        let follower = Here { now: leadership(2), ..here };
        assert_eq!(check(&good(), &follower), Err(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    }
}
