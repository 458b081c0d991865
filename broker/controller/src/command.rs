//! What is asked of the controller, and what it answers.

use crate::error::ApiError;
use ottla_wire::api::allocate_producer_ids::{
    AllocateProducerIdsRequest, AllocateProducerIdsResponse,
};
use ottla_wire::api::alter_client_quotas::{AlterClientQuotasRequest, AlterClientQuotasResponse};
use ottla_wire::api::alter_configs::{AlterConfigsRequest, AlterConfigsResponse};
use ottla_wire::api::alter_partition::{AlterPartitionRequest, AlterPartitionResponse};
use ottla_wire::api::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
};
use ottla_wire::api::alter_user_scram_credentials::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse,
};
use ottla_wire::api::assign_replicas_to_dirs::{
    AssignReplicasToDirsRequest, AssignReplicasToDirsResponse,
};
use ottla_wire::api::broker_heartbeat::{BrokerHeartbeatRequest, BrokerHeartbeatResponse};
use ottla_wire::api::broker_registration::{BrokerRegistrationRequest, BrokerRegistrationResponse};
use ottla_wire::api::controller_registration::{
    ControllerRegistrationRequest, ControllerRegistrationResponse,
};
use ottla_wire::api::create_acls::{CreateAclsRequest, CreateAclsResponse};
use ottla_wire::api::create_partitions::{CreatePartitionsRequest, CreatePartitionsResponse};
use ottla_wire::api::create_topics::{CreateTopicsRequest, CreateTopicsResponse};
use ottla_wire::api::delete_acls::{DeleteAclsRequest, DeleteAclsResponse};
use ottla_wire::api::delete_topics::{DeleteTopicsRequest, DeleteTopicsResponse};
use ottla_wire::api::elect_leaders::{ElectLeadersRequest, ElectLeadersResponse};
use ottla_wire::api::incremental_alter_configs::{
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use ottla_wire::api::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};
use ottla_wire::api::unregister_broker::{UnregisterBrokerRequest, UnregisterBrokerResponse};
use ottla_wire::api::update_features::{UpdateFeaturesRequest, UpdateFeaturesResponse};
use ottla_wire::schema::metadata::MetadataRecord;

/// A request to the controller. Who asks was checked before: authorization is the server's.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)]
pub enum Command {
    /// This node became the leader of the metadata log and has read all of it. The first command of every term.
    Activate {
        /// What to write when the log has no `metadata.version` yet: the records of `bootstrap.checkpoint`.
        bootstrap: Vec<MetadataRecord>,
    },
    /// Time went on. Has no answer.
    Tick,
    /// A broker starts.
    RegisterBroker(BrokerRegistrationRequest),
    /// A broker is alive.
    BrokerHeartbeat(BrokerHeartbeatRequest),
    /// A broker will not come back.
    UnregisterBroker(UnregisterBrokerRequest),
    /// A controller starts.
    RegisterController(ControllerRegistrationRequest),
    /// Topics are to be made, by a client or automatically.
    CreateTopics(CreateTopicsRequest),
    /// Topics are to have more partitions.
    CreatePartitions(CreatePartitionsRequest),
    /// Topics are to go.
    DeleteTopics(DeleteTopicsRequest),
    /// Single values of configurations change.
    IncrementalAlterConfigs(IncrementalAlterConfigsRequest),
    /// All values of configurations are replaced.
    AlterConfigs(AlterConfigsRequest),
    /// A broker needs producer ids.
    AllocateProducerIds(AllocateProducerIdsRequest),
    /// Levels of features change.
    UpdateFeatures(UpdateFeaturesRequest),
    /// Quotas change.
    AlterClientQuotas(AlterClientQuotasRequest),
    /// Credentials change.
    AlterUserScramCredentials(AlterUserScramCredentialsRequest),
    /// Access rules are added.
    CreateAcls(CreateAclsRequest),
    /// Access rules are deleted.
    DeleteAcls(DeleteAclsRequest),
    /// Leaders are to be elected.
    ElectLeaders(ElectLeadersRequest),
    /// A leader says who is in sync.
    AlterPartition(AlterPartitionRequest),
    /// Replicas are to move.
    AlterPartitionReassignments(AlterPartitionReassignmentsRequest),
    /// Which replicas are moving? With all that was decided, committed or not.
    ListPartitionReassignments(ListPartitionReassignmentsRequest),
    /// A broker put replicas into directories.
    AssignReplicasToDirs(AssignReplicasToDirsRequest),
}

/// The answer to a [`Command`]: of the variant of the same name, or [`Reply::Failed`].
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Requests are served from now on.
    Activated,
    /// To [`Command::RegisterBroker`].
    RegisterBroker(BrokerRegistrationResponse),
    /// To [`Command::BrokerHeartbeat`].
    BrokerHeartbeat(BrokerHeartbeatResponse),
    /// To [`Command::UnregisterBroker`].
    UnregisterBroker(UnregisterBrokerResponse),
    /// To [`Command::RegisterController`].
    RegisterController(ControllerRegistrationResponse),
    /// To [`Command::CreateTopics`].
    CreateTopics(CreateTopicsResponse),
    /// To [`Command::CreatePartitions`].
    CreatePartitions(CreatePartitionsResponse),
    /// To [`Command::DeleteTopics`].
    DeleteTopics(DeleteTopicsResponse),
    /// To [`Command::IncrementalAlterConfigs`].
    IncrementalAlterConfigs(IncrementalAlterConfigsResponse),
    /// To [`Command::AlterConfigs`].
    AlterConfigs(AlterConfigsResponse),
    /// To [`Command::AllocateProducerIds`].
    AllocateProducerIds(AllocateProducerIdsResponse),
    /// To [`Command::UpdateFeatures`].
    UpdateFeatures(UpdateFeaturesResponse),
    /// To [`Command::AlterClientQuotas`].
    AlterClientQuotas(AlterClientQuotasResponse),
    /// To [`Command::AlterUserScramCredentials`].
    AlterUserScramCredentials(AlterUserScramCredentialsResponse),
    /// To [`Command::CreateAcls`].
    CreateAcls(CreateAclsResponse),
    /// To [`Command::DeleteAcls`].
    DeleteAcls(DeleteAclsResponse),
    /// To [`Command::ElectLeaders`].
    ElectLeaders(ElectLeadersResponse),
    /// To [`Command::AlterPartition`].
    AlterPartition(AlterPartitionResponse),
    /// To [`Command::AlterPartitionReassignments`].
    AlterPartitionReassignments(AlterPartitionReassignmentsResponse),
    /// To [`Command::ListPartitionReassignments`].
    ListPartitionReassignments(ListPartitionReassignmentsResponse),
    /// To [`Command::AssignReplicasToDirs`].
    AssignReplicasToDirs(AssignReplicasToDirsResponse),
    /// To any command: nothing was done. For every part of the request the same error is to be told.
    Failed(ApiError),
}
