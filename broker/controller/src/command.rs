//! What is asked of the controller, and what it answers.

use crate::error::ApiError;
use ottla_wire::api::allocate_producer_ids::{
    AllocateProducerIdsRequest, AllocateProducerIdsResponse,
};
use ottla_wire::api::alter_configs::{AlterConfigsRequest, AlterConfigsResponse};
use ottla_wire::api::broker_heartbeat::{BrokerHeartbeatRequest, BrokerHeartbeatResponse};
use ottla_wire::api::broker_registration::{BrokerRegistrationRequest, BrokerRegistrationResponse};
use ottla_wire::api::controller_registration::{
    ControllerRegistrationRequest, ControllerRegistrationResponse,
};
use ottla_wire::api::create_partitions::{CreatePartitionsRequest, CreatePartitionsResponse};
use ottla_wire::api::create_topics::{CreateTopicsRequest, CreateTopicsResponse};
use ottla_wire::api::delete_topics::{DeleteTopicsRequest, DeleteTopicsResponse};
use ottla_wire::api::incremental_alter_configs::{
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use ottla_wire::api::unregister_broker::{UnregisterBrokerRequest, UnregisterBrokerResponse};
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
    /// To any command: nothing was done. For every part of the request the same error is to be told.
    Failed(ApiError),
}
