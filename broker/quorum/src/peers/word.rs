//! What members said of themselves to the leader of an epoch.

use crate::rpc::Applicant;

/// What is known of a voter's right to vote from its own mouth. Each tells each new leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// Nothing: it was not heard since this node leads.
    None,
    /// It has lost its log, or began late, and has not yet got the log.
    Behind,
    /// It votes, and may be elected.
    Votes,
}

/// The last word of a member.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spoken {
    /// Which process of it spoke.
    process: i64,
    /// To the leader of which epoch.
    epoch: i32,
    word: Word,
}

impl Spoken {
    /// What stands after a process of a member says to the leader of an epoch what it needs.
    pub(super) fn new(
        before: Option<Self>,
        process: i64,
        epoch: i32,
        applicant: Applicant,
    ) -> Self {
        let word = match applicant {
            Applicant::Blank | Applicant::CatchingUp => Word::Behind,
            Applicant::Member | Applicant::Standby | Applicant::Joining => Word::Votes,
        };
        let spoken = Self { process, epoch, word };
        // A process that votes does so until it ends: what says otherwise was under way for long.
        let stays = |b: &Self| (b.process, b.epoch, b.word) == (process, epoch, Word::Votes);
        before.filter(stays).unwrap_or(spoken)
    }

    /// The word given to the leader of this epoch.
    pub(super) fn to(self, epoch: i32) -> Word {
        if self.epoch == epoch { self.word } else { Word::None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_holds_for_an_epoch_and_is_taken_back_by_the_next_process_only() {
        let behind = Spoken::new(None, 7, 3, Applicant::Blank);
        assert_eq!((behind.to(3), behind.to(4)), (Word::Behind, Word::None));
        let votes = Spoken::new(Some(behind), 7, 3, Applicant::Member);
        assert_eq!((votes.to(3), votes.to(4)), (Word::Votes, Word::None));
        let late = Spoken::new(Some(votes), 7, 3, Applicant::CatchingUp);
        assert_eq!(late.to(3), Word::Votes);
        let emptied = Spoken::new(Some(late), 8, 3, Applicant::Blank);
        assert_eq!(emptied.to(3), Word::Behind);
    }
}
