//! The door to the other members of the quorum.
//!
//! What goes through it is ours alone: it is the one wire of the broker that Kafka's nodes do not speak. `Network` sends it
//! over a [`Transport`](crate::Transport); [`Alone`] is the network of a node that is the only member.

mod members;

use std::future::Future;

use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{AnyError, OptionalSend, RaftNetworkFactory, RaftNetworkV2};

use crate::state_machine::{RaftSnapshot, SnapshotSource};
use crate::types::{TypeConfig, Vote};
use crate::voter::{Member, NodeKey};

pub(crate) use members::Network;

/// The network of a quorum with one member: nobody can be reached.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

/// Another member, which a quorum of one cannot reach.
#[derive(Clone, Copy, Debug)]
pub struct Nobody(NodeKey);

impl Nobody {
    fn unreachable(self) -> Unreachable<TypeConfig> {
        Unreachable::new(&AnyError::error(format!(
            "node {} cannot be reached: this node was started as the only member of its quorum",
            self.0.id
        )))
    }
}

impl RaftNetworkFactory<TypeConfig> for Alone {
    type Network = Nobody;

    async fn new_client(&mut self, target: NodeKey, _: &Member) -> Nobody {
        Nobody(target)
    }
}

impl RaftNetworkV2<TypeConfig> for Nobody {
    type SnapshotData = SnapshotSource;

    async fn append_entries(
        &mut self,
        _: AppendEntriesRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    async fn vote(
        &mut self,
        _: VoteRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    async fn full_snapshot(
        &mut self,
        _: Vote,
        _: RaftSnapshot,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        Err(StreamingError::Unreachable(self.unreachable()))
    }
}
