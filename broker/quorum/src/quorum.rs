//! What the broker needs of a quorum, so that the engine behind it can be changed.

use std::fmt::{self, Debug};
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use ottla_metadata::{Image, MetadataVersion};
use ottla_wire::schema::metadata::MetadataRecord;
use tokio::sync::watch;

use crate::error::QuorumError;
use crate::pull::LeaderHint;
use crate::updates::Updates;
use crate::voter::{Member, NodeKey, Voter};

/// A future that the trait's callers can keep.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The replicated metadata log: records go in at the leader, and come out on every node in the same order.
///
/// Offsets are those of the metadata log, epochs those of its leaders, as Kafka's clients see them.
pub trait Quorum: Debug + Send + Sync + 'static {
    /// Hands records to the log as one atomic batch, in the order of the calls that were awaited one after the
    /// other. The outer future is done when the batch has its place in line, the [`Proposal`] when it is committed
    /// and applied on this node.
    ///
    /// `epoch` is the leadership the records were decided under: under any other one they are refused, so that a
    /// leader that was voted out and in again writes nothing that it decided before.
    fn propose(
        &self,
        epoch: i32,
        version: MetadataVersion,
        records: Vec<MetadataRecord>,
    ) -> BoxFuture<'_, Result<Proposal, QuorumError>>;

    /// What was committed, from now on: images, and what changed between them.
    fn updates(&self) -> Updates;

    /// Waits for an image that holds everything that was committed before this node started, as far as this node
    /// or the leader of now knows, whoever leads. What is read back at a start comes in pieces, and a piece alone
    /// would make strays of the logs of topics that are in later ones.
    fn caught_up(&self) -> BoxFuture<'_, Result<Image, QuorumError>>;

    /// Who leads, and every change of it.
    fn leadership(&self) -> watch::Receiver<Leadership>;

    /// Who leads and where it listens, as far as this node knows.
    fn leader_hint(&self) -> Option<LeaderHint> {
        let Leadership { epoch, leader, .. } = *self.leadership().borrow();
        let leader = leader?;
        let voters = self.describe().voters;
        let known = voters.into_iter().find(|voter| voter.key == leader);
        let endpoints = known.map(|voter| voter.member.endpoints).unwrap_or_default();
        Some(LeaderHint { id: leader.id, epoch, endpoints })
    }

    /// The offset the next batch of the log would have, appended or not yet durable. Proposals in line are not
    /// counted.
    fn end_offset(&self) -> i64;

    /// The offset up to which (not included) the log is known to be committed.
    fn high_watermark(&self) -> i64;

    /// The members and how far each is.
    fn describe(&self) -> Description;

    /// Makes a voter of a node that has caught up, or takes the vote from one. One change at a time: a second one is
    /// refused until the first is committed.
    fn change_voters(&self, change: VoterChange) -> BoxFuture<'_, Result<(), QuorumError>>;

    /// Hands leadership to another voter, as before a clean shutdown.
    fn resign(&self, to: Option<NodeKey>) -> BoxFuture<'_, Result<(), QuorumError>>;

    /// Writes a snapshot now. Returns its file when it is durable.
    fn snapshot(&self) -> BoxFuture<'_, Result<PathBuf, QuorumError>>;

    /// Ends the node's part in the quorum and flushes its log.
    fn shutdown(&self) -> BoxFuture<'_, Result<(), QuorumError>>;
}

/// A batch on its way. Done when the batch is committed and this node's image has it.
pub struct Proposal(pub(crate) BoxFuture<'static, Result<Committed, QuorumError>>);

impl Proposal {
    /// A batch that is on its way as this future says; for engines other than the one here.
    #[must_use]
    pub fn new(
        committed: impl Future<Output = Result<Committed, QuorumError>> + Send + 'static,
    ) -> Self {
        Self(Box::pin(committed))
    }
}

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proposal")
    }
}

impl Future for Proposal {
    type Output = Result<Committed, QuorumError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

/// Where a committed batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Committed {
    /// The offset of its last record.
    pub offset: i64,
    /// The epoch of the leader that wrote it.
    pub epoch: i32,
}

/// Who leads the quorum, as far as this node knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    /// The epoch.
    pub epoch: i32,
    /// The leader of the epoch, if it is known.
    pub leader: Option<NodeKey>,
    /// What this node is.
    pub role: Role,
}

/// What a node is in the quorum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It follows a leader, or looks for one.
    #[default]
    Follower,
    /// It was elected, but has not yet applied everything that earlier leaders committed.
    Elected,
    /// It leads, and its image has everything from before its epoch: it may decide.
    Leader,
}

/// The state of the quorum, for DescribeQuorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Who leads.
    pub leadership: Leadership,
    /// See [`Quorum::high_watermark`].
    pub high_watermark: i64,
    /// The voters.
    pub voters: Vec<Replica>,
    /// Members without a vote; and, at the leader, the nodes that pull.
    pub observers: Vec<Replica>,
}

/// A member and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Who.
    pub key: NodeKey,
    /// Where, and what it supports.
    pub member: Member,
    /// The end of its log; known of itself, and to the leader of all. `None` when not known.
    pub log_end_offset: Option<i64>,
    /// Milliseconds since the leader last heard of it; known to the leader only.
    pub last_heard_ms_ago: Option<u64>,
    /// Milliseconds since it had all that was committed then; known to the leader only.
    pub caught_up_ms_ago: Option<u64>,
}

/// A change of the voters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VoterChange {
    /// A new voter.
    Add(Voter),
    /// One that goes. It may be the leader itself, which hands over first.
    Remove(NodeKey),
    /// A voter that is elsewhere now, or supports other levels.
    Update(Voter),
}
