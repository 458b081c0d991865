//! How a node asks the others of the quorum.

use std::time::Duration;

use crate::pull::MAX_PULL_BYTES;

/// How long a node waits for the others, and how much it asks for at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// `controller.quorum.request.timeout.ms`: how long an answer may take.
    pub answer_within: Duration,
    /// `controller.quorum.fetch.timeout.ms`: how long a controller may be silent to a node that pulls before that one
    /// asks another.
    pub fetch_within: Duration,
    /// `controller.quorum.retry.backoff.ms`: the pause before a question that failed is asked again. It doubles with
    /// each failure, up to [`Pace::LONGEST_PAUSE`].
    pub first_pause: Duration,
    /// `controller.quorum.fetch.max.bytes`: how much of the log is asked for at once. Nobody gives more than
    /// [`MAX_PULL_BYTES`], but for one batch that is larger.
    pub pull_bytes: u32,
    /// `controller.quorum.fetch.snapshot.max.bytes`: how much of a snapshot is asked for, or sent, at once; at most
    /// [`MAX_PULL_BYTES`].
    pub piece_bytes: u32,
}

impl Pace {
    /// The longest pause before a question is asked again.
    pub const LONGEST_PAUSE: Duration = Duration::from_secs(1);

    /// The pause after one of this length.
    #[must_use]
    pub fn after(&self, pause: Duration) -> Duration {
        let longest = Self::LONGEST_PAUSE.max(self.first_pause);
        pause.saturating_mul(2).clamp(self.first_pause, longest)
    }
}

impl Default for Pace {
    /// Kafka's defaults.
    fn default() -> Self {
        Self {
            answer_within: Duration::from_secs(2),
            fetch_within: Duration::from_secs(2),
            first_pause: Duration::from_millis(20),
            pull_bytes: MAX_PULL_BYTES,
            piece_bytes: MAX_PULL_BYTES,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pace = Pace::default();
        let pauses: Vec<u128> =
            std::iter::successors(Some(pace.first_pause), |p| Some(pace.after(*p)))
                .map(|p| p.as_millis())
                .take(8)
                .collect();
        assert_eq!(pauses, [20, 40, 80, 160, 320, 640, 1000, 1000]);
        let slow = Pace { first_pause: Duration::from_secs(3), ..pace };
        assert_eq!(slow.after(slow.first_pause), slow.first_pause);
    }
}
