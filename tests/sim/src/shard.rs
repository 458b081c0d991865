//! A coordinator's machine over its partition, run as the engine runs it: decide, append, apply, and
//! let replies go when all that was appended before them is committed.

use std::collections::BTreeMap;

use ottla_coordinator::group::{
    Bounded, Command, ConsumerSettings, Context, GroupMachine, GroupRecord, GroupSettings,
    GroupState, GroupWaits, Reply, Request,
};
use ottla_log::Log;
use ottla_log::log::{AppendBatch, AtLeast};
use ottla_machine::{Machine, Mono, Ticket, Time};
use ottla_wire::record::{BatchBuilder, Batches, CrcCheck};

use crate::message::{Id, Party};
use crate::subscriber::SESSION_MS;

/// The version of the requests: offsets are told by the names of topics.
pub(crate) const VERSION: i16 = 9;

/// Who asked, and what it is told.
pub type Due = ((Party, Id), Reply);

/// A coordinator's machine over its partition.
#[derive(Debug)]
pub struct Shard {
    /// The leader epoch that it decides in.
    pub epoch: i32,
    /// The last offset that its replies rest on.
    pub rests_on: i64,
    /// When it wants a tick.
    pub wake_at: Option<Mono>,
    /// How many records of the metadata it was told of.
    pub metadata: usize,
    state: GroupState,
    waits: GroupWaits,
    next_ticket: u64,
    /// Who waits for an answer, and since which look at them.
    waiting: BTreeMap<Ticket, ((Party, Id), u64)>,
    looks: u64,
    due: Vec<(i64, Ticket, Reply)>,
}

/// What a shard decided.
#[derive(Debug)]
pub struct Decided {
    /// What is to be appended.
    pub batch: Option<AppendBatch>,
    replies: Vec<(Ticket, Reply)>,
}

impl Shard {
    /// Replays the partition up to its end.
    pub fn load(log: &Log, epoch: i32) -> Result<Self, String> {
        let mut state = GroupState::default();
        let (mut at, end) = (log.start_offset(), log.end_offset());
        while at < end {
            let found = log.read(at, 1 << 16, end, AtLeast::OneBatch);
            let found = found.map_err(|e| format!("reading at {at}: {e}"))?;
            let Some(slice) = found.slice else { break };
            let bytes = slice.read().map_err(|e| format!("reading at {at}: {e}"))?;
            let before = at;
            for batch in Batches::new(bytes.into(), CrcCheck::Verify) {
                let Ok(batch) = batch else { break };
                for record in batch.decode(1 << 20).map_err(|e| e.to_string())? {
                    let key = record.key.unwrap_or_default();
                    let read = GroupRecord::decode(None, key, record.value);
                    GroupMachine::apply(&mut state, &read.map_err(|e| e.to_string())?);
                }
                at = batch.header.next_offset();
            }
            if at == before {
                return Err(format!("no whole batch at {at}"));
            }
        }
        Ok(Self {
            epoch,
            rests_on: log.end_offset() - 1,
            wake_at: None,
            metadata: 0,
            state,
            waits: GroupWaits::default(),
            next_ticket: 0,
            waiting: BTreeMap::new(),
            looks: 0,
            due: Vec::new(),
        })
    }

    /// What tells it of its settings.
    #[must_use]
    pub fn greeting() -> Request {
        let session_timeout_ms = Bounded { value: SESSION_MS, min: 1_000, max: 60_000 };
        let assignment_interval_ms = Bounded { value: 100, min: 0, max: 15_000 };
        Request::Configure(GroupSettings {
            min_session_timeout_ms: 1_000,
            initial_rebalance_delay_ms: 300,
            consumer: ConsumerSettings {
                session_timeout_ms,
                assignment_interval_ms,
                ..ConsumerSettings::default()
            },
            ..GroupSettings::default()
        })
    }

    /// Has the machine decide, and applies that. What it says of a failure is its end.
    pub fn decide(
        &mut self,
        time: Time,
        asker: Option<(Party, Id)>,
        request: Request,
    ) -> Result<Decided, String> {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        if let Some(asker) = asker {
            self.waiting.insert(ticket, (asker, self.looks));
        }
        let context = Context { version: VERSION, ..Context::default() };
        let mut next = Some(Command { context, request });
        let mut builder = BatchBuilder::new(0);
        let mut replies = Vec::new();
        while let Some(command) = next.take() {
            let decision =
                GroupMachine::decide(&self.state, &mut self.waits, time, ticket, command);
            for record in &decision.records {
                if let Some((key, value)) = record.encode().map_err(|e| e.to_string())? {
                    builder.append(time.wall_ms, Some(&key), value.as_deref());
                }
                GroupMachine::apply(&mut self.state, record);
            }
            replies.extend(decision.replies);
            self.wake_at = decision.wake_at;
            next = decision.again;
        }
        let batch = match builder.count() {
            0 => None,
            _ => {
                let built = builder.build().map_err(|e| e.to_string())?;
                Some(AppendBatch::split(&built.bytes).map_err(|e| e.to_string())?)
            }
        };
        Ok(Decided { batch, replies })
    }

    /// What was decided is in the log, or needed no place there.
    pub fn appended(&mut self, decided: Decided) {
        let after = self.rests_on;
        self.due.extend(decided.replies.into_iter().map(|(ticket, reply)| (after, ticket, reply)));
    }

    /// What rests on nothing that is not committed.
    pub fn let_go(&mut self, high_watermark: i64) -> Vec<Due> {
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.due)
            .into_iter()
            .partition(|(after, ..)| *after < high_watermark);
        self.due = later;
        let of = |(_, ticket, reply)| Some((self.waiting.remove(&ticket)?.0, reply));
        due.into_iter().filter_map(of).collect()
    }

    /// Looks at those who wait, after all that was due by time was done. Says who was forgotten: the
    /// machine has not answered after `most` looks.
    pub fn look(&mut self, most: u64) -> Option<String> {
        self.looks += 1;
        let decided = |ticket: &Ticket| self.due.iter().any(|(_, due, _)| due == ticket);
        let late = |(ticket, (_, since)): &(&Ticket, &((Party, Id), u64))| {
            self.looks - since > most && !decided(ticket)
        };
        let (_, ((party, id), since)) = self.waiting.iter().find(late)?;
        Some(format!("{party:?} waits for an answer to {id} for {} looks", self.looks - since))
    }

    /// Those who have no reply when it ends.
    pub fn unanswered(self) -> impl Iterator<Item = (Party, Id)> {
        self.waiting.into_values().map(|(asker, _)| asker)
    }
}
