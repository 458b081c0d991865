//! A pause after a failure, which grows while failures go on.

use std::time::Duration;

use tokio::time::Instant;

use crate::Options;

/// The pause before something is tried again.
#[derive(Debug)]
pub(super) struct Pause {
    until: Option<Instant>,
    /// How long the next one is.
    next: Duration,
    first: Duration,
}

impl Pause {
    /// None yet.
    pub(super) fn new(options: &Options) -> Self {
        Self { until: None, next: options.backoff, first: options.backoff }
    }

    /// Begins one, twice as long as the one before unless that is too long.
    pub(super) fn begin(&mut self, options: &Options) {
        self.until = Some(Instant::now() + self.next);
        self.next = (self.next * 2).min(options.max_backoff);
    }

    /// Something went well: the next pause is short again.
    pub(super) fn end(&mut self) {
        (self.until, self.next) = (None, self.first);
    }

    /// When it ends, if it is not over.
    pub(super) fn ends_after(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }
}
