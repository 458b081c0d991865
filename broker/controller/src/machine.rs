//! The controller as a machine: one function a command.

use crate::acls;
use crate::activate::activate;
use crate::brokers;
use crate::command::{Command, Reply};
use crate::configs;
use crate::draft::{Atomicity, Draft, Refused};
use crate::error::ApiError;
use crate::features::update_features;
use crate::partitions::{self, do_chore};
use crate::producer_ids::allocate_producer_ids;
use crate::quotas::alter_client_quotas;
use crate::scram::alter_user_scram_credentials;
use crate::state::State;
use crate::topics;
use crate::waits::Waits;
use ottla_machine::{Decision, Machine, Mono, Ticket, Time};
use ottla_wire::ErrorCode;
use ottla_wire::api::{
    allocate_producer_ids::AllocateProducerIdsResponse, alter_partition::AlterPartitionResponse,
    assign_replicas_to_dirs::AssignReplicasToDirsResponse,
    broker_heartbeat::BrokerHeartbeatResponse, broker_registration::BrokerRegistrationResponse,
    controller_registration::ControllerRegistrationResponse, elect_leaders::ElectLeadersResponse,
    unregister_broker::UnregisterBrokerResponse,
};
use ottla_wire::schema::metadata::MetadataRecord;
use std::convert::Infallible;

/// The controller of a cluster.
#[derive(Debug)]
pub enum Controller {}

impl Machine for Controller {
    type State = State;
    type Waits = Waits;
    type Command = Command;
    type Record = MetadataRecord;
    type Reply = Reply;
    type Effect = Infallible;

    fn decide(
        state: &State,
        waits: &mut Waits,
        time: Time,
        ticket: Ticket,
        command: Command,
    ) -> Decision<Self> {
        let mut draft = Draft::new(state);
        waits.watch(state.image(), time.mono);
        waits.plan_chores(time.mono);
        let atomicity = atomicity(&command);
        let mut again = None;
        let reply = match command {
            Command::Tick => {
                if tick(&mut draft, waits, time.mono) {
                    again = Some(time.mono);
                }
                None
            }
            command => Some(answer(&mut draft, waits, time, command)),
        };
        let expiry = waits.next_expiry(draft.image());
        let wake_at = [again, expiry, waits.next_chore()].into_iter().flatten().min();
        let wake_at = wake_at.map(|at| at.max(time.mono));
        let (records, reply) = match draft.finish(atomicity) {
            Ok(records) => (records, reply),
            Err(why) => (Vec::new(), reply.map(|_| Reply::Failed(refusal(why)))),
        };
        let replies = reply.map(|reply| (ticket, reply)).into_iter().collect();
        Decision { records, replies, wake_at, ..Decision::default() }
    }

    fn apply(state: &mut State, record: &MetadataRecord) {
        state.apply(record);
    }
}

/// Whether the records of a command must be seen all at once. Those that choose leaders are many, and each stands
/// for itself.
fn atomicity(command: &Command) -> Atomicity {
    match command {
        Command::Tick
        | Command::RegisterBroker(_)
        | Command::BrokerHeartbeat(_)
        | Command::UnregisterBroker(_)
        | Command::ElectLeaders(_)
        | Command::AlterPartition(_)
        | Command::AlterPartitionReassignments(_)
        | Command::AssignReplicasToDirs(_)
        | Command::DeleteTopics(_) => Atomicity::Each,
        _ => Atomicity::All,
    }
}

fn refusal(why: Refused) -> ApiError {
    match why {
        Refused::TooLarge => {
            let text = "Unable to perform excessively large batch operation.";
            ApiError::new(ErrorCode::POLICY_VIOLATION, text)
        }
        Refused::Unwritable(fault) => {
            debug_assert!(false, "a decision cannot be written: {fault}");
            ApiError::bare(ErrorCode::UNKNOWN_SERVER_ERROR)
        }
        Refused::Misfit(fault) => {
            debug_assert!(false, "a decision does not fit the state: {fault}");
            ApiError::bare(ErrorCode::UNKNOWN_SERVER_ERROR)
        }
    }
}

/// Does what is due. Returns whether more of it is left for the next tick, which should come at once.
fn tick(draft: &mut Draft<'_>, waits: &mut Waits, now: Mono) -> bool {
    if brokers::fence_silent(draft, waits, now) {
        return true;
    }
    for chore in waits.take_due_chores(now) {
        if do_chore(draft, waits.settings(), chore) {
            waits.go_on(chore, now);
        }
    }
    false
}

fn answer(draft: &mut Draft<'_>, waits: &mut Waits, time: Time, command: Command) -> Reply {
    match command {
        Command::Tick => Reply::Failed(ApiError::bare(ErrorCode::UNKNOWN_SERVER_ERROR)),
        Command::Activate { bootstrap } => match activate(draft, waits, bootstrap) {
            Ok(()) => Reply::Activated,
            Err(e) => Reply::Failed(e),
        },
        Command::RegisterBroker(r) => {
            let done = brokers::register_broker(draft, waits, time.mono, &r);
            Reply::RegisterBroker(done.unwrap_or_else(|e| BrokerRegistrationResponse {
                error_code: e.code,
                ..BrokerRegistrationResponse::default()
            }))
        }
        Command::BrokerHeartbeat(r) => {
            let done = brokers::broker_heartbeat(draft, waits, time.mono, &r);
            Reply::BrokerHeartbeat(done.unwrap_or_else(|e| BrokerHeartbeatResponse {
                error_code: e.code,
                ..BrokerHeartbeatResponse::default()
            }))
        }
        Command::UnregisterBroker(r) => {
            let done = brokers::unregister_broker(draft, waits, &r);
            Reply::UnregisterBroker(done.unwrap_or_else(|e| UnregisterBrokerResponse {
                error_code: e.code,
                error_message: e.message,
                ..UnregisterBrokerResponse::default()
            }))
        }
        Command::RegisterController(r) => {
            let done = brokers::register_controller(draft, &r);
            Reply::RegisterController(done.unwrap_or_else(|e| ControllerRegistrationResponse {
                error_code: e.code,
                error_message: e.message,
                ..ControllerRegistrationResponse::default()
            }))
        }
        Command::CreateTopics(r) => Reply::CreateTopics(topics::create_topics(draft, waits, &r)),
        Command::CreatePartitions(r) => {
            Reply::CreatePartitions(topics::create_partitions(draft, waits, &r))
        }
        Command::DeleteTopics(r) => Reply::DeleteTopics(topics::delete_topics(draft, waits, &r)),
        Command::IncrementalAlterConfigs(r) => {
            Reply::IncrementalAlterConfigs(configs::incremental_alter_configs(draft, waits, &r))
        }
        Command::AlterConfigs(r) => Reply::AlterConfigs(configs::alter_configs(draft, waits, &r)),
        Command::AllocateProducerIds(r) => {
            let done = allocate_producer_ids(draft, &r);
            Reply::AllocateProducerIds(done.unwrap_or_else(|e| AllocateProducerIdsResponse {
                error_code: e.code,
                ..AllocateProducerIdsResponse::default()
            }))
        }
        command => answer_more(draft, waits, command),
    }
}

/// Features, quotas, security and partitions.
fn answer_more(draft: &mut Draft<'_>, waits: &mut Waits, command: Command) -> Reply {
    match command {
        Command::UpdateFeatures(r) => Reply::UpdateFeatures(update_features(draft, waits, &r)),
        Command::AlterClientQuotas(r) => Reply::AlterClientQuotas(alter_client_quotas(draft, &r)),
        Command::AlterUserScramCredentials(r) => {
            Reply::AlterUserScramCredentials(alter_user_scram_credentials(draft, &r))
        }
        Command::CreateAcls(r) => Reply::CreateAcls(acls::create_acls(draft, waits, &r)),
        Command::DeleteAcls(r) => Reply::DeleteAcls(acls::delete_acls(draft, &r)),
        Command::ElectLeaders(r) => {
            let done = partitions::elect_leaders(draft, waits, &r);
            Reply::ElectLeaders(done.unwrap_or_else(|e| ElectLeadersResponse {
                error_code: e.code,
                ..ElectLeadersResponse::default()
            }))
        }
        Command::AlterPartition(r) => {
            let done = partitions::alter_partition(draft, waits, &r);
            Reply::AlterPartition(done.unwrap_or_else(|e| AlterPartitionResponse {
                error_code: e.code,
                ..AlterPartitionResponse::default()
            }))
        }
        Command::AlterPartitionReassignments(r) => Reply::AlterPartitionReassignments(
            partitions::alter_partition_reassignments(draft, waits, &r),
        ),
        Command::ListPartitionReassignments(r) => Reply::ListPartitionReassignments(
            partitions::list_partition_reassignments(draft.image(), &r),
        ),
        Command::AssignReplicasToDirs(r) => {
            let done = partitions::assign_replicas_to_dirs(draft, waits, &r);
            Reply::AssignReplicasToDirs(done.unwrap_or_else(|e| AssignReplicasToDirsResponse {
                error_code: e.code,
                ..AssignReplicasToDirsResponse::default()
            }))
        }
        // All others are answered above.
        _ => Reply::Failed(ApiError::bare(ErrorCode::UNKNOWN_SERVER_ERROR)),
    }
}
