//! One partition's follower: where it fetches from, and how it comes to agree with its leader
//! (KIP-101, KIP-279, and KIP-595 for the divergence told in a Fetch).

use ottla_machine::Mono;
use ottla_wire::ErrorCode;

/// The leader epoch of a follower whose log knows none.
const NO_EPOCH: i32 = -1;

/// A leader epoch and the offset where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The epoch.
    pub epoch: i32,
    /// The first offset that is not in it.
    pub end: i64,
}

/// What a follower must know of its own log.
pub trait LocalLog {
    /// The log start offset.
    fn start_offset(&self) -> i64;

    /// The log end offset.
    fn end_offset(&self) -> i64;

    /// The high watermark.
    fn high_watermark(&self) -> i64;

    /// The newest leader epoch it knows.
    fn latest_epoch(&self) -> Option<i32>;

    /// Of the largest epoch at or below `epoch` that it knows, that and where it ends; an epoch
    /// before all that it knows ends where the first begins. `None` for one later than all.
    fn end_of_epoch(&self, epoch: i32) -> Option<EpochEnd>;
}

/// What is asked of the leader for one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchAsk {
    /// The epoch of the leader that is followed.
    pub leader_epoch: i32,
    /// The offset wanted, which is the log end offset.
    pub offset: i64,
    /// The epoch of the last record there is, -1 for none.
    pub last_epoch: i32,
    /// The log start offset.
    pub start_offset: i64,
}

/// What the leader answered for one partition, but for the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchAnswer {
    /// The error, if any.
    pub error: ErrorCode,
    /// The leader's high watermark.
    pub high_watermark: i64,
    /// The leader's log start offset.
    pub start_offset: i64,
    /// Where our log diverges from the leader's.
    pub diverging: Option<EpochEnd>,
}

/// How a log is to be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// From this offset on everything goes, leader epochs that begin there included.
    To(i64),
    /// Everything goes; the log begins anew at this offset.
    Anew(i64),
}

/// What a follower is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the answer was to something that is not asked any more, or the follower rests.
    Nothing,
    /// Append the records that came, which may be none, and take over what the leader told of its
    /// offsets. Tell [`Follower::fine`] when that is done.
    Append,
    /// Cut the log, and fetch again.
    Cut(Cut),
    /// Ask the leader where its log begins and ends, for [`Follower::learned`].
    Ask,
}

/// Milliseconds to rest after a failure: more after each, up to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// After the first failure.
    pub first_ms: u64,
    /// At most; `replica.fetch.backoff.ms`.
    pub most_ms: u64,
}

impl Patience {
    /// The rest after so many failures in a row, counted from one.
    #[must_use]
    pub fn after(self, failures: u32) -> u64 {
        let doubled = 1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX);
        self.first_ms.saturating_mul(doubled).min(self.most_ms).max(1)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It fetches.
    Fetching,
    /// It waits to learn where the leader's log begins and ends.
    Asking,
    /// Something failed: it fetches again from then on.
    Resting(Mono),
    /// It waits for other metadata: its epoch is over, or its log takes nothing.
    Over,
}

/// A follower of one leader epoch.
///
/// It fetches from its log's end with the epoch of its last record, so that whatever is appended
/// continues the leader's own log: the leader answers where the two part ways, the follower cuts
/// and asks again, and each cut removes an epoch or records, so this ends.
#[derive(Clone, Debug)]
pub struct Follower {
    epoch: i32,
    stage: Stage,
    failures: u32,
    patience: Patience,
}

impl Follower {
    /// Begins to follow the leader of `epoch`.
    #[must_use]
    pub fn new(epoch: i32, patience: Patience) -> Self {
        Self { epoch, stage: Stage::Fetching, failures: 0, patience }
    }

    /// The leader epoch that it follows in.
    #[must_use]
    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    /// What must be cut off before the first fetch: of a log that knows no epochs only what is
    /// committed can be trusted.
    #[must_use]
    pub fn first_cut(log: &dyn LocalLog) -> Option<Cut> {
        let high_watermark = log.high_watermark().max(log.start_offset());
        (log.latest_epoch().is_none() && log.end_offset() > high_watermark)
            .then_some(Cut::To(high_watermark))
    }

    /// What to ask the leader for, if it is to be asked now.
    #[must_use]
    pub fn ask(&self, log: &dyn LocalLog, now: Mono) -> Option<FetchAsk> {
        match self.stage {
            Stage::Fetching => {}
            Stage::Resting(until) if until <= now => {}
            Stage::Resting(_) | Stage::Asking | Stage::Over => return None,
        }
        Some(FetchAsk {
            leader_epoch: self.epoch,
            offset: log.end_offset(),
            last_epoch: log.latest_epoch().unwrap_or(NO_EPOCH),
            start_offset: log.start_offset(),
        })
    }

    /// Until when it rests, if it does.
    #[must_use]
    pub fn rests_until(&self) -> Option<Mono> {
        match self.stage {
            Stage::Resting(until) => Some(until),
            Stage::Fetching | Stage::Asking | Stage::Over => None,
        }
    }

    /// Whether it waits for other metadata.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// What to do with an answer to `asked`.
    pub fn answered(
        &mut self,
        asked: &FetchAsk,
        answer: &FetchAnswer,
        log: &dyn LocalLog,
        now: Mono,
    ) -> Next {
        let current = asked.leader_epoch == self.epoch
            && asked.offset == log.end_offset()
            && asked.last_epoch == log.latest_epoch().unwrap_or(NO_EPOCH);
        if !current || matches!(self.stage, Stage::Asking | Stage::Over) {
            return Next::Nothing;
        }
        match answer.error {
            ErrorCode::NONE => {
                self.stage = Stage::Fetching;
                match answer.diverging {
                    Some(theirs) => Next::Cut(Cut::To(where_to_cut(theirs, log))),
                    None => Next::Append,
                }
            }
            ErrorCode::OFFSET_OUT_OF_RANGE => {
                self.stage = Stage::Asking;
                Next::Ask
            }
            // The leader is in a later epoch: so shall we be.
            ErrorCode::FENCED_LEADER_EPOCH => {
                self.stage = Stage::Over;
                Next::Nothing
            }
            // The leader has not heard of its epoch yet, or cannot serve just now.
            _ => {
                self.failed(now);
                Next::Nothing
            }
        }
    }

    /// What was to be done is done.
    pub fn fine(&mut self) {
        if self.stage != Stage::Over {
            self.stage = Stage::Fetching;
        }
        self.failures = 0;
    }

    /// Something failed: it rests a while.
    pub fn failed(&mut self, now: Mono) {
        if self.stage == Stage::Over {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        self.stage = Stage::Resting(now.plus_ms(self.patience.after(self.failures)));
    }

    /// Our log takes nothing any more, or the epoch is over.
    pub fn give_up(&mut self) {
        self.stage = Stage::Over;
    }

    /// The leader's log begins at `start` and ends at `end`. Says how to cut ours, if it lies
    /// outside.
    pub fn learned(&mut self, start: i64, end: i64, log: &dyn LocalLog, now: Mono) -> Option<Cut> {
        if self.stage != Stage::Asking {
            return None;
        }
        let ours = log.end_offset();
        if end < ours {
            self.stage = Stage::Fetching;
            // What the leader never had, or lost when it was elected uncleanly.
            return Some(Cut::To(end));
        }
        if start > ours {
            self.stage = Stage::Fetching;
            return Some(Cut::Anew(start));
        }
        // It moved meanwhile. Not at once again, in case it is the leader who is confused.
        self.failed(now);
        None
    }
}

/// Where our log stops being a prefix of the leader's, whose `theirs` is the largest of its epochs
/// at or below our last, as far as the two epochs tell.
fn where_to_cut(theirs: EpochEnd, log: &dyn LocalLog) -> i64 {
    let end = log.end_offset();
    match log.end_of_epoch(theirs.epoch) {
        // We do not know that epoch: what is behind the last one that we do is not the leader's.
        Some(ours) if ours.epoch != theirs.epoch => ours.end.min(end),
        Some(ours) => ours.end.min(theirs.end).min(end),
        None => theirs.end.min(end),
    }
}

#[cfg(test)]
mod tests;
