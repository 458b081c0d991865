//! The network of a quorum of several members: openraft's requests as the messages of [`rpc`](crate::rpc).

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use openraft::errors::{
    NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable,
};
use openraft::network::{Backoff, RPCOption, RPCTypes};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderError,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, RaftNetworkFactory, RaftNetworkV2};
use ottla_log::disk::{DiskFile, Open};
use ottla_wire::Message;

use crate::peers::{Failure, Peers};
use crate::rpc::{
    AppendAnswer, AppendBody, Kind, MAX_CHUNK, Refusal, SnapshotAnswer, SnapshotBody,
    TransferAnswer, TransferBody, VoteAnswer, VoteBody, WirePosition, WireVote,
};
use crate::simulated;
use crate::snapshot::SnapshotId;
use crate::state_machine::{RaftSnapshot, SnapshotSource};
use crate::store::Store;
use crate::transport::TransportError;
use crate::types::{TypeConfig, Vote};
use crate::voter::{Member, NodeKey};

/// How much longer than a heartbeat entries may take, which the other side must flush.
const APPEND_PATIENCE: u32 = 10;

/// How long a piece of a snapshot may take.
const CHUNK_PATIENCE: Duration = Duration::from_secs(10);

/// How long the last one may take, with which the whole is installed. One that is lost costs as long.
const INSTALL_PATIENCE: Duration = Duration::from_secs(30);

/// The longest pause before a member that does not answer is tried again. One that was paused takes itself for a leader of
/// partitions until it hears of what happened meanwhile.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// How often a receiver may ask for a piece again before the whole is given up for now.
const MAX_STEPS_BACK: u32 = 8;

/// Makes the ways to the other members.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub(crate) peers: Arc<Peers>,
    /// What is sent.
    pub(crate) store: Arc<Store>,
}

/// The way to one member.
#[derive(Clone)]
pub(crate) struct Way {
    peers: Arc<Peers>,
    store: Arc<Store>,
    to: NodeKey,
    /// As the log has it.
    member: Member,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Way({} to {})", self.peers.me(), self.to)
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Way;

    async fn new_client(&mut self, target: NodeKey, node: &Member) -> Way {
        let (peers, store) = (self.peers.clone(), self.store.clone());
        Way { peers, store, to: target, member: node.clone() }
    }
}

impl Way {
    async fn ask<B: Message, A: Message>(
        &self,
        kind: Kind,
        body: &B,
        patience: Duration,
    ) -> Result<A, RPCError<TypeConfig>> {
        let answer = self.peers.ask((self.to, &self.member), kind, body, patience).await;
        answer.map_err(|failure| self.error(kind, &failure))
    }

    fn error(&self, kind: Kind, failure: &Failure) -> RPCError<TypeConfig> {
        match failure {
            Failure::Transport(TransportError::Timeout(timeout)) => {
                let action = match kind {
                    Kind::Vote | Kind::PreVote => RPCTypes::Vote,
                    Kind::Snapshot => RPCTypes::InstallSnapshot,
                    Kind::Transfer => RPCTypes::TransferLeader,
                    Kind::Append | Kind::Hello | Kind::Change => RPCTypes::AppendEntries,
                };
                let (id, target) = (self.peers.me(), self.to);
                RPCError::Timeout(Timeout { action, id, target, timeout: *timeout })
            }
            Failure::Transport(TransportError::Broken(_)) => {
                RPCError::Network(NetworkError::new(failure))
            }
            Failure::Transport(TransportError::Unreachable(_))
            | Failure::Refused(..)
            | Failure::Nonsense(_) => RPCError::Unreachable(Unreachable::new(failure)),
        }
    }

    fn nonsense(&self, kind: Kind, why: &str) -> RPCError<TypeConfig> {
        self.error(kind, &Failure::Nonsense(why.to_owned()))
    }

    async fn ask_for_vote(
        &self,
        kind: Kind,
        rpc: VoteRequest<TypeConfig>,
        patience: Duration,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let body = VoteBody {
            vote: WireVote::new(&rpc.vote),
            last: WirePosition::new(rpc.last_log_id),
            transfer: rpc.leadership_transfer,
        };
        let answer: VoteAnswer = self.ask(kind, &body, patience).await?;
        Ok(VoteResponse::new(answer.vote.vote(), answer.last.id(), answer.granted))
    }

    async fn send_snapshot(
        &self,
        vote: Vote,
        snapshot: RaftSnapshot,
    ) -> Result<SnapshotResponse<TypeConfig>, RPCError<TypeConfig>> {
        let SnapshotSource::Stored { disk, path } = snapshot.snapshot else {
            return Err(self.nonsense(Kind::Snapshot, "the snapshot is not on this disk"));
        };
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(id) = name.and_then(SnapshotId::parse) else {
            return Err(self.nonsense(Kind::Snapshot, "the snapshot has no name"));
        };
        let opened = blocking(move || {
            let file = disk.open(&path, Open::Read)?;
            let len = file.len()?;
            Ok((file, len))
        });
        let unread = |e| self.nonsense(Kind::Snapshot, &format!("cannot read {id}: {e}"));
        let (file, size) = opened.await.map_err(unread)?;
        let last = WirePosition::new(snapshot.meta.last_log_id);
        let (mut position, mut steps_back) = (0, 0);
        loop {
            let bytes =
                piece(&file, position, self.peers.pace().piece_bytes).await.map_err(unread)?;
            let end = position + bytes.len() as u64;
            let body = SnapshotBody {
                vote: WireVote::new(&vote),
                end_offset: id.end_offset,
                epoch: id.epoch,
                last,
                size: i64::try_from(size).unwrap_or(i64::MAX),
                position: i64::try_from(position).unwrap_or(i64::MAX),
                bytes,
            };
            // The last piece is answered when the whole is installed.
            let patience = if end >= size { INSTALL_PATIENCE } else { CHUNK_PATIENCE };
            let answer: SnapshotAnswer = self.ask(Kind::Snapshot, &body, patience).await?;
            let theirs = answer.vote.vote();
            if answer.done || theirs > vote {
                return Ok(SnapshotResponse::new(theirs));
            }
            let next = u64::try_from(answer.position).unwrap_or(u64::MAX);
            if next > end || next >= size {
                return Err(self.nonsense(Kind::Snapshot, "it wants a piece that there is not"));
            }
            if next <= position {
                steps_back += 1;
            }
            if steps_back > MAX_STEPS_BACK {
                return Err(
                    self.nonsense(Kind::Snapshot, "it wants the same piece again and again")
                );
            }
            position = next;
        }
    }
}

/// At most so many bytes of a file, and never more than [`MAX_CHUNK`].
async fn piece(file: &Arc<dyn DiskFile>, position: u64, most: u32) -> std::io::Result<Bytes> {
    let file = file.clone();
    blocking(move || {
        let most = usize::try_from(most).unwrap_or(MAX_CHUNK).clamp(1, MAX_CHUNK);
        let mut bytes = vec![0; most];
        let n = file.read_at(&mut bytes, position)?;
        bytes.truncate(n);
        Ok(bytes.into())
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    simulated::blocking(work).await.map_err(std::io::Error::other)?
}

impl RaftNetworkV2<TypeConfig> for Way {
    type SnapshotData = SnapshotSource;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        let batches = rpc.entries.iter().map(|entry| entry.batch.clone());
        let Some(batches) = batches.collect::<Option<Vec<Bytes>>>() else {
            return Err(self.nonsense(Kind::Append, "an entry is not in the log yet"));
        };
        let batches = match batches.as_slice() {
            [] => Bytes::new(),
            [one] => one.clone(),
            many => {
                let mut all = BytesMut::with_capacity(many.iter().map(Bytes::len).sum());
                many.iter().for_each(|batch| all.extend_from_slice(batch));
                all.freeze()
            }
        };
        let patience = if batches.is_empty() {
            option.hard_ttl()
        } else {
            option.hard_ttl().saturating_mul(APPEND_PATIENCE)
        };
        // It is told, so that it can tell the person who looks at it.
        let lost = self.peers.forgotten(self.to, rpc.vote);
        let body = AppendBody {
            vote: WireVote::new(&rpc.vote),
            previous: WirePosition::new(rpc.prev_log_id),
            committed: WirePosition::new(rpc.leader_commit),
            batches,
            lost_before: lost.map_or(0, |upto| i64::try_from(upto).unwrap_or(0).saturating_add(1)),
        };
        let answer: AppendAnswer = self.ask(Kind::Append, &body, patience).await?;
        let previous = rpc.prev_log_id.map(|id| id.index);
        let acknowledged = |upto: Option<u64>| {
            let end = self.store.next_index();
            upto.into_iter().for_each(|upto| {
                self.peers.acknowledged(self.to, rpc.vote, upto, end);
            });
        };
        match answer.outcome {
            0 => {
                acknowledged(rpc.entries.last().map(|entry| entry.log_id.index).or(previous));
                Ok(AppendEntriesResponse::Success)
            }
            1 => {
                let upto = answer.upto.id();
                acknowledged(upto.map(|id| id.index));
                Ok(AppendEntriesResponse::PartialSuccess(upto))
            }
            // What was acknowledged cannot conflict; to go back behind it would be to count it as held all the same.
            2 if previous.is_some_and(|at| self.peers.has_forgotten(self.to, rpc.vote, at)) => {
                Err(self.nonsense(Kind::Append, "it has lost what it acknowledged"))
            }
            // Nothing comes before the first entry, so nothing can be missing there.
            2 if rpc.prev_log_id.is_some() => Ok(AppendEntriesResponse::Conflict),
            3 => Ok(AppendEntriesResponse::HigherVote(answer.vote.vote())),
            _ => Err(self.nonsense(Kind::Append, "an unknown outcome")),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.ask_for_vote(Kind::Vote, rpc, option.hard_ttl()).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.ask_for_vote(Kind::PreVote, rpc, option.hard_ttl()).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: RaftSnapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = self.send_snapshot(vote, snapshot) => match sent {
                Ok(response) => Ok(response),
                Err(RPCError::Timeout(e)) => Err(StreamingError::Timeout(e)),
                Err(RPCError::Network(e)) => Err(StreamingError::Network(e)),
                Err(e) => Err(StreamingError::Unreachable(Unreachable::new(&e))),
            },
        }
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        let body = TransferBody {
            from: WireVote::new(req.from_leader()),
            to: (*req.to_node_id()).into(),
            last: WirePosition::new(req.last_log_id().copied()),
        };
        let answer: TransferAnswer = self.ask(Kind::Transfer, &body, option.hard_ttl()).await?;
        Ok(match answer.outcome {
            0 => Ok(()),
            1 => Err(TransferLeaderError::VoteChanged {
                expected: *req.from_leader(),
                actual: answer.vote.vote(),
            }),
            _ => Err(TransferLeaderError::LogNotFlushed {
                expected: req.last_log_id().copied(),
                actual: answer.last.id(),
            }),
        })
    }

    fn backoff(&self) -> Option<Backoff> {
        let pace = *self.peers.pace();
        let longest = LONGEST_PAUSE.max(pace.first_pause);
        let pauses = std::iter::successors(Some(pace.first_pause), move |pause| {
            Some(pace.after(*pause).min(longest))
        });
        Some(Backoff::new(pauses))
    }
}

impl Failure {
    /// Whether the other side is there and will answer differently soon.
    pub(crate) fn is_not_ready(&self) -> bool {
        matches!(self, Self::Refused(Refusal::NotReady, _))
    }
}
