//! One connection: frames to requests, answers to frames.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use bytes::Bytes;
use ottla_net::{CloseReason, Outcome, Part, Peer, PendingReply, Reply, Response, Service};
use ottla_wire::api::header::{RequestHeader, ResponseHeader};
use ottla_wire::api::{ApiKey, ApiSpec, Listener};
use ottla_wire::codec::Encoded;
use ottla_wire::{Decoder, Encoder, Message};

use crate::answer::{Answer, Filled, Holds};
use crate::call::{Call, Session};
use crate::context::Context;
use crate::peers::members;
use crate::routes;

/// Opens connections of one listener.
#[derive(Clone, Debug)]
pub struct Opener {
    /// Whom they ask.
    pub context: Arc<Context>,
    /// Which kind of listener it is.
    pub kind: Listener,
}

impl ottla_net::Opener for Opener {
    type Service = Connection;

    fn open(&self, peer: Peer) -> Connection {
        let nobody = Arc::clone(&self.context.anonymous);
        let session = Session::new(peer.id.0, peer.remote, peer.listener, self.kind, nobody);
        Connection { context: Arc::clone(&self.context), session }
    }
}

/// The service of one connection.
#[derive(Debug)]
pub struct Connection {
    context: Arc<Context>,
    session: Arc<Session>,
}

/// Most characters of a client's id in a log line.
const CLIENT_SHOWN: usize = 100;

impl Service for Connection {
    fn call(&mut self, frame: Bytes) -> Outcome {
        match self.answer(frame) {
            Outcome::Close(CloseReason(why)) => {
                let client = self.session.client.get().map_or("", String::as_str);
                Outcome::Close(CloseReason(format!("{why} (client {client:?})")))
            }
            outcome => outcome,
        }
    }
}

impl Connection {
    fn answer(&self, frame: Bytes) -> Outcome {
        let size = frame.len();
        if self.session.kind == Listener::Controller && members::is_exchange(&frame) {
            self.session.heard.note_member();
            return members::receive(&self.context, frame);
        }
        let mut decoder = Decoder::new(frame);
        let (key, header) = match RequestHeader::decode_at_start(&mut decoder) {
            Ok(both) => both,
            Err(error) => return Outcome::Close(CloseReason(format!("request header: {error}"))),
        };
        let spec = key.spec();
        let version = header.request_api_version;
        let envelope = Envelope::new(spec, version, header.correlation_id, size);
        let call = Call {
            context: Arc::clone(&self.context),
            session: Arc::clone(&self.session),
            version,
            client_id: header.client_id.unwrap_or_default(),
            refused: None,
        };
        self.session.client.get_or_init(|| call.client_id.chars().take(CLIENT_SHOWN).collect());
        if !spec.stable.contains(version) || !spec.is_on(self.session.kind) {
            return refuse(call, envelope);
        }
        routes::dispatch(key, call, envelope, decoder)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.session.heard.ended(&self.context);
        if self.session.telemetry.load(Ordering::Relaxed) {
            self.context.telemetry.disconnected(self.session.id);
        }
    }
}

/// A version that is not served: ApiVersions is told which are (KIP-511), others are closed.
fn refuse(call: Call, envelope: Envelope) -> Outcome {
    if envelope.spec.key == ApiKey::ApiVersions {
        let envelope = Envelope { version: 0, ..envelope };
        return envelope.outcome(crate::api::api_versions::unsupported(&call));
    }
    Outcome::Close(envelope.unsupported())
}

/// What is needed to send an answer back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope {
    spec: &'static ApiSpec,
    version: i16,
    correlation_id: i32,
    /// The frame's length in bytes.
    size: usize,
}

impl Envelope {
    /// Of a request of this version.
    pub(crate) fn new(
        spec: &'static ApiSpec,
        version: i16,
        correlation_id: i32,
        size: usize,
    ) -> Self {
        Self { spec, version, correlation_id, size }
    }

    /// Decodes a request; the reason to close the connection when it cannot be.
    pub(crate) fn decode<M: Message>(self, decoder: &mut Decoder) -> Result<M, CloseReason> {
        M::decode(decoder, self.version).map_err(|error| {
            CloseReason(format!("{} version {}: {error}", self.spec.name, self.version))
        })
    }

    /// Why a request that is not served here closes the connection.
    pub(crate) fn unsupported(self) -> CloseReason {
        CloseReason(format!("{} version {} is not served here", self.spec.name, self.version))
    }

    /// What the network is told to do with an answer. A future is polled once here, since most are
    /// ready by then, and one that is ready costs no allocation in the network's queue.
    pub(crate) fn outcome<M: Message + Send + 'static>(self, answer: Answer<M>) -> Outcome {
        match answer {
            Answer::Now(filled) => match self.response(filled) {
                Ok(response) => Outcome::Ready(response),
                Err(reason) => Outcome::Close(reason),
            },
            Answer::Later(mut later, holds) => {
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                match later.as_mut().poll(&mut context) {
                    Poll::Ready(filled) => self.outcome(Answer::Now(filled)),
                    // The first poll of the network's registers the waker that counts.
                    Poll::Pending => Outcome::Pending {
                        reply: self.pending(later),
                        holds: match holds {
                            Holds::Frame => self.size,
                            Holds::Bytes(bytes) => bytes,
                        },
                    },
                }
            }
            Answer::Silent => Outcome::NoResponse,
            Answer::Close(reason) => Outcome::Close(CloseReason(reason)),
        }
    }

    fn pending<M: Message + Send + 'static>(self, later: crate::answer::Later<M>) -> PendingReply {
        Box::pin(async move {
            match self.response(later.await) {
                Ok(response) => Reply::Response(response),
                Err(reason) => Reply::Close(reason),
            }
        })
    }

    /// Encodes a response, and puts the file slices into its holes.
    fn response<M: Message>(self, filled: Filled<M>) -> Result<Response, CloseReason> {
        let failed = |error: ottla_wire::EncodeError| {
            CloseReason(format!("{} version {}: {error}", self.spec.name, self.version))
        };
        let mut encoder = Encoder::with_capacity(128);
        ResponseHeader { correlation_id: self.correlation_id }
            .encode(&mut encoder, self.spec.response_header(self.version))
            .map_err(failed)?;
        filled.response.encode(&mut encoder, self.version).map_err(failed)?;
        let encoded = encoder.finish();
        if encoded.holes.is_empty() {
            return Ok(Response::bytes(encoded.bytes));
        }
        fill(&encoded, filled.slices)
    }
}

/// Lays the slices into the holes, in order. Each hole must have its slice, of its length.
fn fill(encoded: &Encoded, slices: Vec<ottla_net::FileSlice>) -> Result<Response, CloseReason> {
    let mut slices = slices.into_iter();
    let mut response = Response::default();
    for part in encoded.parts() {
        match part {
            ottla_wire::codec::Part::Bytes(bytes)
                if response.rest.is_empty() && response.head.is_empty() =>
            {
                response.head = bytes;
            }
            ottla_wire::codec::Part::Bytes(bytes) => response.push(Part::Bytes(bytes)),
            ottla_wire::codec::Part::Hole(len) => match slices.next() {
                Some(slice) if slice.len == len => response.push(Part::File(slice)),
                _ => {
                    return Err(CloseReason(
                        "a hole of a response has no slice of its length".into(),
                    ));
                }
            },
        }
    }
    Ok(response)
}
