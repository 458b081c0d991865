//! What members of the quorum say to each other, as bytes.
//!
//! A request is its head and, by its kind, a body; an answer the same. All of it is declared as Kafka's messages are, so
//! that no decoder reserves memory by a number a peer sent. Entries travel as the batches that stand in the log. The
//! wire is ours alone: [`VERSION`] comes first, and another one is refused.

mod bodies;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use ottla_wire::{DecodeError, Decoder, EncodeError, Encoder, Message};
use thiserror::Error;

pub(crate) use bodies::{
    AnswerHead, AppendAnswer, AppendBody, Applicant, ChangeAnswer, ChangeBody, ChangeKind,
    HelloAnswer, HelloBody, RequestHead, SnapshotAnswer, SnapshotBody, TransferAnswer,
    TransferBody, VoteAnswer, VoteBody, WirePosition, WireVote,
};

/// The version of the wire between members.
const VERSION: i16 = 1;

/// Most bytes of one request or answer: a batch of the largest size with what stands around it.
pub const MAX_MESSAGE_BYTES: usize = crate::batch::MAX_BATCH_BYTES + (1 << 20);

/// Most bytes of a snapshot in one request.
pub(crate) const MAX_CHUNK: usize = 1 << 20;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A vote.
    Vote = 0,
    /// Whether a vote would be given.
    PreVote = 1,
    /// To append entries, or none as a heartbeat.
    Append = 2,
    /// To store a piece of a snapshot.
    Snapshot = 3,
    /// To let another member lead.
    Transfer = 4,
    /// To know each other: where the sender is, and what it needs.
    Hello = 5,
    /// To change the voters.
    Change = 6,
}

impl Kind {
    fn from_wire(kind: i8) -> Option<Self> {
        Some(match kind {
            0 => Self::Vote,
            1 => Self::PreVote,
            2 => Self::Append,
            3 => Self::Snapshot,
            4 => Self::Transfer,
            5 => Self::Hello,
            6 => Self::Change,
            _ => return None,
        })
    }
}

/// Why a member does not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Refusal {
    /// The sender belongs to another cluster.
    ForeignCluster = 1,
    /// Another member is reached at this address.
    WrongKey = 2,
    /// It has begun only now, and does not yet know what it may do.
    NotReady = 3,
    /// Two processes run as the sender.
    Duplicate = 4,
    /// What was sent cannot be true.
    Invalid = 5,
    /// It has ended, as when its disk failed.
    Stopped = 6,
}

impl Refusal {
    fn from_wire(refusal: i8) -> Option<Self> {
        Some(match refusal {
            1 => Self::ForeignCluster,
            2 => Self::WrongKey,
            3 => Self::NotReady,
            4 => Self::Duplicate,
            5 => Self::Invalid,
            6 => Self::Stopped,
            _ => return None,
        })
    }
}

/// What of a message cannot be understood.
#[derive(Debug, Error)]
pub(crate) enum RpcError {
    #[error("it is of version {0} of the members' wire; this one speaks version {VERSION}")]
    Version(i16),
    #[error("it is of an unknown kind {0}")]
    Kind(i8),
    #[error("it has {0} bytes")]
    Size(usize),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// A request that was read up to its body.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) head: RequestHead,
    pub(crate) kind: Kind,
    body: Decoder,
}

impl Incoming {
    /// Reads a request's head.
    pub(crate) fn read(bytes: Bytes) -> Result<Self, RpcError> {
        let mut body = open(bytes)?;
        let head = RequestHead::decode(&mut body, 0)?;
        let kind = Kind::from_wire(head.kind).ok_or(RpcError::Kind(head.kind))?;
        Ok(Self { head, kind, body })
    }

    /// Reads the body.
    pub(crate) fn body<M: Message>(mut self) -> Result<M, RpcError> {
        close(&mut self.body)
    }
}

/// Writes a request.
pub(crate) fn request<M: Message>(
    mut head: RequestHead,
    kind: Kind,
    body: &M,
) -> Result<Bytes, RpcError> {
    head.kind = kind as i8;
    write(&head, Some(body))
}

/// Writes an answer.
pub(crate) fn answer<M: Message>(head: &AnswerHead, body: &M) -> Result<Bytes, RpcError> {
    write(head, Some(body))
}

/// Writes an answer that says no more than why.
pub(crate) fn refusal(mut head: AnswerHead, why: Refusal, text: String) -> Result<Bytes, RpcError> {
    head.refusal = why as i8;
    head.text = text;
    write::<_, AnswerHead>(&head, None)
}

/// Reads an answer: what was asked for, or why not.
pub(crate) fn read_answer<M: Message>(
    bytes: Bytes,
) -> Result<(AnswerHead, Result<M, Refusal>), RpcError> {
    let mut body = open(bytes)?;
    let head = AnswerHead::decode(&mut body, 0)?;
    if head.refusal != 0 {
        let why = Refusal::from_wire(head.refusal).unwrap_or(Refusal::Invalid);
        return Ok((head, Err(why)));
    }
    Ok((head, Ok(close(&mut body)?)))
}

fn write<H: Message, M: Message>(head: &H, body: Option<&M>) -> Result<Bytes, RpcError> {
    let mut e = Encoder::new();
    head.encode(&mut e, 0)?;
    if let Some(body) = body {
        body.encode(&mut e, 0)?;
    }
    let rest = e.into_bytes()?;
    let mut bytes = BytesMut::with_capacity(2 + rest.len());
    bytes.put_i16(VERSION);
    bytes.extend_from_slice(&rest);
    if bytes.len() > MAX_MESSAGE_BYTES {
        return Err(RpcError::Size(bytes.len()));
    }
    Ok(bytes.freeze())
}

fn open(mut bytes: Bytes) -> Result<Decoder, RpcError> {
    if bytes.len() < 2 || bytes.len() > MAX_MESSAGE_BYTES {
        return Err(RpcError::Size(bytes.len()));
    }
    match bytes.get_i16() {
        VERSION => Ok(Decoder::new(bytes)),
        other => Err(RpcError::Version(other)),
    }
}

fn close<M: Message>(d: &mut Decoder) -> Result<M, RpcError> {
    let message = M::decode(d, 0)?;
    d.expect_end()?;
    Ok(message)
}

#[cfg(test)]
mod tests {
    use ottla_wire::Uuid;

    use super::*;
    use crate::voter::NodeKey;

    fn head() -> RequestHead {
        let key = NodeKey::new(1, Uuid::from_u128(7)).into();
        RequestHead { cluster_id: "c".into(), from: key, ..RequestHead::default() }
    }

    #[test]
    fn comes_back_as_it_was_sent() {
        let body = AppendBody {
            vote: WireVote { epoch: 3, committed: true, ..WireVote::default() },
            previous: WirePosition { epoch: 2, next_index: 9 },
            batches: Bytes::from_static(b"batches"),
            ..AppendBody::default()
        };
        let bytes = request(head(), Kind::Append, &body).unwrap();
        let read = Incoming::read(bytes.clone()).unwrap();
        assert_eq!((read.kind, read.head.cluster_id.as_str()), (Kind::Append, "c"));
        assert_eq!(read.body::<AppendBody>().unwrap(), body);
        // Cut anywhere, it is refused; nothing panics.
        for len in 0..bytes.len() {
            let cut = Incoming::read(bytes.slice(..len)).and_then(Incoming::body::<AppendBody>);
            assert!(cut.is_err(), "{len}");
        }
    }

    #[test]
    fn a_refusal_says_why() {
        let bytes = refusal(AnswerHead::default(), Refusal::WrongKey, "node 4".into()).unwrap();
        let (head, body) = read_answer::<VoteAnswer>(bytes).unwrap();
        assert_eq!((body, head.text.as_str()), (Err(Refusal::WrongKey), "node 4"));
    }

    #[test]
    fn another_version_is_refused() {
        let mut bytes = request(head(), Kind::Vote, &VoteBody::default()).unwrap().to_vec();
        bytes[1] = 9;
        assert!(matches!(Incoming::read(bytes.into()), Err(RpcError::Version(9))));
    }
}
