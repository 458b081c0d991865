//! One connection: frames in, answers out, in order.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::buffer;
use crate::error::FrameError;
use crate::frame::{Fill, FrameReader};
use crate::memory::{Charge, MemoryPool};
use crate::outbox::Outbox;
use crate::registry::{Partial, Shared};
use crate::response::Response;
use crate::service::{CloseReason, Outcome, PendingReply, Reply, Service};
use crate::stats::NetStats;
use crate::transport::Transport;

/// Requests of one connection that may wait for their answers at once.
const MAX_IN_FLIGHT: usize = 128;

/// Bytes of answers that may wait for one peer to take them before no more of its requests are
/// read.
const MAX_HELD: usize = 1 << 20;

/// Reads in one turn before others get theirs.
const READS_A_TURN: usize = 16;

/// What bounds a connection; shared by many and changed while they run.
#[derive(Debug)]
pub struct ConnectionLimits {
    /// `socket.request.max.bytes`.
    pub max_frame: AtomicU32,
    /// Memory of requests in flight, over all connections.
    pub memory: Arc<MemoryPool>,
}

/// Why a connection ended.
#[derive(Debug)]
pub enum End {
    /// The peer closed it.
    Peer,
    /// It was idle too long, or the process ends at once.
    Killed,
    /// Everything in flight was answered, and the process ends.
    Drained,
    /// The peer sent what is no frame.
    Frame(FrameError),
    /// The service wants it closed.
    Service(CloseReason),
    /// The stream broke, or a file ended before a slice that was promised of it.
    Io(io::Error),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer => f.write_str("closed by peer"),
            Self::Killed => f.write_str("closed as idle"),
            Self::Drained => f.write_str("closed at shutdown"),
            Self::Frame(e) => e.fmt(f),
            Self::Service(reason) => f.write_str(&reason.0),
            Self::Io(e) => e.fmt(f),
        }
    }
}

/// A request whose answer has not left for the outbox.
enum Slot {
    Ready(Response),
    Waiting { reply: PendingReply, exclusive: Exclusive, _charge: Charge },
    Silent,
    Close(CloseReason),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Exclusive {
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
            let Slot::Waiting { reply, .. } = slot else { continue };
            if let Poll::Ready(reply) = reply.as_mut().poll(cx) {
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
        self.slots.len() < MAX_IN_FLIGHT
            && self.outbox.memory() + self.ready_memory < MAX_HELD
            && !exclusive
            && !closing
            && !self.shared.drains()
    }

    /// Whether bytes may be read: the frame under way has its memory, or there is some left.
    fn may_read(&mut self, cx: &Context<'_>) -> bool {
        if self.arriving.is_some() {
            return true;
        }
        if !self.limits.memory.poll_room(self.shared.id.0, cx) {
            return false;
        }
        let needs = self.reader.needs();
        if needs > buffer::SMALL {
            self.arriving = Some(self.limits.memory.charge(needs));
        }
        true
    }

    /// Hands one frame over and files the outcome in order.
    fn hand_over(&mut self, frame: Bytes, cx: &mut Context<'_>) -> io::Result<()> {
        NetStats::one(&self.stats.frames);
        let size = frame.len();
        let arrived = self.arriving.take();
        let slot = match self.service.call(frame) {
            Outcome::Ready(response) if self.slots.is_empty() => return self.send(response),
            Outcome::NoResponse if self.slots.is_empty() => return Ok(()),
            Outcome::Ready(response) => Slot::Ready(response),
            Outcome::NoResponse => Slot::Silent,
            Outcome::Close(reason) => Slot::Close(reason),
            Outcome::Pending(reply) => self.wait(reply, Exclusive::No, size, arrived, cx),
            Outcome::Exclusive(reply) => self.wait(reply, Exclusive::Yes, size, arrived, cx),
        };
        if let Slot::Ready(response) = &slot {
            self.ready_memory += response.memory();
        }
        self.slots.push_back(slot);
        Ok(())
    }

    fn wait(
        &self,
        mut reply: PendingReply,
        exclusive: Exclusive,
        size: usize,
        arrived: Option<Charge>,
        cx: &mut Context<'_>,
    ) -> Slot {
        match reply.as_mut().poll(cx) {
            Poll::Ready(reply) => answered(reply),
            Poll::Pending => {
                let _charge = arrived.unwrap_or_else(|| self.limits.memory.charge(size));
                Slot::Waiting { reply, exclusive, _charge }
            }
        }
    }

    /// Hands over what has arrived. True if there was any.
    fn hand_over_all(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let max = self.limits.max_frame.load(Ordering::Relaxed);
        let mut any = false;
        while self.accepts(cx) {
            match self.reader.next_frame(max) {
                Ok(Some(frame)) => self.hand_over(frame, cx).map_err(End::Io)?,
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
            if !self.accepts(cx) || !self.may_read(cx) {
                return Ok(());
            }
            if reads == READS_A_TURN {
                cx.waker().wake_by_ref();
                return Ok(());
            }
            reads += 1;
            match self.reader.poll_fill(&mut self.transport, cx).map_err(End::Io)? {
                Poll::Ready(Fill::Data(_)) => self.shared.touch(),
                Poll::Ready(Fill::End) => return Err(End::Peer),
                Poll::Pending => return Ok(()),
            }
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
        if this.shared.killed() {
            this.transport.shutdown();
            return Poll::Ready(End::Killed);
        }
        let before = this.outbox.written();
        this.poll_waiting(cx);
        let result = this.step(cx);
        if this.outbox.written() != before {
            this.shared.touch();
        }
        let partial = if this.reader.in_frame() { Partial::Some } else { Partial::None };
        // A peer that does not take its answers is idle like one that asks nothing.
        let waits = matches!(this.slots.front(), Some(Slot::Waiting { .. }));
        this.shared.set_busy(if waits { this.slots.len() } else { 0 }, partial);
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
