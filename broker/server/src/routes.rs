//! The one table of what is served: dispatch, ApiVersions and metrics follow from it.

use ottla_net::Outcome;
use ottla_wire::Decoder;
use ottla_wire::api::ApiKey;

use crate::api;
use crate::call::Call;
use crate::connection::Envelope;

macro_rules! routes {
    ($($key:ident => $module:ident;)*) => {
        /// The keys that are served, in ascending order. What is not in this table is not
        /// advertised, and a request for it closes the connection as one of an unknown key does.
        pub(crate) const SERVED: &[ApiKey] = &[$(ApiKey::$key),*];

        /// Decodes a request, hands it to its handler, and says what becomes of it.
        pub(crate) fn dispatch(key: ApiKey, call: Call, envelope: Envelope, mut decoder: Decoder) -> Outcome {
            match key {
                $(ApiKey::$key => match envelope.decode(&mut decoder) {
                    Ok(request) => envelope.outcome(api::$module::handle(call, request)),
                    Err(reason) => Outcome::Close(reason),
                },)*
                _ => Outcome::Close(envelope.unsupported()),
            }
        }
    };
}

routes! {
    Produce => produce;
    Fetch => fetch;
    ListOffsets => list_offsets;
    Metadata => metadata;
    OffsetCommit => offset_commit;
    OffsetFetch => offset_fetch;
    FindCoordinator => find_coordinator;
    JoinGroup => join_group;
    Heartbeat => heartbeat;
    LeaveGroup => leave_group;
    SyncGroup => sync_group;
    DescribeGroups => describe_groups;
    ListGroups => list_groups;
    ApiVersions => api_versions;
    CreateTopics => create_topics;
    DeleteTopics => delete_topics;
    DeleteRecords => delete_records;
    InitProducerId => init_producer_id;
    OffsetForLeaderEpoch => offset_for_leader_epoch;
    AddPartitionsToTxn => add_partitions_to_txn;
    AddOffsetsToTxn => add_offsets_to_txn;
    EndTxn => end_txn;
    WriteTxnMarkers => write_txn_markers;
    TxnOffsetCommit => txn_offset_commit;
    DescribeConfigs => describe_configs;
    AlterConfigs => alter_configs;
    AlterReplicaLogDirs => alter_replica_log_dirs;
    DescribeLogDirs => describe_log_dirs;
    CreatePartitions => create_partitions;
    DeleteGroups => delete_groups;
    ElectLeaders => elect_leaders;
    IncrementalAlterConfigs => incremental_alter_configs;
    AlterPartitionReassignments => alter_partition_reassignments;
    ListPartitionReassignments => list_partition_reassignments;
    OffsetDelete => offset_delete;
    DescribeQuorum => describe_quorum;
    AlterPartition => alter_partition;
    UpdateFeatures => update_features;
    Envelope => envelope;
    FetchSnapshot => fetch_snapshot;
    DescribeCluster => describe_cluster;
    DescribeProducers => describe_producers;
    BrokerRegistration => broker_registration;
    BrokerHeartbeat => broker_heartbeat;
    UnregisterBroker => unregister_broker;
    DescribeTransactions => describe_transactions;
    ListTransactions => list_transactions;
    AllocateProducerIds => allocate_producer_ids;
    ConsumerGroupHeartbeat => consumer_group_heartbeat;
    ConsumerGroupDescribe => consumer_group_describe;
    ControllerRegistration => controller_registration;
    GetTelemetrySubscriptions => get_telemetry_subscriptions;
    PushTelemetry => push_telemetry;
    AssignReplicasToDirs => assign_replicas_to_dirs;
    ListConfigResources => list_config_resources;
    DescribeTopicPartitions => describe_topic_partitions;
    AddRaftVoter => add_raft_voter;
    RemoveRaftVoter => remove_raft_voter;
    UpdateRaftVoter => update_raft_voter;
}

/// Whether a request of this key is served.
#[must_use]
pub fn served(key: ApiKey) -> bool {
    SERVED.contains(&key)
}
