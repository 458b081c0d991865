//! The table of API keys.

use crate::{Message, Versions};
use std::fmt;

/// What holds of an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiSpec {
    /// The key.
    pub key: ApiKey,
    /// Kafka's name of the API.
    pub name: &'static str,
    /// The versions that are served. A message may know newer ones, which are not stable yet.
    pub stable: Versions,
    /// The versions of the messages, unstable ones included.
    pub known: Versions,
    /// The flexible versions.
    pub flexible: Versions,
    /// Where the API is offered, and how; the constants below.
    traits: u8,
}

/// Offered by brokers.
const BROKER: u8 = 1;
/// Offered by controllers.
const CONTROLLER: u8 = 2;
/// Offered by both.
const BOTH: u8 = BROKER | CONTROLLER;
/// A broker hands the request to the active controller.
const FORWARDED: u8 = 4;
/// Needs the right to ClusterAction.
const CLUSTER_ACTION: u8 = 8;

/// The two kinds of listeners, which offer different APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// A listener of a broker.
    Broker,
    /// A listener of a controller.
    Controller,
}

impl ApiSpec {
    /// Whether the API is offered on listeners of this kind.
    pub const fn is_on(&self, listener: Listener) -> bool {
        let bit = match listener {
            Listener::Broker => BROKER,
            Listener::Controller => CONTROLLER,
        };
        self.traits & bit != 0
    }

    /// Whether a broker forwards the request to the active controller (KIP-590).
    pub const fn is_forwarded(&self) -> bool {
        self.traits & FORWARDED != 0
    }

    /// Whether the request needs the right to ClusterAction, as requests between nodes do.
    pub const fn is_cluster_action(&self) -> bool {
        self.traits & CLUSTER_ACTION != 0
    }

    /// The versions that ApiVersions answers on a listener. GetTelemetrySubscriptions and
    /// PushTelemetry are to be left out where nothing receives telemetry (KIP-714).
    pub fn advertised(&self, listener: Listener) -> Option<Versions> {
        // Old versions of librdkafka look at Produce 0 to choose the compression, and so Kafka says
        // that it has it.
        let from = if self.key == ApiKey::Produce { 0 } else { self.stable.min };
        self.is_on(listener).then(|| Versions::new(from, self.stable.max))
    }

    /// The version of the header before a request of this version.
    pub const fn request_header(&self, version: i16) -> i16 {
        if self.flexible.contains(version) { 2 } else { 1 }
    }

    /// The version of the header before a response of this version.
    pub const fn response_header(&self, version: i16) -> i16 {
        // A client that does not know the server yet must be able to read the answer to ApiVersions
        // (KIP-511).
        let flexible = self.flexible.contains(version) && !matches!(self.key, ApiKey::ApiVersions);
        if flexible { 1 } else { 0 }
    }
}

/// A request, and what belongs to it.
pub trait Request: Message {
    /// Its key.
    const KEY: ApiKey;
    /// What answers it; it has the same versions.
    type Response: Response<Request = Self>;
}

/// A response, and what belongs to it.
pub trait Response: Message {
    /// Its key.
    const KEY: ApiKey;
    /// What it answers.
    type Request: Request<Response = Self>;
}

macro_rules! apis {
    ($(
        $key:literal $name:ident: $module:ident::{$request:ident, $response:ident},
        $min:literal..=$max:literal, $traits:expr;
    )*) => {
        /// The key of an API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {
            $(#[doc = concat!("Key ", $key, ", [`super::", stringify!($module), "`].")] $name = $key,)*
        }

        impl ApiKey {
            /// All keys in ascending order.
            pub const ALL: &'static [ApiKey] = &[$(ApiKey::$name),*];

            /// The key with this number, if there is one with any version.
            pub const fn from_code(code: i16) -> Option<Self> {
                match code {
                    $($key => Some(ApiKey::$name),)*
                    _ => None,
                }
            }

            /// What holds of the key.
            pub const fn spec(self) -> &'static ApiSpec {
                match self {
                    $(ApiKey::$name => const { &ApiSpec {
                        key: ApiKey::$name,
                        name: stringify!($name),
                        stable: Versions::new($min, $max),
                        known: <super::$module::$request as Message>::VERSIONS,
                        flexible: <super::$module::$request as Message>::FLEXIBLE,
                        traits: $traits,
                    } },)*
                }
            }
        }

        $(
            impl Request for super::$module::$request {
                const KEY: ApiKey = ApiKey::$name;
                type Response = super::$module::$response;
            }
            impl Response for super::$module::$response {
                const KEY: ApiKey = ApiKey::$name;
                type Request = super::$module::$request;
            }
        )*

        /// Calls a macro with all rows, `Name: module::{Request, Response};`.
        macro_rules! each_api {
            ($then:ident) => { $then! { $($name: $module::{$request, $response};)* } };
        }
        pub(crate) use each_api;
    };
}

impl ApiKey {
    /// The number on the wire.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Kafka's name of the API.
    pub const fn name(self) -> &'static str {
        self.spec().name
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

apis! {
    0 Produce: produce::{ProduceRequest, ProduceResponse}, 3..=13, BROKER;
    1 Fetch: fetch::{FetchRequest, FetchResponse}, 4..=18, BOTH;
    2 ListOffsets: list_offsets::{ListOffsetsRequest, ListOffsetsResponse}, 1..=11, BROKER;
    3 Metadata: metadata::{MetadataRequest, MetadataResponse}, 0..=13, BROKER;
    8 OffsetCommit: offset_commit::{OffsetCommitRequest, OffsetCommitResponse}, 2..=10, BROKER;
    9 OffsetFetch: offset_fetch::{OffsetFetchRequest, OffsetFetchResponse}, 1..=10, BROKER;
    10 FindCoordinator: find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse}, 0..=6, BROKER;
    11 JoinGroup: join_group::{JoinGroupRequest, JoinGroupResponse}, 0..=9, BROKER;
    12 Heartbeat: heartbeat::{HeartbeatRequest, HeartbeatResponse}, 0..=4, BROKER;
    13 LeaveGroup: leave_group::{LeaveGroupRequest, LeaveGroupResponse}, 0..=5, BROKER;
    14 SyncGroup: sync_group::{SyncGroupRequest, SyncGroupResponse}, 0..=5, BROKER;
    15 DescribeGroups: describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse}, 0..=6, BROKER;
    16 ListGroups: list_groups::{ListGroupsRequest, ListGroupsResponse}, 0..=5, BROKER;
    17 SaslHandshake: sasl_handshake::{SaslHandshakeRequest, SaslHandshakeResponse}, 0..=1, BOTH;
    18 ApiVersions: api_versions::{ApiVersionsRequest, ApiVersionsResponse}, 0..=4, BOTH;
    19 CreateTopics: create_topics::{CreateTopicsRequest, CreateTopicsResponse}, 2..=7, BOTH | FORWARDED;
    20 DeleteTopics: delete_topics::{DeleteTopicsRequest, DeleteTopicsResponse}, 1..=6, BOTH | FORWARDED;
    21 DeleteRecords: delete_records::{DeleteRecordsRequest, DeleteRecordsResponse}, 0..=2, BROKER;
    22 InitProducerId: init_producer_id::{InitProducerIdRequest, InitProducerIdResponse}, 0..=5, BROKER;
    23 OffsetForLeaderEpoch: offset_for_leader_epoch::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse}, 2..=4, BROKER;
    24 AddPartitionsToTxn: add_partitions_to_txn::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse}, 0..=5, BROKER;
    25 AddOffsetsToTxn: add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse}, 0..=4, BROKER;
    26 EndTxn: end_txn::{EndTxnRequest, EndTxnResponse}, 0..=5, BROKER;
    27 WriteTxnMarkers: write_txn_markers::{WriteTxnMarkersRequest, WriteTxnMarkersResponse}, 1..=2, BROKER | CLUSTER_ACTION;
    28 TxnOffsetCommit: txn_offset_commit::{TxnOffsetCommitRequest, TxnOffsetCommitResponse}, 0..=5, BROKER;
    29 DescribeAcls: describe_acls::{DescribeAclsRequest, DescribeAclsResponse}, 1..=3, BOTH;
    30 CreateAcls: create_acls::{CreateAclsRequest, CreateAclsResponse}, 1..=3, BOTH | FORWARDED;
    31 DeleteAcls: delete_acls::{DeleteAclsRequest, DeleteAclsResponse}, 1..=3, BOTH | FORWARDED;
    32 DescribeConfigs: describe_configs::{DescribeConfigsRequest, DescribeConfigsResponse}, 1..=4, BOTH;
    33 AlterConfigs: alter_configs::{AlterConfigsRequest, AlterConfigsResponse}, 0..=2, BOTH | FORWARDED;
    34 AlterReplicaLogDirs: alter_replica_log_dirs::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse}, 1..=2, BROKER;
    35 DescribeLogDirs: describe_log_dirs::{DescribeLogDirsRequest, DescribeLogDirsResponse}, 1..=5, BROKER;
    36 SaslAuthenticate: sasl_authenticate::{SaslAuthenticateRequest, SaslAuthenticateResponse}, 0..=2, BOTH;
    37 CreatePartitions: create_partitions::{CreatePartitionsRequest, CreatePartitionsResponse}, 0..=3, BOTH | FORWARDED;
    38 CreateDelegationToken: create_delegation_token::{CreateDelegationTokenRequest, CreateDelegationTokenResponse}, 1..=3, BOTH | FORWARDED;
    39 RenewDelegationToken: renew_delegation_token::{RenewDelegationTokenRequest, RenewDelegationTokenResponse}, 1..=2, BOTH | FORWARDED;
    40 ExpireDelegationToken: expire_delegation_token::{ExpireDelegationTokenRequest, ExpireDelegationTokenResponse}, 1..=2, BOTH | FORWARDED;
    41 DescribeDelegationToken: describe_delegation_token::{DescribeDelegationTokenRequest, DescribeDelegationTokenResponse}, 1..=3, BOTH;
    42 DeleteGroups: delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse}, 0..=2, BROKER;
    43 ElectLeaders: elect_leaders::{ElectLeadersRequest, ElectLeadersResponse}, 0..=2, BOTH | FORWARDED;
    44 IncrementalAlterConfigs: incremental_alter_configs::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse}, 0..=1, BOTH | FORWARDED;
    45 AlterPartitionReassignments: alter_partition_reassignments::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse}, 0..=1, BOTH | FORWARDED;
    46 ListPartitionReassignments: list_partition_reassignments::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse}, 0..=0, BOTH | FORWARDED;
    47 OffsetDelete: offset_delete::{OffsetDeleteRequest, OffsetDeleteResponse}, 0..=0, BROKER;
    48 DescribeClientQuotas: describe_client_quotas::{DescribeClientQuotasRequest, DescribeClientQuotasResponse}, 0..=1, BROKER;
    49 AlterClientQuotas: alter_client_quotas::{AlterClientQuotasRequest, AlterClientQuotasResponse}, 0..=1, BOTH | FORWARDED;
    50 DescribeUserScramCredentials: describe_user_scram_credentials::{DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse}, 0..=0, BOTH;
    51 AlterUserScramCredentials: alter_user_scram_credentials::{AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse}, 0..=0, BOTH | FORWARDED;
    52 Vote: vote::{VoteRequest, VoteResponse}, 0..=2, CONTROLLER | CLUSTER_ACTION;
    53 BeginQuorumEpoch: begin_quorum_epoch::{BeginQuorumEpochRequest, BeginQuorumEpochResponse}, 0..=1, CONTROLLER | CLUSTER_ACTION;
    54 EndQuorumEpoch: end_quorum_epoch::{EndQuorumEpochRequest, EndQuorumEpochResponse}, 0..=1, CONTROLLER | CLUSTER_ACTION;
    55 DescribeQuorum: describe_quorum::{DescribeQuorumRequest, DescribeQuorumResponse}, 0..=2, BOTH | FORWARDED | CLUSTER_ACTION;
    56 AlterPartition: alter_partition::{AlterPartitionRequest, AlterPartitionResponse}, 2..=3, CONTROLLER | CLUSTER_ACTION;
    57 UpdateFeatures: update_features::{UpdateFeaturesRequest, UpdateFeaturesResponse}, 0..=2, BOTH | FORWARDED | CLUSTER_ACTION;
    58 Envelope: envelope::{EnvelopeRequest, EnvelopeResponse}, 0..=0, CONTROLLER | CLUSTER_ACTION;
    59 FetchSnapshot: fetch_snapshot::{FetchSnapshotRequest, FetchSnapshotResponse}, 0..=1, CONTROLLER;
    60 DescribeCluster: describe_cluster::{DescribeClusterRequest, DescribeClusterResponse}, 0..=2, BOTH;
    61 DescribeProducers: describe_producers::{DescribeProducersRequest, DescribeProducersResponse}, 0..=0, BROKER;
    62 BrokerRegistration: broker_registration::{BrokerRegistrationRequest, BrokerRegistrationResponse}, 0..=4, CONTROLLER | CLUSTER_ACTION;
    63 BrokerHeartbeat: broker_heartbeat::{BrokerHeartbeatRequest, BrokerHeartbeatResponse}, 0..=2, CONTROLLER | CLUSTER_ACTION;
    64 UnregisterBroker: unregister_broker::{UnregisterBrokerRequest, UnregisterBrokerResponse}, 0..=0, BOTH | FORWARDED;
    65 DescribeTransactions: describe_transactions::{DescribeTransactionsRequest, DescribeTransactionsResponse}, 0..=0, BROKER;
    66 ListTransactions: list_transactions::{ListTransactionsRequest, ListTransactionsResponse}, 0..=2, BROKER;
    67 AllocateProducerIds: allocate_producer_ids::{AllocateProducerIdsRequest, AllocateProducerIdsResponse}, 0..=0, CONTROLLER | FORWARDED | CLUSTER_ACTION;
    68 ConsumerGroupHeartbeat: consumer_group_heartbeat::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse}, 0..=1, BROKER;
    69 ConsumerGroupDescribe: consumer_group_describe::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse}, 0..=1, BROKER;
    70 ControllerRegistration: controller_registration::{ControllerRegistrationRequest, ControllerRegistrationResponse}, 0..=0, CONTROLLER;
    71 GetTelemetrySubscriptions: get_telemetry_subscriptions::{GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse}, 0..=0, BROKER;
    72 PushTelemetry: push_telemetry::{PushTelemetryRequest, PushTelemetryResponse}, 0..=0, BROKER;
    73 AssignReplicasToDirs: assign_replicas_to_dirs::{AssignReplicasToDirsRequest, AssignReplicasToDirsResponse}, 0..=0, CONTROLLER;
    74 ListConfigResources: list_config_resources::{ListConfigResourcesRequest, ListConfigResourcesResponse}, 0..=1, BROKER;
    75 DescribeTopicPartitions: describe_topic_partitions::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse}, 0..=0, BROKER;
    76 ShareGroupHeartbeat: share_group_heartbeat::{ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse}, 1..=1, BROKER;
    77 ShareGroupDescribe: share_group_describe::{ShareGroupDescribeRequest, ShareGroupDescribeResponse}, 1..=1, BROKER;
    78 ShareFetch: share_fetch::{ShareFetchRequest, ShareFetchResponse}, 1..=2, BROKER;
    79 ShareAcknowledge: share_acknowledge::{ShareAcknowledgeRequest, ShareAcknowledgeResponse}, 1..=2, BROKER;
    80 AddRaftVoter: add_raft_voter::{AddRaftVoterRequest, AddRaftVoterResponse}, 0..=1, BOTH | FORWARDED;
    81 RemoveRaftVoter: remove_raft_voter::{RemoveRaftVoterRequest, RemoveRaftVoterResponse}, 0..=0, BOTH | FORWARDED;
    82 UpdateRaftVoter: update_raft_voter::{UpdateRaftVoterRequest, UpdateRaftVoterResponse}, 0..=0, CONTROLLER;
    83 InitializeShareGroupState: initialize_share_group_state::{InitializeShareGroupStateRequest, InitializeShareGroupStateResponse}, 0..=0, BROKER | CLUSTER_ACTION;
    84 ReadShareGroupState: read_share_group_state::{ReadShareGroupStateRequest, ReadShareGroupStateResponse}, 0..=0, BROKER | CLUSTER_ACTION;
    85 WriteShareGroupState: write_share_group_state::{WriteShareGroupStateRequest, WriteShareGroupStateResponse}, 0..=1, BROKER | CLUSTER_ACTION;
    86 DeleteShareGroupState: delete_share_group_state::{DeleteShareGroupStateRequest, DeleteShareGroupStateResponse}, 0..=0, BROKER | CLUSTER_ACTION;
    87 ReadShareGroupStateSummary: read_share_group_state_summary::{ReadShareGroupStateSummaryRequest, ReadShareGroupStateSummaryResponse}, 0..=1, BROKER | CLUSTER_ACTION;
    88 StreamsGroupHeartbeat: streams_group_heartbeat::{StreamsGroupHeartbeatRequest, StreamsGroupHeartbeatResponse}, 0..=0, BROKER;
    89 StreamsGroupDescribe: streams_group_describe::{StreamsGroupDescribeRequest, StreamsGroupDescribeResponse}, 0..=0, BROKER;
    90 DescribeShareGroupOffsets: describe_share_group_offsets::{DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsResponse}, 0..=1, BROKER;
    91 AlterShareGroupOffsets: alter_share_group_offsets::{AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse}, 0..=0, BROKER;
    92 DeleteShareGroupOffsets: delete_share_group_offsets::{DeleteShareGroupOffsetsRequest, DeleteShareGroupOffsetsResponse}, 0..=0, BROKER;
}
