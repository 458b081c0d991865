//! Groups of all types and their offsets: the machine over one partition of
//! `__consumer_offsets`.
//!
//! Invariant: [`GroupState`] follows from the records alone. [`GroupWaits`] holds the live side of
//! classic groups, which Kafka's log does not know either; it agrees with the state whenever a
//! group is stable or empty. Group types that log every step live in the state alone.
//!
//! Start reading at [`GroupMachine`], then `classic/mod.rs` and `offsets/mod.rs`.

mod admin;
mod census;
mod classic;
mod command;
mod consumer;
mod members;
mod offsets;
mod record;
mod room;
mod settings;
mod state;
mod tick;
mod timers;
mod turn;
mod view;
mod waits;

use ottla_machine::{Decision, Machine, Ticket, Time};
use ottla_wire::ErrorCode;
use ottla_wire::api::heartbeat::HeartbeatResponse;

pub use self::census::{Census, CommittedOffset, ConsumerCensus};
pub use self::command::{Command, Context, DeletedTopic, Effect, Reply, Request, Rest, Stability};
pub use self::consumer::ConsumerRecord;
pub use self::record::{GroupRecord, Producer, TxnMarker, TxnOutcome};
pub use self::settings::{
    Assignor, Bounded, ConsumerSettings, GroupOverrides, GroupSettings, MigrationPolicy,
};
pub use self::state::GroupState;
pub use self::waits::GroupWaits;

use self::consumer::desk::Desk;
use self::turn::Turn;

/// The machine of one partition of `__consumer_offsets`.
///
/// A shell that replayed the log sends [`Request::Configure`] before anything else: the sessions of
/// the members begin then. It owes `NOT_COORDINATOR` to every request that has no
/// reply yet when it drops the machine.
#[derive(Debug)]
pub struct GroupMachine;

impl Machine for GroupMachine {
    type State = GroupState;
    type Waits = GroupWaits;
    type Command = Command;
    type Record = GroupRecord;
    type Reply = Reply;
    type Effect = Effect;

    fn decide(
        state: &GroupState,
        waits: &mut GroupWaits,
        time: Time,
        ticket: Ticket,
        command: Command,
    ) -> Decision<Self> {
        let Command { context, request } = command;
        if let Request::Configure(settings) = &request {
            waits.configure(settings.clone(), time);
        }
        let woken = waits.wake(state, time);
        let mut decision = match request {
            Request::JoinGroup { request, fresh } => {
                waits.join(state, time, ticket, &context, request, fresh)
            }
            Request::SyncGroup(request) => {
                waits.sync(state, time, ticket, context.version, request)
            }
            Request::Heartbeat(request) => {
                let error_code = waits.heartbeat(state, time, &request);
                let response = HeartbeatResponse { error_code, ..Default::default() };
                Decision::reply(ticket, Reply::Heartbeat(response))
            }
            Request::LeaveGroup(request) => {
                waits.leave(state, time, ticket, context.version, request)
            }
            Request::OffsetCommit(request) => {
                waits.commit(state, time, ticket, context.version, request)
            }
            Request::TxnOffsetCommit(request) => waits.txn_commit(state, time, ticket, request),
            Request::OffsetFetch { group, stability } => {
                let fetched = waits.fetch(state, group, stability);
                Decision::reply(ticket, Reply::OffsetFetch(fetched))
            }
            Request::OffsetDelete(request) => waits.delete_offsets(state, ticket, request),
            Request::DescribeGroups(groups) => {
                let described = waits.describe(state, context.version, &groups);
                Decision::reply(ticket, Reply::DescribeGroups(described))
            }
            Request::ListGroups { states, types } => {
                Decision::reply(ticket, Reply::ListGroups(waits.list(state, &states, &types)))
            }
            Request::DeleteGroups(groups) => {
                waits.delete_groups(state, time, ticket, admin::each_once(groups), Vec::new())
            }
            Request::PartitionsDeleted(topics) => {
                waits.partitions_gone(state, ticket, topics, None)
            }
            Request::Continue(Rest::DeleteGroups { groups, results }) => {
                waits.delete_groups(state, time, ticket, groups, results)
            }
            Request::Continue(Rest::PartitionsDeleted { topics, from }) => {
                waits.partitions_gone(state, ticket, topics, Some(from))
            }
            Request::CompleteTransaction(marker) => Decision {
                records: vec![GroupRecord::Marker(marker)],
                ..Decision::reply(ticket, Reply::Done)
            },
            Request::ConsumerGroupHeartbeat { request, fresh } => {
                let mut desk = Desk::new(waits, state, time);
                let response = desk.heartbeat(&context, &request, fresh);
                desk.turn.reply(ticket, Reply::ConsumerGroupHeartbeat(response));
                desk.decided()
            }
            Request::ConsumerGroupDescribe(groups) => {
                let described = Desk::new(waits, state, time).describe(&groups);
                Decision::reply(ticket, Reply::ConsumerGroupDescribe(described))
            }
            Request::ConfigureGroup { group, overrides } => {
                waits.configure_group(group, overrides);
                Decision::reply(ticket, Reply::Done)
            }
            Request::Metadata(image) => {
                waits.topics.take(image);
                Decision::reply(ticket, Reply::Done)
            }
            Request::Configure(_) => Decision::reply(ticket, Reply::Done),
            Request::Tick => waits.tick(state, time, ticket),
        };
        decision.records.splice(0..0, woken.records);
        decision.replies.splice(0..0, woken.replies);
        decision.wake_at = Some(waits.next_wake());
        decision
    }

    fn apply(state: &mut GroupState, record: &GroupRecord) {
        state.apply(record);
    }
}

/// What a decision of this machine is.
type Decided = Decision<GroupMachine>;

/// Something went wrong: the code to answer with, or nothing.
fn code(result: Result<(), ErrorCode>) -> ErrorCode {
    result.err().unwrap_or(ErrorCode::NONE)
}

/// Runs `act` within a decision.
fn within(
    time: Time,
    settings: &GroupSettings,
    timers: &mut timers::Timers,
    act: impl FnOnce(&mut Turn<'_>),
) -> Decision<GroupMachine> {
    let mut turn = Turn::new(time, settings, timers);
    act(&mut turn);
    turn.decision
}

#[cfg(test)]
mod tests;
