//! The messages between members. Indexes stand as the next one, 0 for none, so that every number has a meaning.

use bytes::Bytes;
use openraft::vote::RaftVote;
use ottla_wire::schema::raft::VotersVoter;
use ottla_wire::{Message, Uuid};

use crate::control::{self, WireKey};
use crate::types::{CommittedLeaderId, LogId, Vote};
use crate::voter::{NodeKey, Voter};

/// What stands before each request.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct RequestHead {
    pub(crate) kind: i8,
    pub(crate) cluster_id: String,
    /// Who asks.
    pub(crate) from: WireKey,
    /// The directory the sender has, also where its key does not name it.
    pub(crate) directory: Uuid,
    /// A number the sender's process chose at its start.
    pub(crate) incarnation: i64,
    /// Who is asked; id -1 for whoever is at the address.
    pub(crate) to: WireKey,
}

/// What stands before each answer.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct AnswerHead {
    /// 0, or a [`Refusal`](super::Refusal) and no body.
    pub(crate) refusal: i8,
    /// What a person should know of a refusal.
    pub(crate) text: String,
    /// Who answers.
    pub(crate) key: WireKey,
}

/// A place in the raft log.
#[derive(Debug, Clone, Copy, PartialEq, Message)]
pub(crate) struct WirePosition {
    pub(crate) epoch: i32,
    /// The index plus one; 0 for none.
    pub(crate) next_index: i64,
}

/// A vote.
#[derive(Debug, Clone, PartialEq, Message)]
pub(crate) struct WireVote {
    pub(crate) epoch: i32,
    pub(crate) node: WireKey,
    pub(crate) committed: bool,
}

/// A candidate asks for a vote.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct VoteBody {
    pub(crate) vote: WireVote,
    pub(crate) last: WirePosition,
    /// The leader asked the candidate to stand.
    pub(crate) transfer: bool,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct VoteAnswer {
    pub(crate) vote: WireVote,
    pub(crate) granted: bool,
    pub(crate) last: WirePosition,
}

/// A leader sends entries, or lets itself be heard.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct AppendBody {
    pub(crate) vote: WireVote,
    /// The entry before the first one sent.
    pub(crate) previous: WirePosition,
    /// What is committed.
    pub(crate) committed: WirePosition,
    /// The batches of the entries as they stand in the log, one after the other.
    pub(crate) batches: Bytes,
    /// The receiver acknowledged all entries before this index to this leader, and lacks some of them; 0 where nothing
    /// like that is known.
    #[field(tag = 0, tagged = "0+")]
    pub(crate) lost_before: i64,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct AppendAnswer {
    /// 0 done, 1 done up to `upto`, 2 the previous entry is not there, 3 a higher vote.
    pub(crate) outcome: i8,
    pub(crate) upto: WirePosition,
    pub(crate) vote: WireVote,
}

/// A leader sends a piece of a snapshot.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct SnapshotBody {
    pub(crate) vote: WireVote,
    /// The snapshot's id.
    pub(crate) end_offset: i64,
    pub(crate) epoch: i32,
    /// The last entry it contains.
    pub(crate) last: WirePosition,
    /// Bytes of the whole.
    pub(crate) size: i64,
    /// Where the piece belongs.
    pub(crate) position: i64,
    pub(crate) bytes: Bytes,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct SnapshotAnswer {
    pub(crate) vote: WireVote,
    /// Which piece is wanted next.
    pub(crate) position: i64,
    /// The snapshot is installed.
    pub(crate) done: bool,
}

/// A leader wants another member to lead.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct TransferBody {
    pub(crate) from: WireVote,
    pub(crate) to: WireKey,
    pub(crate) last: WirePosition,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct TransferAnswer {
    /// 0 done, 1 another vote, 2 the log is not flushed so far.
    pub(crate) outcome: i8,
    pub(crate) vote: WireVote,
    pub(crate) last: WirePosition,
}

/// Who says hello, and what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applicant {
    /// A member that goes on where it was.
    Member = 0,
    /// A first voter whose log is empty: it does not know yet whether it was always so.
    Blank = 1,
    /// A voter that lost its log, and has not yet got back what the leader has.
    CatchingUp = 2,
    /// A controller that is no voter, and stands by.
    Standby = 3,
    /// The same, and it wants a vote.
    Joining = 4,
}

impl Applicant {
    pub(crate) fn from_wire(applicant: i8) -> Self {
        match applicant {
            1 => Self::Blank,
            2 => Self::CatchingUp,
            3 => Self::Standby,
            4 => Self::Joining,
            _ => Self::Member,
        }
    }
}

/// A member tells where it is.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct HelloBody {
    pub(crate) member: VotersVoter,
    /// An [`Applicant`].
    pub(crate) applicant: i8,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct HelloAnswer {
    /// Where the answering member is.
    pub(crate) member: VotersVoter,
    /// Whether its log has more than the first entry, or it has heard of one that has.
    pub(crate) has_past: bool,
    pub(crate) epoch: i32,
    /// Who leads the epoch; none or one.
    pub(crate) leader: Vec<VotersVoter>,
    /// Whether the answering member leads.
    pub(crate) leads: bool,
    /// The end of its log, if it leads.
    pub(crate) last: WirePosition,
    /// Whether the sender has a vote, by the log of the answering member.
    pub(crate) is_voter: bool,
}

/// What is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    Add = 0,
    Remove = 1,
    Update = 2,
}

impl ChangeKind {
    pub(crate) fn from_wire(kind: i8) -> Option<Self> {
        Some(match kind {
            0 => Self::Add,
            1 => Self::Remove,
            2 => Self::Update,
            _ => return None,
        })
    }
}

/// A member asks the leader for a change of the voters.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct ChangeBody {
    /// A [`ChangeKind`].
    pub(crate) kind: i8,
    pub(crate) voter: VotersVoter,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct ChangeAnswer {
    /// An error code, 0 when it is done.
    pub(crate) code: i16,
    pub(crate) text: String,
}

impl From<NodeKey> for WireKey {
    fn from(key: NodeKey) -> Self {
        Self { id: key.id, directory: key.directory }
    }
}

impl WireKey {
    pub(crate) fn key(&self) -> NodeKey {
        NodeKey::new(self.id, self.directory)
    }
}

impl WirePosition {
    pub(crate) fn new(id: Option<LogId>) -> Self {
        match id {
            None => Self { epoch: 0, next_index: 0 },
            Some(id) => Self {
                epoch: id.leader_id.term,
                next_index: i64::try_from(id.index).unwrap_or(i64::MAX - 1).saturating_add(1),
            },
        }
    }

    /// The entry; `None` for a negative index, too, which no member sends.
    pub(crate) fn id(self) -> Option<LogId> {
        let index = u64::try_from(self.next_index).ok()?.checked_sub(1)?;
        Some(LogId::new(CommittedLeaderId::new(self.epoch), index))
    }
}

impl WireVote {
    pub(crate) fn new(vote: &Vote) -> Self {
        let leader = vote.leader_id();
        Self { epoch: leader.term, node: leader.voted_for.into(), committed: vote.is_committed() }
    }

    pub(crate) fn vote(&self) -> Vote {
        use openraft::vote::RaftLeaderId;
        let leader = <Vote as RaftVote>::LeaderId::new(self.epoch, self.node.key());
        Vote::from_leader_id(leader, self.committed)
    }
}

impl ChangeBody {
    pub(crate) fn new(kind: ChangeKind, voter: &Voter) -> Self {
        Self { kind: kind as i8, voter: control::to_wire(voter.key, &voter.member) }
    }
}

impl HelloAnswer {
    /// Who leads, as the answering member knows it.
    pub(crate) fn leader(&self) -> Option<Voter> {
        let (key, member) = control::from_wire(self.leader.first()?);
        Some(Voter { key, member })
    }
}
