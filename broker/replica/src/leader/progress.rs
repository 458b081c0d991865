//! What a leader knows of one follower.

use ottla_machine::Mono;

/// An offset that is not known yet.
const UNKNOWN: i64 = -1;

/// How far a follower has come, as its fetches told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Its log end offset, as of its last fetch; -1 while unknown.
    pub end_offset: i64,
    /// Its log start offset, as of its last fetch; -1 while unknown.
    pub start_offset: i64,
    /// When it last had everything that was there when it asked; `None` if never in this epoch.
    pub caught_up: Option<Mono>,
    /// When it last asked, and the end of our log then.
    pub asked: Option<(Mono, i64)>,
    /// The broker epoch it last asked with, -1 in versions that carry none; `None` before its first
    /// fetch.
    pub broker_epoch: Option<i64>,
}

impl Progress {
    /// Nothing is known. One in sync is given time from `in_sync_since` on.
    pub(super) fn unknown(in_sync_since: Option<Mono>) -> Self {
        Self {
            end_offset: UNKNOWN,
            start_offset: UNKNOWN,
            caught_up: in_sync_since,
            asked: None,
            broker_epoch: None,
        }
    }

    /// It asked for `offset` when our log ended at `end`.
    pub(super) fn fetched(&mut self, offset: i64, start: i64, epoch: i64, now: Mono, end: i64) {
        // It is caught up as of now if it has all, and as of its last request if it has all that
        // was there then.
        if offset >= end {
            self.caught_up = self.caught_up.max(Some(now));
        } else if let Some((asked, end_then)) = self.asked
            && offset >= end_then
        {
            self.caught_up = self.caught_up.max(Some(asked));
        }
        self.asked = Some((now, end));
        self.end_offset = offset;
        self.start_offset = start;
        self.broker_epoch = Some(epoch);
    }

    /// Whether it has all, or had all not longer ago than it may lag.
    pub(super) fn is_caught_up(&self, end: i64, now: Mono, lag_ms: u64) -> bool {
        self.end_offset == end || self.caught_up.is_some_and(|at| now.since(at) <= lag_ms)
    }
}
