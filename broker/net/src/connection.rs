//! One connection: frames in, answers out, in order.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

use crate::buffer;
use crate::error::FrameError;
use crate::frame::{Fill, FrameReader};
use crate::memory::{Charge, MemoryPool};
use crate::outbox::Outbox;
use crate::registry::{Arriving, Shared, State, Why};
use crate::response::Response;
use crate::service::{CloseReason, Outcome, PendingReply, Reply, Service};
use crate::stats::NetStats;
use crate::transport::Transport;
use crate::waiting::{NoRoom, Seat, WaitingRoom};

/// Requests of one connection that may wait for their answers at once, at the most.
pub(crate) const MAX_IN_FLIGHT: usize = 128;

/// Bytes of answers that may wait for one peer to take them before no more of its requests are
/// read.
const MAX_HELD: usize = 1 << 20;

/// Reads in one turn before others get theirs.
const READS_A_TURN: usize = 16;

/// How long requests are still worked on whose peer sends nothing more. It may have closed only its
/// own direction, or it may be gone: the two look alike until an answer is sent. Kafka, which reads
/// nothing while it works on a request, does not see the end before; so a long poll is answered.
const LINGER: Duration = Duration::from_secs(600);

/// What bounds a connection; shared by many and changed while they run.
#[derive(Debug)]
pub struct ConnectionLimits {
    /// `socket.request.max.bytes`.
    pub max_frame: AtomicU32,
    /// Requests of one connection that may wait for their answers before it is left unread.
    pub max_requests: usize,
    /// Memory of requests that arrive or are worked on, over all connections.
    pub memory: Arc<MemoryPool>,
    /// Memory of requests that wait for their answers, over all connections.
    pub waiting: Arc<WaitingRoom>,
}

/// Why a connection ended.
#[derive(Debug)]
pub enum End {
    /// The peer closed it.
    Peer,
    /// It was ended from outside.
    Killed(Why),
    /// Everything in flight was answered, and the process ends.
    Drained,
    /// The peer sent what is no frame.
    Frame(FrameError),
    /// The service wants it closed.
    Service(CloseReason),
    /// Its requests may not wait for their answers.
    NoRoom(NoRoom),
    /// The stream broke, or a file ended before a slice that was promised of it.
    Io(io::Error),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer => f.write_str("closed by peer"),
            Self::Killed(why) => f.write_str(why.text()),
            Self::Drained => f.write_str("closed at shutdown"),
            Self::Frame(e) => e.fmt(f),
            Self::Service(reason) => f.write_str(&reason.0),
            Self::NoRoom(e) => e.fmt(f),
            Self::Io(e) => e.fmt(f),
        }
    }
}

/// A request whose answer has not left for the outbox.
enum Slot {
    Ready(Response),
    Waiting {
        reply: PendingReply,
        exclusive: Exclusive,
        /// What it took of the waiting room.
        held: u64,
    },
    Silent,
    Close(CloseReason),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Exclusive {
    Yes,
    No,
}

/// Whether a connection is read, or has reasons not to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reads {
    Yes,
    No,
}

/// A connection as a future that resolves when it ends. It owns its transport and its service;
/// dropping it closes the stream and drops what waits.
pub struct Connection<T, S> {
    transport: T,
    service: S,
    reader: FrameReader,
    slots: VecDeque<Slot>,
    outbox: Outbox,
    /// Memory of answers in `slots`.
    ready_memory: usize,
    /// Held by a large frame that is arriving.
    arriving: Option<Charge>,
    /// Large frames so far.
    large: u64,
    /// What the requests in `slots` hold that wait.
    seat: Seat,
    /// Set when the peer sends nothing more: how long it is still answered.
    linger: Option<Pin<Box<tokio::time::Sleep>>>,
    /// Whether the last turn ended because nothing more had come.
    reads: Reads,
    /// What was last told of this connection.
    told: State,
    mute: Option<Pin<Box<tokio::time::Sleep>>>,
    shared: Arc<Shared>,
    limits: Arc<ConnectionLimits>,
    stats: Arc<NetStats>,
    closing: Option<CloseReason>,
}

impl<T, S> Connection<T, S>
where
    T: Transport,
    S: Service,
{
    /// A connection over `transport`, answered by `service`.
    pub fn new(
        transport: T,
        service: S,
        shared: Arc<Shared>,
        limits: Arc<ConnectionLimits>,
        stats: Arc<NetStats>,
    ) -> Self {
        Self {
            transport,
            service,
            reader: FrameReader::new(),
            slots: VecDeque::new(),
            outbox: Outbox::new(),
            ready_memory: 0,
            arriving: None,
            large: 0,
            seat: limits.waiting.seat(),
            linger: None,
            reads: Reads::Yes,
            told: State::default(),
            mute: None,
            shared,
            limits,
            stats,
            closing: None,
        }
    }

    /// Polls what waits, once a wake.
    fn poll_waiting(&mut self, cx: &mut Context<'_>) {
        for slot in &mut self.slots {
            let Slot::Waiting { reply, held, .. } = slot else { continue };
            if let Poll::Ready(reply) = reply.as_mut().poll(cx) {
                self.seat.give(*held);
                *slot = answered(reply);
                if let Slot::Ready(response) = slot {
                    self.ready_memory += response.memory();
                }
            }
        }
    }

    /// Moves answers that are next in order to the outbox.
    fn collect(&mut self) -> io::Result<()> {
        while self.outbox.memory() < MAX_HELD
            && !matches!(self.slots.front(), None | Some(Slot::Waiting { .. }))
        {
            match self.slots.pop_front() {
                Some(Slot::Ready(response)) => {
                    self.ready_memory -= response.memory();
                    self.send(response)?;
                }
                Some(Slot::Close(reason)) => {
                    self.slots.clear();
                    self.ready_memory = 0;
                    self.closing = Some(reason);
                }
                Some(Slot::Silent | Slot::Waiting { .. }) | None => {}
            }
        }
        Ok(())
    }

    fn send(&mut self, mut response: Response) -> io::Result<()> {
        if let Some(pause) = response.mute.take() {
            self.mute = Some(Box::pin(tokio::time::sleep(pause)));
        }
        self.outbox.push(response)
    }

    /// Whether the next frame may be handed to the service now.
    fn accepts(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(mute) = &mut self.mute {
            if mute.as_mut().poll(cx).is_pending() {
                return false;
            }
            self.mute = None;
        }
        let exclusive =
            matches!(self.slots.back(), Some(Slot::Waiting { exclusive: Exclusive::Yes, .. }));
        let closing = matches!(self.slots.back(), Some(Slot::Close(_))) || self.closing.is_some();
        self.slots.len() < self.limits.max_requests
            && self.outbox.memory() + self.ready_memory < MAX_HELD
            && !exclusive
            && !closing
            && !self.shared.drains()
    }

    /// Whether bytes may be read: the frame under way is small, or has its memory.
    fn may_read(&mut self, cx: &Context<'_>) -> bool {
        let needs = self.reader.needs();
        if needs <= buffer::SMALL || self.arriving.is_some() {
            return true;
        }
        if !self.limits.memory.poll_room(self.shared.id.0, cx) {
            return false;
        }
        self.arriving = Some(self.limits.memory.charge(needs));
        self.large += 1;
        true
    }

    /// Hands one frame over and files the outcome in order.
    fn hand_over(&mut self, frame: Bytes, cx: &mut Context<'_>) -> Result<(), End> {
        NetStats::one(&self.stats.frames);
        // Given back as soon as the service has taken the frame: what waits keeps none of it.
        let _arrived = self.arriving.take();
        let slot = match self.service.call(frame) {
            Outcome::Ready(response) if self.slots.is_empty() => {
                return self.send(response).map_err(End::Io);
            }
            Outcome::NoResponse if self.slots.is_empty() => return Ok(()),
            Outcome::Ready(response) => Slot::Ready(response),
            Outcome::NoResponse => Slot::Silent,
            Outcome::Close(reason) => Slot::Close(reason),
            Outcome::Pending { reply, holds } => self.wait(reply, Exclusive::No, holds, cx)?,
            Outcome::Exclusive { reply, holds } => self.wait(reply, Exclusive::Yes, holds, cx)?,
        };
        if let Slot::Ready(response) = &slot {
            self.ready_memory += response.memory();
        }
        self.slots.push_back(slot);
        Ok(())
    }

    fn wait(
        &mut self,
        mut reply: PendingReply,
        exclusive: Exclusive,
        holds: usize,
        cx: &mut Context<'_>,
    ) -> Result<Slot, End> {
        match reply.as_mut().poll(cx) {
            Poll::Ready(reply) => Ok(answered(reply)),
            Poll::Pending => {
                let held = self.seat.take(holds).map_err(End::NoRoom)?;
                Ok(Slot::Waiting { reply, exclusive, held })
            }
        }
    }

    /// Hands over what has arrived. True if there was any.
    fn hand_over_all(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let max = self.limits.max_frame.load(Ordering::Relaxed);
        let mut any = false;
        while self.accepts(cx) {
            match self.reader.next_frame(max) {
                Ok(Some(frame)) => self.hand_over(frame, cx)?,
                Ok(None) => break,
                Err(e) => {
                    NetStats::one(&self.stats.bad_frames);
                    return Err(End::Frame(e));
                }
            }
            any = true;
        }
        Ok(any)
    }

    /// Whether this is the moment to close: everything asked for has left.
    fn check_end(&mut self) -> Result<(), End> {
        match self.closing.take() {
            Some(reason) => Err(End::Service(reason)),
            None if self.shared.drains() => Err(End::Drained),
            None if self.linger.is_some() => Err(End::Peer),
            None => Ok(()),
        }
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        let mut reads = 0;
        loop {
            self.collect().map_err(End::Io)?;
            let flushed = self.outbox.poll_flush(&mut self.transport, cx).map_err(End::Io)?;
            if flushed.is_ready() {
                match self.slots.front() {
                    None => self.check_end()?,
                    Some(Slot::Waiting { .. }) => {}
                    // Ready behind an outbox that was full and is empty now.
                    Some(_) => continue,
                }
            }
            if self.hand_over_all(cx)? {
                continue;
            }
            if self.linger.is_some() || !self.accepts(cx) || !self.may_read(cx) {
                self.reads = Reads::No;
                self.reader.rests();
                return Ok(());
            }
            self.reads = Reads::Yes;
            if reads == READS_A_TURN {
                cx.waker().wake_by_ref();
                return Ok(());
            }
            reads += 1;
            match self.reader.poll_fill(&mut self.transport, cx).map_err(End::Io)? {
                Poll::Ready(Fill::Data(_)) => self.shared.touch(),
                Poll::Ready(Fill::End) => {
                    // What it asked for is still answered, as far as that goes soon.
                    self.linger = Some(Box::pin(tokio::time::sleep(LINGER)));
                    self.arriving = None;
                }
                Poll::Pending => return Ok(()),
            }
        }
    }

    /// Tells the rest of the process what this connection is at.
    fn tell(&mut self) {
        // A peer that does not take its answers is idle like one that asks nothing.
        let waits = matches!(self.slots.front(), Some(Slot::Waiting { .. }));
        let bytes = self.reader.arrived() as u64;
        let state = State {
            waits,
            unread: self.reads == Reads::No && self.outbox.is_empty(),
            arriving: self.arriving.as_ref().map(|_| Arriving { frame: self.large, bytes }),
            held: self.seat.held(),
        };
        if state != self.told {
            self.told = state;
            self.shared.tell(state);
        }
    }
}

fn answered(reply: Reply) -> Slot {
    match reply {
        Reply::Response(response) => Slot::Ready(response),
        Reply::NoResponse => Slot::Silent,
        Reply::Close(reason) => Slot::Close(reason),
    }
}

impl<T, S> Future for Connection<T, S>
where
    T: Transport,
    S: Service + Unpin,
{
    type Output = End;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        let this = self.get_mut();
        NetStats::one(&this.stats.wakes);
        this.shared.register(cx.waker());
        if let Some(why) = this.shared.killed() {
            this.transport.shutdown();
            return Poll::Ready(End::Killed(why));
        }
        let before = this.outbox.written();
        this.poll_waiting(cx);
        let mut result = this.step(cx);
        if this.outbox.written() != before {
            this.shared.touch();
        }
        this.tell();
        if let Some(linger) = &mut this.linger
            && result.is_ok()
            && linger.as_mut().poll(cx).is_ready()
        {
            result = Err(End::Peer);
        }
        match result {
            Ok(()) => Poll::Pending,
            Err(end) => {
                this.transport.shutdown();
                Poll::Ready(end)
            }
        }
    }
}

impl<T, S> Drop for Connection<T, S> {
    fn drop(&mut self) {
        self.limits.memory.forget(self.shared.id.0);
    }
}

#[cfg(test)]
#[path = "connection/tests.rs"]
mod tests;
