//! When a member had everything that its leader had.

use tokio::time::Instant;

use crate::types::Vote;

/// How a member keeps up with a leader (KIP-836).
///
/// It was caught up when it was heard, if it had all that was in the leader's log then; and when it was heard the time
/// before, if it has by now what was in the log then. Under load no member ever has the newest entry, and yet it keeps up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// In whose name it was asked.
    vote: Vote,
    /// When it was heard last.
    heard: Instant,
    /// The index behind the last entry of the leader's log then.
    end: u64,
    /// When it was caught up.
    caught_up: Option<Instant>,
}

impl Progress {
    /// The progress of a member that says to the leader of this vote, whose log ends before `end`, that it has all
    /// entries before `next`.
    pub(super) fn heard(
        before: Option<Self>,
        vote: Vote,
        (next, end): (u64, u64),
        now: Instant,
    ) -> Self {
        let before = before.filter(|before| before.vote == vote);
        let caught_up = if next >= end {
            Some(now)
        } else {
            before.and_then(|b| if next >= b.end { Some(b.heard) } else { b.caught_up })
        };
        Self { vote, heard: now, end, caught_up }
    }

    /// When it was caught up with the leader of this vote.
    pub(super) fn caught_up(&self, vote: Vote) -> Option<Instant> {
        self.caught_up.filter(|_| self.vote == vote)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use openraft::vote::{RaftLeaderId, RaftVote};
    use ottla_wire::Uuid;

    use super::*;
    use crate::voter::NodeKey;

    fn vote(epoch: i32) -> Vote {
        let leader = <Vote as RaftVote>::LeaderId::new(epoch, NodeKey::new(1, Uuid::ZERO));
        Vote::from_leader_id(leader, true)
    }

    #[test]
    fn a_member_keeps_up_without_ever_having_the_newest_entry() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let mut progress = None;
        let mut hear = |next, end, ms| {
            let heard = Progress::heard(progress, vote(1), (next, end), at(ms));
            progress = Some(heard);
            heard.caught_up(vote(1))
        };
        // It has less than the log had at any time that it was heard.
        assert_eq!(hear(5, 10, 0), None);
        assert_eq!(hear(9, 12, 1), None);
        // It has what the log had when it was heard before.
        assert_eq!(hear(12, 15, 2), Some(at(1)));
        assert_eq!(hear(15, 15, 3), Some(at(3)));
        // It stops where it is, though it is heard.
        assert_eq!(hear(15, 16, 4), Some(at(3)));
        assert_eq!(hear(15, 17, 5), Some(at(3)));
        assert_eq!(hear(17, 18, 6), Some(at(5)));
        // Of another leader it is not known.
        let heard = Progress::heard(progress, vote(2), (17, 18), at(7));
        assert_eq!((heard.caught_up(vote(1)), heard.caught_up(vote(2))), (None, None));
    }
}
