//! The other end of the members' wire: what a node does with the requests it receives.

mod snapshots;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::async_runtime::WatchReceiver;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderError, TransferLeaderRequest,
    VoteRequest,
};
use ottla_wire::Message;
use ottla_wire::record::{Batch, BatchHeader};

use super::Node;
use super::greet;
use super::members::{Asker, Changer};
use super::standing::{Standing, Standings};
use super::watch_leader::leader_of;
use crate::control;
use crate::error::QuorumError;
use crate::peers::{ANYONE, Peers};
use crate::quorum::VoterChange;
use crate::rpc::{
    self, AnswerHead, AppendAnswer, AppendBody, Applicant, ChangeAnswer, ChangeBody, ChangeKind,
    HelloAnswer, HelloBody, Incoming, Kind, Refusal, TransferAnswer, TransferBody, VoteAnswer,
    VoteBody, WirePosition, WireVote,
};
use crate::simulated;
use crate::state_machine::Signals;
use crate::store::{self, Store};
use crate::types::{CommittedLeaderId, Entry, LogId};
use crate::voter::{Member, NodeKey, Voter};
pub(super) use snapshots::Inbox;

/// How long a member waits for a change of the voters that it passed on.
pub(super) const CHANGE_PATIENCE: Duration = Duration::from_secs(30);

/// Why a request is not done: what is answered.
struct No(Refusal, String);

type Done<T> = Result<T, No>;

impl From<rpc::RpcError> for No {
    fn from(e: rpc::RpcError) -> Self {
        Self(Refusal::Invalid, format!("the request cannot be understood: {e}"))
    }
}

/// What a node's requests from other members come to.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(super) node: NodeKey,
    pub(super) raft: Node,
    pub(super) store: Arc<Store>,
    pub(super) peers: Arc<Peers>,
    pub(super) standings: Arc<Standings>,
    pub(super) changer: Changer,
    /// Where this node listens.
    pub(super) member: Member,
    pub(super) inbox: Inbox,
    /// Where the reason is noted when this node must not go on.
    pub(super) signals: Arc<Signals>,
}

impl Desk {
    /// Does what a member asks for. The answer says so where it is refused; an error means that the node has ended.
    pub(crate) async fn receive(&self, request: Bytes) -> Result<Bytes, QuorumError> {
        let answered = match Incoming::read(request) {
            Ok(incoming) => self.answer(incoming).await,
            Err(e) => Err(e.into()),
        };
        let bytes = match answered {
            Ok(bytes) => Ok(bytes),
            Err(No(why, text)) => rpc::refusal(self.head(), why, text),
        };
        bytes.map_err(|e| QuorumError::Stopped(format!("an answer cannot be written: {e}")))
    }

    fn head(&self) -> AnswerHead {
        AnswerHead { key: self.node.into(), ..AnswerHead::default() }
    }

    fn done<M: Message>(&self, body: &M) -> Done<Bytes> {
        Ok(rpc::answer(&self.head(), body)?)
    }

    async fn answer(&self, incoming: Incoming) -> Done<Bytes> {
        let from = incoming.head.from.key();
        self.identify(&incoming, from)?;
        if matches!(incoming.kind, Kind::Append | Kind::Snapshot) {
            // Who is sent entries hears of a past, if of nothing else.
            greet::note_past(&self.raft, &self.standings).await;
        }
        self.admit(&incoming)?;
        match incoming.kind {
            kind @ (Kind::Vote | Kind::PreVote) => self.vote(kind, incoming.body()?).await,
            Kind::Append => self.append(incoming.body()?).await,
            Kind::Snapshot => {
                let answer = self.take_piece(incoming.body()?).await?;
                self.done(&answer)
            }
            Kind::Transfer => self.transfer(incoming.body()?).await,
            Kind::Hello => {
                let process = incoming.head.incarnation;
                self.hello((from, process), incoming.body()?).await
            }
            Kind::Change => self.change(from, incoming.body()?).await,
        }
    }

    /// Whether the sender is one of the quorum, and means this node.
    fn identify(&self, incoming: &Incoming, from: NodeKey) -> Done<()> {
        let head = &incoming.head;
        let cluster = self.peers.cluster_id();
        if head.cluster_id != cluster {
            let theirs = &head.cluster_id;
            if self.peers.is_new_stranger(from, theirs) {
                tracing::warn!(
                    "node {} of cluster {theirs} took this node for one of its quorum; this is cluster {cluster}. One of the \
                     two is in the wrong place: mend its controller.quorum.voters or controller.quorum.bootstrap.servers, or \
                     format its directories with the cluster id of the others",
                    from.id
                );
            }
            let text = format!("this is cluster {cluster}, and it belongs to {theirs}");
            return Err(No(Refusal::ForeignCluster, text));
        }
        let to = head.to.key();
        if to != self.node && to != ANYONE {
            return Err(No(Refusal::WrongKey, format!("this is node {}", self.node)));
        }
        if from == self.node || !self.peers.is_only_process(from, head.incarnation) {
            let text = format!("two processes run as node {}", from.id);
            if self.peers.is_new_double(from, head.incarnation) {
                tracing::error!(
                    "{text}, directory {}: one of them must be stopped",
                    head.directory
                );
            }
            return Err(No(Refusal::Duplicate, text));
        }
        Ok(())
    }

    /// Whether this node may do such a thing by now.
    fn admit(&self, incoming: &Incoming) -> Done<()> {
        let standing = self.standings.now();
        let barred = match incoming.kind {
            Kind::Vote | Kind::PreVote | Kind::Transfer => standing != Standing::Full,
            Kind::Append | Kind::Snapshot | Kind::Change => standing == Standing::Asking,
            Kind::Hello => false,
        };
        if barred {
            let text = match standing {
                Standing::Asking => "it has not found out yet whether the quorum is new",
                _ => "its disk was emptied, and it has not caught up since",
            };
            return Err(No(Refusal::NotReady, text.to_owned()));
        }
        Ok(())
    }

    fn stopped(&self, e: &impl std::fmt::Display) -> No {
        No(Refusal::Stopped, format!("its part in the quorum has ended: {e}"))
    }

    async fn vote(&self, kind: Kind, body: VoteBody) -> Done<Bytes> {
        let request = VoteRequest {
            vote: body.vote.vote(),
            last_log_id: body.last.id(),
            leadership_transfer: body.transfer,
        };
        let answer = if kind == Kind::Vote {
            self.raft.vote(request).await
        } else {
            self.raft.pre_vote(request).await
        };
        let answer = answer.map_err(|e| self.stopped(&e))?;
        self.done(&VoteAnswer {
            vote: WireVote::new(&answer.vote),
            granted: answer.vote_granted,
            last: WirePosition::new(answer.last_log_id),
        })
    }

    async fn append(&self, body: AppendBody) -> Done<Bytes> {
        let (previous, committed) = (body.previous.id(), body.committed.id());
        let vote = body.vote.vote();
        let invalid = |why: String| No(Refusal::Invalid, format!("what is to be appended: {why}"));
        if !vote.is_committed() {
            return Err(invalid("nobody leads by that vote".to_owned()));
        }
        self.check_memory(&body).await?;
        let entries = entries(body.batches, previous, body.vote.epoch).map_err(invalid)?;
        let request =
            AppendEntriesRequest { vote, prev_log_id: previous, entries, leader_commit: committed };
        let answer = self.raft.append_entries(request).await.map_err(|e| self.stopped(&e))?;
        let mut wire = AppendAnswer::default();
        match answer {
            AppendEntriesResponse::Success => {}
            AppendEntriesResponse::PartialSuccess(upto) => {
                wire.outcome = 1;
                wire.upto = WirePosition::new(upto);
            }
            AppendEntriesResponse::Conflict => wire.outcome = 2,
            AppendEntriesResponse::HigherVote(vote) => {
                wire.outcome = 3;
                wire.vote = WireVote::new(&vote);
            }
        }
        self.done(&wire)
    }

    /// Ends this node's part in the quorum if the leader says that entries are gone which this node acknowledged, and
    /// they are. With what is left it could vote for a leader that lacks what is committed, and it gets nothing more.
    ///
    /// Of an earlier leader that is no news: what a later one cut off, this node had acknowledged to it, too.
    async fn check_memory(&self, body: &AppendBody) -> Done<()> {
        let Some(acknowledged) = u64::try_from(body.lost_before).ok().filter(|lost| *lost > 0)
        else {
            return Ok(());
        };
        let end = self.store.next_index();
        if end >= acknowledged || self.standings.now() != Standing::Full {
            return Ok(());
        }
        let theirs = body.vote.vote();
        let is_newest = self.raft.with_raft_state(move |state| *state.vote_ref() <= theirs).await;
        if !is_newest.map_err(|e| self.stopped(&e))? {
            return Ok(());
        }
        let leader = body.vote.node.key().id;
        let dir = self.store.dir().to_owned();
        let why = QuorumError::Forgotten { dir, end, acknowledged, leader }.to_string();
        // The first reason is the cause of those after it.
        if self.signals.refusal.set(why.clone()).is_ok() {
            let raft = self.raft.clone();
            // This request is answered by the task that the end waits for.
            simulated::spawn(async move { raft.shutdown().await });
        }
        Err(No(Refusal::Stopped, why))
    }

    async fn transfer(&self, body: TransferBody) -> Done<Bytes> {
        let request = TransferLeaderRequest::new(body.from.vote(), body.to.key(), body.last.id());
        let answer = self.raft.handle_transfer_leader(request).await;
        let wire = match answer.map_err(|e| self.stopped(&e))? {
            Ok(()) => TransferAnswer::default(),
            Err(TransferLeaderError::VoteChanged { actual, .. }) => {
                TransferAnswer { outcome: 1, vote: WireVote::new(&actual), ..Default::default() }
            }
            Err(TransferLeaderError::LogNotFlushed { actual, .. }) => {
                TransferAnswer { outcome: 2, last: WirePosition::new(actual), ..Default::default() }
            }
        };
        self.done(&wire)
    }

    async fn hello(&self, (from, process): (NodeKey, i64), body: HelloBody) -> Done<Bytes> {
        let (key, member) = control::from_wire(&body.member);
        if key != from {
            return Err(No(Refusal::Invalid, format!("it speaks for {key}, and is {from}")));
        }
        self.peers.moved_to(key, &member);
        let applicant = Applicant::from_wire(body.applicant);
        let (epoch, leader) = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow_watched();
            let leader = leader_of(&metrics.vote, metrics.current_leader);
            (metrics.vote.leader_id().term, leader)
        };
        let leads = leader == Some(self.node);
        if leads {
            self.peers.greeted(from, process, epoch, applicant);
        }
        if leads && matches!(applicant, Applicant::Blank | Applicant::CatchingUp) {
            // Its log is shorter than this node saw it last; without this it would never be filled again.
            self.peers.begins_anew(from);
            let allowed = self.raft.trigger().allow_next_revert(&from, true).await;
            allowed.map_err(|e| self.stopped(&e))?.ok();
        }
        // Only now: whatever this node counted as held by the sender lies below.
        let last = self.store.last();
        let membership = self.store.membership();
        if leads {
            self.changer.greeted(Voter { key, member }, applicant);
        }
        let leader = leader.and_then(|leader| {
            let member = match membership.get_node(&leader) {
                _ if leader == self.node => &self.member,
                Some(member) => member,
                None => return None,
            };
            Some(control::to_wire(leader, member))
        });
        self.done(&HelloAnswer {
            member: control::to_wire(self.node, &self.member),
            has_past: self.standings.now() == Standing::CatchingUp
                || last.is_some_and(|id| id.index > 0 || id.leader_id.term > 0),
            epoch,
            leader: leader.into_iter().collect(),
            leads,
            last: WirePosition::new(last.filter(|_| leads)),
            is_voter: membership.voter_ids().any(|voter| voter == from),
        })
    }

    async fn change(&self, from: NodeKey, body: ChangeBody) -> Done<Bytes> {
        let (key, member) = control::from_wire(&body.voter);
        let Some(kind) = ChangeKind::from_wire(body.kind) else {
            return Err(No(Refusal::Invalid, "an unknown change of the voters".to_owned()));
        };
        let change = match kind {
            ChangeKind::Add => VoterChange::Add(Voter { key, member }),
            ChangeKind::Remove => VoterChange::Remove(key),
            ChangeKind::Update => VoterChange::Update(Voter { key, member }),
        };
        let changed = self.changer.change(change, Asker::Member(from)).await;
        let answer = match changed {
            Ok(()) => ChangeAnswer::default(),
            Err(e) => ChangeAnswer { code: e.code().0, text: e.to_string() },
        };
        self.done(&answer)
    }
}

/// The entries of the batches behind an entry. They must follow each other, in epochs that do not go back.
fn entries(batches: Bytes, previous: Option<LogId>, epoch: i32) -> Result<Vec<Entry>, String> {
    if batches.is_empty() {
        return Ok(Vec::new());
    }
    let size = batches.len();
    let batches = store::split_batches(batches)?;
    if batches.iter().map(Bytes::len).sum::<usize>() != size {
        return Err("the last batch is cut short".to_owned());
    }
    let mut before = previous.map_or(0, |id| id.leader_id.term);
    let mut index = previous.map_or(0, |id| id.index + 1);
    let mut entries = Vec::with_capacity(batches.len());
    for bytes in batches {
        let header = BatchHeader::parse(&bytes).map_err(|e| e.to_string())?;
        Batch::parse(&bytes).and_then(|b| b.check_crc()).map_err(|e| e.to_string())?;
        let term = header.partition_leader_epoch;
        if term < before || term > epoch {
            return Err(format!("an entry of epoch {term} between epochs {before} and {epoch}"));
        }
        let id = LogId::new(CommittedLeaderId::new(term), index);
        entries.push(store::parse_entry(id, &bytes)?);
        (before, index) = (term, index + 1);
    }
    Ok(entries)
}
