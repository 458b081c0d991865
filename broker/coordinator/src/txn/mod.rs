//! Transactions: the machine over one partition of `__transaction_state`.
//!
//! Invariant: a transaction's outcome is in the log before anybody hears of it; its markers are
//! asked for after that, and asked for again after a replay until they are known to be written. A
//! producer of an older epoch changes nothing.
//!
//! Start reading at [`TxnMachine`], then `rules/mod.rs`.

mod command;
mod record;
mod rules;
mod settings;
mod state;
mod tick;

mod transaction;
mod view;
mod waits;

use ottla_machine::{Decision, Machine, Ticket, Time};

pub use self::command::{Command, Effect, Ending, Reply, Request};
pub use self::record::TxnRecord;
pub use self::settings::TxnSettings;
pub use self::state::TxnState;
pub use self::view::unknown_states;
pub use self::waits::TxnWaits;

use self::waits::Asked;

/// The machine of one partition of `__transaction_state`.
///
/// A shell that replayed the log sends [`Request::Configure`] before anything else. It owes
/// `NOT_COORDINATOR` to every request that has no reply yet when it drops the machine.
#[derive(Debug)]
pub struct TxnMachine;

impl Machine for TxnMachine {
    type State = TxnState;
    type Waits = TxnWaits;
    type Command = Command;
    type Record = TxnRecord;
    type Reply = Reply;
    type Effect = Effect;

    fn decide(
        state: &TxnState,
        waits: &mut TxnWaits,
        time: Time,
        ticket: Ticket,
        command: Command,
    ) -> Decision<Self> {
        let Command { version, request } = command;
        if let Request::Configure(settings) = &request {
            waits.configure(settings.clone(), time);
        }
        let mut woken = Decision::default();
        waits.wake(state, time, &mut woken);
        let mut decision = match request {
            Request::InitProducerId { .. }
            | Request::AddPartitions(_)
            | Request::AddOffsets { .. }
            | Request::EndTxn { .. } => {
                let id = subject(&request).to_owned();
                waits.transact(state, time, &id, Asked { ticket, version, request })
            }
            Request::Describe(ids) => {
                let described = ids.iter().map(|id| view::describe(state, id)).collect();
                Decision::reply(ticket, Reply::Describe(described))
            }
            Request::List(request) => {
                Decision::reply(ticket, Reply::List(view::list(state, time.wall_ms, &request)))
            }
            Request::MarkersWritten(ending) => {
                let mut decision = waits.markers_written(state, time, &ending);
                decision.replies.push((ticket, Reply::Done));
                decision
            }
            Request::Configure(_) => Decision::reply(ticket, Reply::Done),
            Request::Tick => {
                let mut decision = Decision::reply(ticket, Reply::Done);
                waits.tick(state, time, &mut decision);
                decision
            }
        };
        decision.effects.splice(0..0, woken.effects);
        decision.wake_at = Some(waits.next_wake());
        decision
    }

    fn apply(state: &mut TxnState, record: &TxnRecord) {
        state.apply(record);
    }
}

/// The transactional id that a request is about; empty for those about none.
fn subject(request: &Request) -> &str {
    match request {
        Request::InitProducerId { request, .. } => {
            request.transactional_id.as_deref().unwrap_or_default()
        }
        Request::AddPartitions(request) => &request.transactional_id,
        Request::AddOffsets { request, .. } => &request.transactional_id,
        Request::EndTxn { request, .. } => &request.transactional_id,
        Request::Describe(_)
        | Request::List(_)
        | Request::MarkersWritten(_)
        | Request::Configure(_)
        | Request::Tick => "",
    }
}

#[cfg(test)]
mod tests;
