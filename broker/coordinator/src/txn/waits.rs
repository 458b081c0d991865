//! What a restart of a shard may lose: parked requests, deadlines, the epoch before the last.
//!
//! Invariant: an open transaction has a deadline here; a parked request has one too, and is
//! answered at the latest then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_machine::{Decision, Mono, Ticket, Time};
use ottla_wire::ErrorCode;

use super::TxnMachine;
use super::command::{Effect, Ending, Reply, Request};
use super::record::TxnRecord;
use super::rules::{self, Circumstances, Live, Verdict};
use super::settings::TxnSettings;
use super::state::TxnState;
use super::transaction::NO_EPOCH;

/// The most requests that wait for the markers of one transaction.
const MAX_PARKED: usize = 64;

/// A request about a transactional id, on its way.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) ticket: Ticket,
    pub(super) version: i16,
    pub(super) request: Request,
}

/// The part of a shard that is in memory only.
#[derive(Debug, Default)]
pub struct TxnWaits {
    pub(super) settings: TxnSettings,
    /// The epoch before the present one, of ids that have one.
    last_epochs: BTreeMap<Arc<str>, i16>,
    parked: BTreeMap<Arc<str>, Vec<(Mono, Asked)>>,
    park_ends: BTreeSet<(Mono, Arc<str>)>,
    /// When open transactions take too long, on the wall clock.
    pub(super) open_ends: BTreeSet<(i64, Arc<str>)>,
    pub(super) awake: bool,
    pub(super) abort_due: Mono,
    pub(super) expire_due: Mono,
    pub(super) expire_next: Option<Arc<str>>,
}

impl TxnWaits {
    /// What a shard begins with that just became leader.
    #[must_use]
    pub fn new(settings: TxnSettings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Judges a request about one transactional id.
    pub(super) fn transact(
        &mut self,
        state: &TxnState,
        time: Time,
        id: &str,
        asked: Asked,
    ) -> Decision<TxnMachine> {
        let mut decision = Decision::default();
        let (id, live) = self.live(state, id);
        self.advance(id, live, vec![asked], time, &mut decision);
        decision
    }

    /// The markers of a transaction are written: who waited for that goes on.
    pub(super) fn markers_written(
        &mut self,
        state: &TxnState,
        time: Time,
        ending: &Ending,
    ) -> Decision<TxnMachine> {
        let mut decision = Decision::default();
        let (id, live) = self.live(state, &ending.transactional_id);
        let Some(live) = live else { return decision };
        if !live.txn.status.is_ending() || live.txn.producer != ending.producer {
            return decision;
        }
        let done = rules::complete(&live, time.wall_ms);
        self.note(&id, &live, &done);
        decision.records.push(self.record(&id, Some(&done)));
        let waiting = self.take_parked(&id);
        self.advance(id, Some(done), waiting, time, &mut decision);
        decision
    }

    /// Aborts a transaction that takes too long, and fences its producer.
    pub(super) fn time_out(
        &mut self,
        state: &TxnState,
        time: Time,
        id: &str,
        decision: &mut Decision<TxnMachine>,
    ) {
        let (id, Some(live)) = self.live(state, id) else { return };
        if live.txn.deadline_ms().is_some_and(|deadline_ms| deadline_ms < time.wall_ms) {
            let how = self.circumstances(time, 0);
            let fenced = rules::fence(&live, how);
            drop(self.become_(&id, live, fenced, time, decision));
        }
    }

    fn live(&self, state: &TxnState, id: &str) -> (Arc<str>, Option<Live>) {
        match state.txns.get_key_value(id) {
            None => (Arc::from(id), None),
            Some((id, txn)) => {
                let last_epoch = self.last_epochs.get(id).copied().unwrap_or(NO_EPOCH);
                (Arc::clone(id), Some(Live { txn: txn.clone(), last_epoch }))
            }
        }
    }

    /// The record of what an id is from here on, or that it is no more.
    pub(super) fn record(&self, id: &str, live: Option<&Live>) -> TxnRecord {
        TxnRecord::of(id, live.map(|live| live.txn.value()), self.settings.version)
    }

    fn circumstances(&self, time: Time, version: i16) -> Circumstances<'_> {
        Circumstances { settings: &self.settings, now_ms: time.wall_ms, version }
    }

    /// Judges requests one after the other, each by what the one before left.
    fn advance(
        &mut self,
        id: Arc<str>,
        mut live: Option<Live>,
        requests: Vec<Asked>,
        time: Time,
        decision: &mut Decision<TxnMachine>,
    ) {
        for asked in requests {
            let how = self.circumstances(time, asked.version);
            match rules::judge(live.as_ref(), &asked.request, how) {
                Verdict::Answer(reply) => decision.replies.push((asked.ticket, reply)),
                Verdict::Busy => self.park(&id, asked, time, decision),
                Verdict::Become(next, reply) => {
                    let before = live.take().unwrap_or_else(|| next.clone());
                    live = Some(self.become_(&id, before, next, time, decision));
                    decision.replies.push((asked.ticket, reply));
                }
                Verdict::Fence => {
                    if let Some(before) = live.take() {
                        let fenced = rules::fence(&before, how);
                        live = Some(self.become_(&id, before, fenced, time, decision));
                    }
                    self.park(&id, asked, time, decision);
                }
            }
        }
    }

    /// Writes what the id becomes, and has its markers written if it ends. Gives what it is then:
    /// a transaction without partitions needs no markers, and is complete at once.
    fn become_(
        &mut self,
        id: &Arc<str>,
        before: Live,
        mut next: Live,
        time: Time,
        decision: &mut Decision<TxnMachine>,
    ) -> Live {
        self.note(id, &before, &next);
        decision.records.push(self.record(id, Some(&next)));
        if next.txn.status.is_ending() {
            if next.txn.partitions.is_empty() {
                let done = rules::complete(&next, time.wall_ms);
                self.note(id, &next, &done);
                decision.records.push(self.record(id, Some(&done)));
                next = done;
            } else {
                decision.effects.push(markers(id, &next));
            }
        }
        next
    }

    /// Keeps what no record holds: the epoch before, and when an open transaction must end.
    fn note(&mut self, id: &Arc<str>, before: &Live, next: &Live) {
        if let Some(deadline_ms) = before.txn.deadline_ms() {
            self.open_ends.remove(&(deadline_ms, Arc::clone(id)));
        }
        if let Some(deadline_ms) = next.txn.deadline_ms() {
            self.open_ends.insert((deadline_ms, Arc::clone(id)));
        }
        if next.last_epoch == NO_EPOCH {
            self.last_epochs.remove(id);
        } else {
            self.last_epochs.insert(Arc::clone(id), next.last_epoch);
        }
    }

    /// Forgets an id that expired.
    pub(super) fn forget(&mut self, id: &Arc<str>) {
        self.last_epochs.remove(id);
    }

    fn park(
        &mut self,
        id: &Arc<str>,
        asked: Asked,
        time: Time,
        decision: &mut Decision<TxnMachine>,
    ) {
        let parked = self.parked.entry(Arc::clone(id)).or_default();
        if self.settings.park_ms == 0 || parked.len() >= MAX_PARKED {
            decision.replies.push((asked.ticket, busy_answer(&asked.request)));
        } else {
            let end = time.mono.plus_ms(self.settings.park_ms);
            self.park_ends.insert((end, Arc::clone(id)));
            parked.push((end, asked));
        }
        if parked.is_empty() {
            self.parked.remove(id);
        }
    }

    fn take_parked(&mut self, id: &Arc<str>) -> Vec<Asked> {
        let parked = self.parked.remove(id).unwrap_or_default();
        for (end, _) in &parked {
            self.park_ends.remove(&(*end, Arc::clone(id)));
        }
        parked.into_iter().map(|(_, asked)| asked).collect()
    }

    /// Answers requests that waited long enough.
    pub(super) fn end_parking(&mut self, now: Mono, decision: &mut Decision<TxnMachine>) {
        while self.park_ends.first().is_some_and(|(end, _)| *end <= now) {
            let Some((end, id)) = self.park_ends.pop_first() else { break };
            let Some(parked) = self.parked.get_mut(&id) else { continue };
            let (over, rest) = std::mem::take(parked).into_iter().partition(|(at, _)| *at <= end);
            *parked = rest;
            if parked.is_empty() {
                self.parked.remove(&id);
            }
            let over: Vec<(Mono, Asked)> = over;
            for (_, asked) in over {
                decision.replies.push((asked.ticket, busy_answer(&asked.request)));
            }
        }
    }

    /// How many requests wait for markers.
    #[cfg(test)]
    pub(super) fn parked(&self) -> usize {
        self.parked.values().map(Vec::len).sum()
    }

    /// When the first parked request must be answered.
    pub(super) fn next_park_end(&self) -> Option<Mono> {
        self.park_ends.first().map(|(end, _)| *end)
    }
}

/// The effect that has a transaction's markers written.
pub(super) fn markers(id: &Arc<str>, live: &Live) -> Effect {
    let txn = &live.txn;
    let partitions = txn
        .partitions
        .iter()
        .map(|(topic, partitions)| (topic.clone(), partitions.iter().copied().collect()));
    Effect::WriteMarkers {
        ending: Ending { transactional_id: Arc::clone(id), producer: txn.producer },
        outcome: rules::outcome(txn.status),
        partitions: partitions.collect(),
        transaction_version: txn.version,
    }
}

/// What a request is told that cannot wait, or has waited long enough.
fn busy_answer(request: &Request) -> Reply {
    let busy = ErrorCode::CONCURRENT_TRANSACTIONS;
    match request {
        Request::InitProducerId { .. } => rules::init_answer(busy),
        Request::AddPartitions(request) => rules::add_answer(request, busy),
        Request::AddOffsets { .. } => rules::add_offsets_answer(busy),
        Request::EndTxn { .. } => rules::end_answer(busy),
        Request::Describe(_)
        | Request::List(_)
        | Request::MarkersWritten(_)
        | Request::Configure(_)
        | Request::Tick => Reply::Done,
    }
}
