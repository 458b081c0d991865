//! What is asked of the group machine, and what it answers: the protocol's own messages.

use std::collections::VecDeque;
use std::sync::Arc;

use ottla_metadata::Image;
use ottla_wire::api::consumer_group_describe::DescribedGroup as DescribedConsumerGroup;
use ottla_wire::api::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};
use ottla_wire::api::delete_groups::DeletableGroupResult;
use ottla_wire::api::describe_groups::DescribedGroup;
use ottla_wire::api::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use ottla_wire::api::join_group::{JoinGroupRequest, JoinGroupResponse};
use ottla_wire::api::leave_group::{LeaveGroupRequest, LeaveGroupResponse};
use ottla_wire::api::list_groups::ListedGroup;
use ottla_wire::api::offset_commit::{OffsetCommitRequest, OffsetCommitResponse};
use ottla_wire::api::offset_delete::{OffsetDeleteRequest, OffsetDeleteResponse};
use ottla_wire::api::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchResponseGroup};
use ottla_wire::api::sync_group::{SyncGroupRequest, SyncGroupResponse};
use ottla_wire::api::txn_offset_commit::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};

use super::record::TxnMarker;
use super::settings::{GroupOverrides, GroupSettings};

/// Who asks, and in which version of the API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The client id of the request's header; empty when the header had none.
    pub client_id: String,
    /// The client's address as Java prints it: `/127.0.0.1`.
    pub client_host: String,
    /// The version of the request.
    pub version: i16,
}

/// One command: a request, and who makes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Who makes it. Of no meaning for [`Request::Tick`] and the other requests of the shell.
    pub context: Context,
    /// What is asked.
    pub request: Request,
}

impl Command {
    /// A command of the shell itself.
    #[must_use]
    pub fn internal(request: Request) -> Self {
        Self { context: Context::default(), request }
    }
}

/// What is asked of one shard. Every group named in it belongs to the shard's partition.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// JoinGroup; perhaps answered much later.
    JoinGroup {
        /// As it came.
        request: JoinGroupRequest,
        /// 128 random bits, for the member id if this member needs one.
        fresh: u128,
    },
    /// SyncGroup; perhaps answered much later.
    SyncGroup(SyncGroupRequest),
    /// Heartbeat.
    Heartbeat(HeartbeatRequest),
    /// LeaveGroup, of any version.
    LeaveGroup(LeaveGroupRequest),
    /// ConsumerGroupHeartbeat (KIP-848): joins, leaves, beats; answered at once.
    ConsumerGroupHeartbeat {
        /// As it came.
        request: ConsumerGroupHeartbeatRequest,
        /// 128 random bits, for the id of a member of version 0, which brings none.
        fresh: u128,
    },
    /// ConsumerGroupDescribe, of the groups of this shard.
    ConsumerGroupDescribe(Vec<String>),
    /// OffsetCommit. The topics' names are filled in; their ids too where known.
    OffsetCommit(OffsetCommitRequest),
    /// TxnOffsetCommit.
    TxnOffsetCommit(TxnOffsetCommitRequest),
    /// The part of one group of an OffsetFetch. The topics' names are filled in.
    OffsetFetch {
        /// The group, and its topics or `None` for all.
        group: OffsetFetchRequestGroup,
        /// What becomes of offsets that an open transaction may still change (KIP-447).
        stability: Stability,
    },
    /// OffsetDelete.
    OffsetDelete(OffsetDeleteRequest),
    /// DescribeGroups, of the groups of this shard.
    DescribeGroups(Vec<String>),
    /// ListGroups: `states_filter`, `types_filter`; empty filters let everything pass.
    ListGroups {
        /// Names of states, in any case.
        states: Vec<String>,
        /// Names of group types, in any case.
        types: Vec<String>,
    },
    /// DeleteGroups, of the groups of this shard.
    DeleteGroups(Vec<String>),
    /// Partitions are gone: their offsets go too.
    PartitionsDeleted(Vec<DeletedTopic>),
    /// What is left of a request whose records are too many for one batch. The machine asks for it
    /// itself.
    Continue(Rest),
    /// The end of a producer's transaction in this partition.
    CompleteTransaction(TxnMarker),
    /// New settings. They hold from here on. The shell's first command after a replay.
    Configure(GroupSettings),
    /// What is set on one group, in place of what was before; the default takes all of it away.
    /// The shell says it after [`Self::Configure`], of every group of this shard with a
    /// configuration of its own, and whenever one changes.
    ConfigureGroup {
        /// The group, which need not exist.
        group: String,
        /// What is set on it.
        overrides: GroupOverrides,
    },
    /// The cluster's topics from here on. The shell says it after [`Self::Configure`], and whenever
    /// topics, their partitions or the racks of brokers changed. Until the first one a heartbeat of
    /// a consumer group is answered with `COORDINATOR_LOAD_IN_PROGRESS`.
    Metadata(Arc<Image>),
    /// Time has passed. The shell sends one at `wake_at`.
    Tick,
}

/// What is left of a request after a decision that filled a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Rest {
    /// Of DeleteGroups.
    DeleteGroups {
        /// The groups that are still to be looked at; the first may have lost some offsets.
        groups: VecDeque<String>,
        /// What became of those before.
        results: Vec<DeletableGroupResult>,
    },
    /// Of partitions that are gone.
    PartitionsDeleted {
        /// The partitions.
        topics: Vec<DeletedTopic>,
        /// The group to go on with.
        from: Arc<str>,
    },
}

/// Partitions of one topic that are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedTopic {
    /// The topic's name.
    pub name: String,
    /// The partitions.
    pub partitions: Vec<i32>,
}

/// How offsets in an open transaction are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stability {
    /// `UNSTABLE_OFFSET_COMMIT` for them.
    Required,
    /// What was committed before them.
    Any,
}

/// What answers a request; of the same name as the request.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// To JoinGroup.
    JoinGroup(JoinGroupResponse),
    /// To SyncGroup.
    SyncGroup(SyncGroupResponse),
    /// To Heartbeat.
    Heartbeat(HeartbeatResponse),
    /// To LeaveGroup.
    LeaveGroup(LeaveGroupResponse),
    /// To ConsumerGroupHeartbeat.
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeatResponse),
    /// To ConsumerGroupDescribe, in the order asked.
    ConsumerGroupDescribe(Vec<DescribedConsumerGroup>),
    /// To OffsetCommit.
    OffsetCommit(OffsetCommitResponse),
    /// To TxnOffsetCommit.
    TxnOffsetCommit(TxnOffsetCommitResponse),
    /// To OffsetFetch, of one group.
    OffsetFetch(OffsetFetchResponseGroup),
    /// To OffsetDelete.
    OffsetDelete(OffsetDeleteResponse),
    /// To DescribeGroups, in the order asked.
    DescribeGroups(Vec<DescribedGroup>),
    /// To ListGroups.
    ListGroups(Vec<ListedGroup>),
    /// To DeleteGroups, in the order asked, each group once.
    DeleteGroups(Vec<DeletableGroupResult>),
    /// To the shell's own requests.
    Done,
}

/// What the shell counts once the records are committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A classic group reached a new stable generation.
    RebalanceCompleted,
    /// A consumer group has a new epoch, towards which its members go.
    ConsumerRebalance,
    /// So many offsets were committed.
    OffsetsCommitted(usize),
    /// So many offsets were deleted on request.
    OffsetsDeleted(usize),
    /// So many offsets expired.
    OffsetsExpired(usize),
    /// So many groups went because nothing was left of them.
    GroupsExpired(usize),
}
