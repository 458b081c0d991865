//! Runs a coordinator's machine over one partition: decide, append, apply, reply.
//!
//! A command is decided on the thread that brings it, under the shard's lock, and its records go
//! through the same door as a Produce. Replies leave when everything appended before them is
//! committed; on a partition with one replica that is at once. When an append fails, or leadership
//! goes, the machine is dropped and every request without a reply is told so.

mod load;
mod shards;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use ottla_log::log::AppendBatch;
use ottla_machine::{Decision, Machine, Mono, Ticket};
use ottla_wire::ErrorCode;
use ottla_wire::record::{BatchBuilder, BatchHeader, Compression, Record};
use parking_lot::{Mutex, MutexGuard};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tracing::{debug, error, warn};

use crate::core::Core;
use crate::partition::{Ack, AppendHow, Partition};
use crate::timers::Deadline;

pub use shards::Shards;

/// A record's key and value, as the log holds them.
pub type KeyValue = (Bytes, Option<Bytes>);

/// A machine whose records live in a partition.
pub trait Coordinator:
    Machine<State: Send, Waits: Send, Reply: Send, Effect: Send> + Sized + 'static
{
    /// What it is called in logs.
    const NAME: &'static str;

    /// What all shards of this kind share: settings, counters.
    type Shell: fmt::Debug + Send + Sync + 'static;

    /// A record as key and value; `None` for one that the log need not hold.
    ///
    /// # Errors
    /// When the record has no form: the decision that made it is given up.
    fn encode(record: &Self::Record) -> Result<Option<KeyValue>, String>;

    /// A record from the log, with the header of the batch that it stood in.
    ///
    /// # Errors
    /// When the bytes are no record of this machine's.
    fn decode(header: &BatchHeader, record: Record) -> Result<Option<Self::Record>, String>;

    /// What tells the machine of its settings after a replay, before its first tick.
    fn greet(shell: &Self::Shell) -> Vec<Self::Command>;

    /// What tells the machine that time has passed.
    fn tick() -> Self::Command;

    /// The codec of the batches that are written.
    fn compression(shell: &Self::Shell) -> Compression;

    /// What the shell is asked to do, once the records are committed.
    fn effect(shell: &Self::Shell, effect: Self::Effect);
}

/// What becomes of a command: its reply, or the error that the coordinator is not (or no longer)
/// here.
pub type Outcome<M> = Result<<M as Machine>::Reply, ErrorCode>;

/// A machine over one partition.
pub struct Shard<M: Coordinator> {
    shell: Arc<M::Shell>,
    partition: Arc<Partition>,
    epoch: i32,
    core: Arc<Core>,
    runtime: Handle,
    inner: Mutex<Inner<M>>,
    me: Weak<Self>,
}

struct Inner<M: Coordinator> {
    state: M::State,
    waits: M::Waits,
    /// Requests without a reply yet.
    waiting: BTreeMap<Ticket, oneshot::Sender<Outcome<M>>>,
    next_ticket: u64,
    /// When the machine wants a tick.
    alarm: Option<Deadline>,
    /// What is not committed yet, oldest first; its replies wait.
    uncommitted: usize,
    /// The last record's offset, of all that was appended.
    appended: i64,
    dropped: bool,
}

impl<M: Coordinator> fmt::Debug for Shard<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} shard of {}", M::NAME, self.partition.id())
    }
}

impl<M: Coordinator> Shard<M> {
    /// A shard whose state was replayed, and which leads in `epoch`.
    fn start(
        shell: Arc<M::Shell>,
        partition: Arc<Partition>,
        epoch: i32,
        core: Arc<Core>,
        runtime: Handle,
        state: M::State,
    ) -> Arc<Self> {
        let inner = Inner {
            state,
            waits: M::Waits::default(),
            waiting: BTreeMap::new(),
            next_ticket: 0,
            alarm: None,
            uncommitted: 0,
            appended: partition.log().end_offset() - 1,
            dropped: false,
        };
        let shard = Arc::new_cyclic(|me| Self {
            shell,
            partition,
            epoch,
            core,
            runtime,
            inner: Mutex::new(inner),
            me: me.clone(),
        });
        for command in M::greet(&shard.shell) {
            drop(shard.submit(command));
        }
        drop(shard.submit(M::tick()));
        shard
    }

    /// Brings a command to the machine.
    pub fn submit(&self, command: M::Command) -> Submitted<M> {
        let mut inner = self.inner.lock();
        if inner.dropped {
            return Submitted::Ready(Some(Err(ErrorCode::NOT_COORDINATOR)));
        }
        inner.next_ticket += 1;
        let ticket = Ticket(inner.next_ticket);
        let now = self.core.clock().now();
        let Inner { state, waits, .. } = &mut *inner;
        let mut decision = M::decide(state, waits, now, ticket, command);
        self.set_alarm(&mut inner, decision.wake_at);
        let ack = match self.append(&mut inner, std::mem::take(&mut decision.records)) {
            Ok(ack) => ack,
            Err(code) => {
                self.drop_machine(inner);
                return Submitted::Ready(Some(Err(code)));
            }
        };
        self.deliver(inner, ticket, decision, ack)
    }

    /// Appends records as one batch and applies them at once.
    fn append(&self, inner: &mut Inner<M>, records: Vec<M::Record>) -> Result<Ack, ErrorCode> {
        if records.is_empty() {
            return self.nothing_appended(inner);
        }
        let batch = match self.encode(&records) {
            Ok(batch) => batch,
            Err(why) => {
                error!(shard = ?self, why, "a decision has no form in the log");
                return Err(ErrorCode::UNKNOWN_SERVER_ERROR);
            }
        };
        let ack = match batch {
            None => self.nothing_appended(inner)?,
            Some(batch) => {
                let how = AppendHow::coordinator(self.epoch);
                let appended = self.partition.append(&[batch], how).map_err(|error| {
                    warn!(shard = ?self, %error, "the coordinator's log refused an append");
                    coordinator_code(error.code())
                })?;
                inner.appended = appended.last_offset;
                appended.ack
            }
        };
        records.iter().for_each(|record| M::apply(&mut inner.state, record));
        Ok(ack)
    }

    /// One batch of all records that have a form in the log; `None` if there is none.
    fn encode(&self, records: &[M::Record]) -> Result<Option<AppendBatch>, String> {
        let now_ms = self.core.clock().wall_ms();
        let mut builder = BatchBuilder::new(0).compression(M::compression(&self.shell));
        for record in records {
            if let Some((key, value)) = M::encode(record)? {
                builder.append(now_ms, Some(&key), value.as_deref());
            }
        }
        if builder.count() == 0 {
            return Ok(None);
        }
        let batch = builder.build().map_err(|e| e.to_string())?;
        AppendBatch::split(&batch.bytes).map(Some).map_err(|e| e.to_string())
    }

    /// When a reply may leave that rests on no record of its own: with all that came before.
    fn nothing_appended(&self, inner: &Inner<M>) -> Result<Ack, ErrorCode> {
        if inner.uncommitted == 0 {
            return Ok(Ack::Now);
        }
        let epoch = ottla_replica::EpochCheck::Is(self.epoch);
        let after = inner.appended + 1;
        self.partition.wait_committed(after, epoch).map_err(|e| coordinator_code(e.code()))
    }

    /// Hands replies to those who wait, now or when the append is committed.
    fn deliver(
        &self,
        mut inner: MutexGuard<'_, Inner<M>>,
        ticket: Ticket,
        decision: Decision<M>,
        ack: Ack,
    ) -> Submitted<M> {
        let Decision { mut replies, effects, .. } = decision;
        let wait = match ack {
            Ack::Now => {
                let own = replies.iter().position(|(t, _)| *t == ticket);
                let own = own.map(|at| replies.swap_remove(at).1);
                let waiting = own.is_none().then(|| inner.wait_for(ticket));
                inner.answer(replies);
                drop(inner);
                effects.into_iter().for_each(|effect| M::effect(&self.shell, effect));
                return match waiting {
                    None => Submitted::Ready(own.map(Ok)),
                    Some(receiver) => Submitted::Waiting(receiver),
                };
            }
            Ack::Wait(wait) => wait,
        };
        let receiver = inner.wait_for(ticket);
        inner.uncommitted += 1;
        drop(inner);
        let Some(shard) = self.me.upgrade() else {
            return Submitted::Ready(Some(Err(ErrorCode::NOT_COORDINATOR)));
        };
        self.runtime.spawn(async move {
            let committed = wait.await;
            shard.settled(committed.is_ok(), replies, effects);
        });
        Submitted::Waiting(receiver)
    }

    /// What a decision promised is committed, or never will be.
    fn settled(&self, committed: bool, replies: Vec<(Ticket, M::Reply)>, effects: Vec<M::Effect>) {
        let mut inner = self.inner.lock();
        inner.uncommitted -= 1;
        if !committed {
            return self.drop_machine(inner);
        }
        inner.answer(replies);
        drop(inner);
        effects.into_iter().for_each(|effect| M::effect(&self.shell, effect));
    }

    fn set_alarm(&self, inner: &mut Inner<M>, wake_at: Option<Mono>) {
        // One that comes early costs a tick which finds nothing, and setting one costs a lock.
        let set = inner.alarm.as_ref().map(Deadline::when);
        match wake_at {
            Some(at) if set.is_none_or(|set| at < set) => {
                let waker = Waker::from(Arc::new(Alarm { shard: self.me.clone() }));
                inner.alarm = Some(self.core.timers().at(at, waker));
            }
            _ => {}
        }
    }

    /// Ends the shard: what it knows is gone, and whoever waits is told.
    pub fn retire(&self) {
        self.drop_machine(self.inner.lock());
    }

    fn drop_machine(&self, mut inner: MutexGuard<'_, Inner<M>>) {
        if !inner.dropped {
            debug!(shard = ?self, epoch = self.epoch, "coordinator retired");
        }
        inner.dropped = true;
        inner.alarm = None;
        inner.state = M::State::default();
        inner.waits = M::Waits::default();
        let waiting = std::mem::take(&mut inner.waiting);
        drop(inner);
        for (_, sender) in waiting {
            // Whoever asked may have gone.
            let _ = sender.send(Err(ErrorCode::NOT_COORDINATOR));
        }
    }

    /// Whether the machine was dropped, by an error or on purpose.
    #[must_use]
    pub fn is_dropped(&self) -> bool {
        self.inner.lock().dropped
    }

    /// The leader epoch that the shard decides in.
    #[must_use]
    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    /// The partition that it lives in.
    #[must_use]
    pub fn partition(&self) -> &Arc<Partition> {
        &self.partition
    }

    fn ring(&self) {
        let mut inner = self.inner.lock();
        inner.alarm = None;
        let dropped = inner.dropped;
        drop(inner);
        if !dropped {
            // Nobody waits for the reply to a tick.
            drop(self.submit(M::tick()));
        }
    }
}

impl<M: Coordinator> Inner<M> {
    fn wait_for(&mut self, ticket: Ticket) -> oneshot::Receiver<Outcome<M>> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.insert(ticket, sender);
        receiver
    }

    fn answer(&mut self, replies: Vec<(Ticket, M::Reply)>) {
        for (ticket, reply) in replies {
            if let Some(sender) = self.waiting.remove(&ticket) {
                // Whoever asked may have gone.
                let _ = sender.send(Ok(reply));
            }
        }
    }
}

/// Rings when the machine wants a tick. Ticks run on the pool: a thread of the network may hold the
/// shard, and the timers' thread must not wait for it.
struct Alarm<M: Coordinator> {
    shard: Weak<Shard<M>>,
}

impl<M: Coordinator> Wake for Alarm<M> {
    fn wake(self: Arc<Self>) {
        if let Some(shard) = self.shard.upgrade() {
            let core = Arc::clone(&shard.core);
            core.disk().spawn(move || shard.ring());
        }
    }
}

/// What a coordinator answers when its own log cannot be written.
fn coordinator_code(code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::KAFKA_STORAGE_ERROR => {
            ErrorCode::NOT_COORDINATOR
        }
        ErrorCode::NOT_ENOUGH_REPLICAS | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND => {
            ErrorCode::COORDINATOR_NOT_AVAILABLE
        }
        other => other,
    }
}

/// A command under way.
pub enum Submitted<M: Coordinator> {
    /// The reply is there.
    Ready(Option<Outcome<M>>),
    /// It comes later.
    Waiting(oneshot::Receiver<Outcome<M>>),
}

impl<M: Coordinator> fmt::Debug for Submitted<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready(_) => "Submitted::Ready",
            Self::Waiting(_) => "Submitted::Waiting",
        })
    }
}

// A reply is moved out whole; nothing is pinned in here.
impl<M: Coordinator> Unpin for Submitted<M> {}

impl<M: Coordinator> Future for Submitted<M> {
    type Output = Outcome<M>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<M>> {
        match &mut *self {
            // Polled again after it was ready: the coordinator owes nothing more.
            Self::Ready(reply) => {
                Poll::Ready(reply.take().unwrap_or(Err(ErrorCode::NOT_COORDINATOR)))
            }
            Self::Waiting(receiver) => Pin::new(receiver)
                .poll(cx)
                .map(|reply| reply.unwrap_or(Err(ErrorCode::NOT_COORDINATOR))),
        }
    }
}
