//! One partition's replica on one broker: the real log and the real machines, joined as the
//! engine joins them.

use std::sync::Arc;

use bytes::Bytes;
use ottla_log::log::{AppendBatch, AtLeast, LeaderAppend, Outcome};
use ottla_log::producers::{Origin, Rules};
use ottla_log::{Log, LogError};
use ottla_replica::{
    AckWaits, Acks, Cut, EpochCheck, EpochEnd, FetchAsk, Follower, FollowerFetch, IsrAnswer,
    IsrProposal, Leader, LeaderStart, LocalLog, Membership, StillWorld,
};
use ottla_wire::ErrorCode;

use crate::message::{Consumed, Fetch, Fetched, Id, Party, Stable};

/// Bytes that a follower gets at most, but for a larger first batch.
const MOST_FETCHED: u32 = 1_500;

/// `min.insync.replicas`.
pub const MIN_IN_SYNC: usize = 2;

/// A log, as the follower's machine asks it.
#[derive(Debug)]
pub struct Local<'a>(pub &'a Log);

impl LocalLog for Local<'_> {
    fn start_offset(&self) -> i64 {
        self.0.start_offset()
    }

    fn end_offset(&self) -> i64 {
        self.0.end_offset()
    }

    fn high_watermark(&self) -> i64 {
        self.0.high_watermark()
    }

    fn latest_epoch(&self) -> Option<i32> {
        self.0.latest_epoch()
    }

    fn end_of_epoch(&self, epoch: i32) -> Option<EpochEnd> {
        self.0.end_of_epoch(epoch).map(|found| EpochEnd { epoch: found.epoch, end: found.end })
    }
}

/// A producer that waits for the high watermark.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// Who.
    pub to: Party,
    /// Its request.
    pub id: Id,
    /// What to tell it.
    pub first_offset: i64,
}

/// What a leader keeps.
#[derive(Debug)]
pub struct Leading {
    /// The machine.
    pub leader: Leader,
    /// Who waits.
    pub acks: AckWaits<Waiting>,
    /// What the controller was asked, by which request, and when.
    pub proposal: Option<(Id, IsrProposal, u64)>,
}

/// What a follower keeps.
#[derive(Debug)]
pub struct Following {
    /// Whom it follows.
    pub leader: i32,
    /// The machine.
    pub follower: Follower,
    /// What was asked, by which request, and when.
    pub asked: Option<(Id, FetchAsk, u64)>,
    /// The request for the ends of the leader's log, and when it was sent.
    pub asked_ends: Option<(Id, u64)>,
}

/// What this broker is to the partition.
#[derive(Debug)]
pub enum Role {
    /// Nothing: nobody leads, or the replica was just opened. The epoch it knows.
    Idle(i32),
    /// It leads.
    Leader(Box<Leading>),
    /// It follows.
    Follower(Following),
}

/// What became of a step, for the shell to pass on.
#[derive(Debug, Default)]
pub struct Done {
    /// Producers to be answered.
    pub acked: Vec<(Waiting, Result<i64, ErrorCode>)>,
    /// What the controller is to be asked.
    pub propose: Option<IsrProposal>,
    /// What is to be flushed when convenient.
    pub flush: bool,
}

/// What a follower did to its log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Taken {
    /// A segment was closed: it is to be flushed when convenient.
    pub flush: bool,
    /// Something was cut off: the recovery points are to be written before anything is appended.
    pub cut: bool,
}

/// Why a step failed.
#[derive(Debug)]
pub enum Trouble {
    /// The peer is told this.
    Code(ErrorCode),
    /// The disk failed: the broker stops.
    Disk(String),
}

impl From<LogError> for Trouble {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Disk(e) => Self::Disk(e.to_string()),
            LogError::Closed => Self::Disk("the log is closed".into()),
            other => Self::Code(other.code()),
        }
    }
}

/// One partition's replica.
#[derive(Debug)]
pub struct Replica {
    /// The partition.
    pub partition: i32,
    /// Its log.
    pub log: Arc<Log>,
    /// Its role.
    pub role: Role,
    /// Up to where its log was compared with what is committed.
    pub verified: i64,
}

/// How leadership begins or goes on.
#[derive(Clone, Debug)]
pub struct Lead {
    /// Our broker id.
    pub me: i32,
    /// The leader epoch.
    pub epoch: i32,
    /// The partition epoch.
    pub partition_epoch: i32,
    /// All replicas.
    pub replicas: Vec<i32>,
    /// Those in sync.
    pub isr: Vec<i32>,
}

impl Replica {
    /// One that is nothing to the partition yet.
    #[must_use]
    pub fn new(partition: i32, log: Arc<Log>) -> Self {
        let verified = log.start_offset();
        Self { partition, log, role: Role::Idle(-1), verified }
    }

    /// The leader epoch that it is in.
    #[must_use]
    pub fn epoch(&self) -> i32 {
        match &self.role {
            Role::Idle(epoch) => *epoch,
            Role::Leader(leading) => leading.leader.epoch(),
            Role::Follower(following) => following.follower.epoch(),
        }
    }

    /// Begins to lead, or goes on with other replicas.
    pub fn lead(&mut self, lead: Lead, world: &StillWorld) -> Done {
        let Lead { me, epoch, partition_epoch, replicas, isr } = lead;
        let mut done = Done::default();
        let moved = match &mut self.role {
            Role::Leader(leading) if leading.leader.epoch() == epoch => {
                let now = Membership { partition_epoch, replicas, isr };
                leading.leader.changed(&now, world)
            }
            _ => {
                done.acked = self.resign(epoch);
                self.log.begin_epoch(epoch);
                let start = LeaderStart {
                    me,
                    epoch,
                    partition_epoch,
                    replicas,
                    isr,
                    end_offset: self.log.end_offset(),
                    high_watermark: self.log.high_watermark(),
                    min_in_sync: MIN_IN_SYNC,
                };
                let leader = Leader::new(start, world);
                let moved = leader.high_watermark();
                let acks = AckWaits::default();
                self.role = Role::Leader(Box::new(Leading { leader, acks, proposal: None }));
                Some(moved)
            }
        };
        self.settle(moved, &mut done);
        done
    }

    /// Ends what it was. Producers that wait are told.
    pub fn resign(&mut self, epoch: i32) -> Vec<(Waiting, Result<i64, ErrorCode>)> {
        let old = std::mem::replace(&mut self.role, Role::Idle(epoch));
        let Role::Leader(mut leading) = old else { return Vec::new() };
        let lost = Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        leading.acks.all().map(|waiting| (waiting, lost)).collect()
    }

    /// Makes a moved high watermark known.
    fn settle(&mut self, moved: Option<i64>, done: &mut Done) {
        let Role::Leader(leading) = &mut self.role else { return };
        let Some(high_watermark) = moved else { return };
        self.log.set_high_watermark(high_watermark);
        for waiting in leading.acks.reached(high_watermark) {
            let first = waiting.first_offset;
            done.acked.push((waiting, Ok(first)));
        }
    }

    /// The leader, if it leads in the epoch that the peer believes in.
    fn leading(&mut self, theirs: Option<i32>) -> Result<&mut Leading, Trouble> {
        let (ours, theirs) = (self.epoch(), EpochCheck::from_wire(theirs.unwrap_or(-1)));
        let code = match (&mut self.role, theirs) {
            (Role::Leader(leading), theirs) => {
                let checked = leading.leader.check_epoch(theirs);
                checked.map_err(|e| Trouble::Code(e.code()))?;
                return Ok(leading);
            }
            (_, EpochCheck::Is(theirs)) if theirs > ours => ErrorCode::UNKNOWN_LEADER_EPOCH,
            (_, EpochCheck::Is(theirs)) if theirs < ours => ErrorCode::FENCED_LEADER_EPOCH,
            _ => ErrorCode::NOT_LEADER_OR_FOLLOWER,
        };
        Err(Trouble::Code(code))
    }

    /// Appends a producer's batch, or the end of its transaction.
    pub fn append(
        &mut self,
        batch: &AppendBatch,
        rules: Rules,
        (to, id): (Party, Id),
        now_ms: i64,
        world: &StillWorld,
    ) -> Result<Done, Trouble> {
        let log = Arc::clone(&self.log);
        let leading = self.leading(None)?;
        let refused = leading.leader.check_append(Acks::All);
        refused.map_err(|e| Trouble::Code(e.code()))?;
        let by = LeaderAppend { leader_epoch: leading.leader.epoch(), rules, now_ms };
        let info = log.append_as_leader(std::slice::from_ref(batch), by)?;
        let moved = match info.outcome {
            Outcome::Appended => leading.leader.appended(info.end_offset, world),
            Outcome::Duplicate => None,
        };
        let waiting = Waiting { to, id, first_offset: info.first_offset };
        let mut done = Done { flush: info.rolled_at.is_some(), ..Done::default() };
        if leading.leader.high_watermark() > info.last_offset {
            done.acked.push((waiting, Ok(info.first_offset)));
        } else {
            leading.acks.push(info.last_offset + 1, waiting);
        }
        self.settle(moved, &mut done);
        Ok(done)
    }

    /// Appends a coordinator's batch. Says where it ends.
    pub fn append_own(
        &mut self,
        batch: &AppendBatch,
        epoch: i32,
        now_ms: i64,
        world: &StillWorld,
    ) -> Result<(i64, Done), Trouble> {
        let log = Arc::clone(&self.log);
        let leading = self.leading(Some(epoch))?;
        let refused = leading.leader.check_append(Acks::All);
        refused.map_err(|e| Trouble::Code(e.code()))?;
        let by =
            LeaderAppend { leader_epoch: epoch, rules: Rules::of(Origin::Coordinator), now_ms };
        let info = log.append_as_leader(std::slice::from_ref(batch), by)?;
        let moved = leading.leader.appended(info.end_offset, world);
        let mut done = Done { flush: info.rolled_at.is_some(), ..Done::default() };
        self.settle(moved, &mut done);
        Ok((info.last_offset, done))
    }

    /// Whether what a reader has continues in this log; where not, if it is known.
    fn position(&self, offset: i64, last_epoch: i32) -> Result<Option<EpochEnd>, Trouble> {
        let out = Err(Trouble::Code(ErrorCode::OFFSET_OUT_OF_RANGE));
        if offset < self.log.start_offset() {
            return out;
        }
        if last_epoch >= 0 {
            let Some(found) = Local(&self.log).end_of_epoch(last_epoch) else { return out };
            if found.epoch < last_epoch || found.end < offset {
                return Ok(Some(found));
            }
        }
        if offset > self.log.end_offset() { out } else { Ok(None) }
    }

    /// Serves a follower.
    pub fn serve(&mut self, fetch: &Fetch, world: &StillWorld) -> Result<(Fetched, Done), Trouble> {
        let ask = fetch.ask;
        let mut done = Done::default();
        self.leading(Some(ask.leader_epoch))?;
        let diverging = self.position(ask.offset, ask.last_epoch)?;
        let log = Arc::clone(&self.log);
        if diverging.is_none() {
            let leading = self.leading(Some(ask.leader_epoch))?;
            let fetched = FollowerFetch {
                replica: fetch.broker,
                broker_epoch: fetch.broker_epoch,
                offset: ask.offset,
                start_offset: ask.start_offset,
            };
            let moved = leading.leader.fetched(&fetched, world);
            let moved = moved.map_err(|e| Trouble::Code(e.code()))?;
            done.propose = leading.leader.propose_join(fetch.broker, log.start_offset(), world);
            self.settle(moved, &mut done);
        }
        let mut answer = Fetched {
            error: ErrorCode::NONE,
            high_watermark: log.high_watermark(),
            start_offset: log.start_offset(),
            diverging,
            records: Bytes::new(),
        };
        if diverging.is_none() && ask.offset < log.end_offset() {
            let found = log.read(ask.offset, MOST_FETCHED, i64::MAX, AtLeast::OneBatch)?;
            if let Some(slice) = found.slice {
                let bytes = slice.read().map_err(|e| Trouble::Disk(e.to_string()))?;
                answer.records = bytes.into();
            }
        }
        Ok((answer, done))
    }

    /// Serves a consumer.
    pub fn consume(&mut self, epoch: i32, offset: i64) -> Result<Consumed, Trouble> {
        let log = Arc::clone(&self.log);
        let leading = self.leading(Some(epoch))?;
        let high_watermark = leading.leader.high_watermark();
        let known = leading.leader.epoch_start() <= high_watermark;
        let start_offset = log.start_offset();
        // One whose records were deleted goes on from the start.
        let offset = offset.max(start_offset);
        if offset > log.end_offset() {
            return Err(Trouble::Code(ErrorCode::OFFSET_OUT_OF_RANGE));
        }
        let mut records = Bytes::new();
        if offset < high_watermark {
            let found = log.read(offset, 1 << 14, high_watermark, AtLeast::OneBatch)?;
            if let Some(slice) = found.slice {
                let bytes = slice.read().map_err(|e| Trouble::Disk(e.to_string()))?;
                records = bytes.into();
            }
        }
        Ok(Consumed { records, start_offset, latest: known.then_some(high_watermark) })
    }

    /// Serves one who reads committed records.
    pub fn consume_stable(&mut self, epoch: i32, offset: i64) -> Result<Stable, Trouble> {
        let log = Arc::clone(&self.log);
        self.leading(Some(epoch))?;
        let (stable, start_offset) = (log.last_stable_offset(), log.start_offset());
        let offset = offset.max(start_offset);
        let mut got = Stable { records: Bytes::new(), start_offset, stable, aborted: Vec::new() };
        if offset >= stable {
            return Ok(got);
        }
        let found = log.read(offset, 1 << 10, stable, AtLeast::OneBatch)?;
        if let Some(slice) = found.slice {
            got.aborted = log.aborted(slice.first_offset..slice.bound)?;
            got.records = slice.read().map_err(|e| Trouble::Disk(e.to_string()))?.into();
        }
        Ok(got)
    }

    /// Where the log begins and ends, for a follower in this epoch.
    pub fn ends(&mut self, epoch: i32) -> Result<(i64, i64), Trouble> {
        self.leading(Some(epoch))?;
        Ok((self.log.start_offset(), self.log.end_offset()))
    }

    /// Looks for followers that lag; where the process stood still, or the brokers in service are
    /// others, only for what time and brokers changed.
    pub fn check(&mut self, world: &StillWorld, stalled: Stalled) -> Done {
        let mut done = Done::default();
        let start = self.log.start_offset();
        let Role::Leader(leading) = &mut self.role else { return done };
        if stalled == Stalled::No {
            done.propose = leading.leader.propose_leave(world);
        }
        let moved = leading.leader.reconsider(world);
        if stalled == Stalled::Yes {
            done.propose = leading.leader.propose_any_join(start, world);
        }
        self.settle(moved, &mut done);
        done
    }

    /// Takes in what the controller said.
    pub fn answered(
        &mut self,
        proposal: &IsrProposal,
        answer: IsrAnswer,
        world: &StillWorld,
    ) -> Done {
        let mut done = Done::default();
        let start = self.log.start_offset();
        let Role::Leader(leading) = &mut self.role else { return done };
        let moved = leading.leader.isr_answered(proposal, answer, world);
        done.propose = leading.leader.propose_any_join(start, world);
        self.settle(moved, &mut done);
        done
    }

    /// Appends what the leader sent, and takes over its offsets.
    pub fn take(&mut self, epoch: i32, sent: &Fetched, now_ms: i64) -> Result<Taken, Trouble> {
        let log = &self.log;
        let records = up_to_epoch(&sent.records, epoch);
        let mut taken = Taken::default();
        if !records.is_empty() {
            let info = match log.append_as_follower(&records, now_ms) {
                Err(LogError::UnexpectedOffset { first, expected })
                    if first < expected
                        && (log.start_offset() == log.end_offset()
                            || log.end_offset() <= sent.start_offset) =>
                {
                    log.truncate_fully_and_start_at(first, now_ms)?;
                    taken.cut = true;
                    self.verified = log.start_offset();
                    log.append_as_follower(&records, now_ms)?
                }
                other => other?,
            };
            if info.bytes == 0 {
                return Err(Trouble::Code(ErrorCode::CORRUPT_MESSAGE));
            }
            taken.flush = info.rolled_at.is_some();
        }
        let reached = sent.high_watermark.min(log.end_offset());
        if reached > log.high_watermark() {
            log.set_high_watermark(reached);
        }
        let start = sent.start_offset.min(log.high_watermark());
        if start > log.start_offset() {
            log.set_start_offset(start)?;
        }
        Ok(taken)
    }

    /// Cuts the log.
    pub fn cut(&mut self, cut: Cut, now_ms: i64) -> Result<Taken, Trouble> {
        match cut {
            Cut::To(offset) => self.log.truncate_to(offset, now_ms).map(drop)?,
            Cut::Anew(offset) => self.log.truncate_fully_and_start_at(offset, now_ms)?,
        }
        self.verified = self.verified.min(self.log.end_offset());
        if matches!(cut, Cut::Anew(_)) {
            self.verified = self.log.start_offset();
        }
        Ok(Taken { flush: false, cut: true })
    }
}

/// Whether the process stood still, so that followers could not fetch either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stalled {
    /// It did.
    Yes,
    /// It did not.
    No,
}

/// The batches before the first of a later epoch.
fn up_to_epoch(records: &Bytes, epoch: i32) -> Bytes {
    let word = |at: usize| {
        let bytes = records.get(at..at + 4)?;
        Some(i32::from_be_bytes(bytes.try_into().ok()?))
    };
    let mut at = 0;
    while let (Some(length), Some(of)) = (word(at + 8), word(at + 12)) {
        if of > epoch {
            return records.slice(..at);
        }
        at += 12 + usize::try_from(length).unwrap_or(0);
    }
    records.clone()
}
