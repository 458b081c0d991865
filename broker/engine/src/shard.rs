//! Runs a coordinator's machine over one partition: decide, append, apply, reply.
//!
//! A command is decided on the thread that brings it, under the shard's lock, and its records go
//! through the same door as a Produce. Records of commands that wait for the lock together share a
//! batch. Replies leave when everything appended before them is committed; on a partition with one
//! replica that is at once. When an append fails, or leadership goes, the machine is dropped and
//! every request without a reply is told so.

mod batch;
mod load;
mod shards;
mod transactions;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use ottla_machine::{Machine, Mono, Ticket};
use ottla_quorum::simulated;
use ottla_wire::ErrorCode;
use ottla_wire::record::{BatchHeader, Compression, Record};
use parking_lot::{Mutex, MutexGuard};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tracing::{debug, error, warn};

use crate::core::Core;
use crate::partition::{Ack, AppendHow, Partition};
use crate::timers::Deadline;

use batch::{Due, Open};

pub use batch::Linger;
pub use shards::Shards;
pub use transactions::{Belongs, Transactional};

use transactions::{Decided, Failure};

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

    /// Which batch a record stands in. Those of transactions have batches of their own.
    fn belongs(_record: &Self::Record) -> Belongs {
        Belongs::Plain
    }

    /// What tells the machine of its settings after a replay, before its first tick.
    fn greet(shell: &Self::Shell) -> Vec<Self::Command>;

    /// The same, with what is told to the machine over this partition alone.
    fn greet_shard(shell: &Self::Shell, _partition: i32) -> Vec<Self::Command> {
        Self::greet(shell)
    }

    /// What tells the machine that time has passed.
    fn tick() -> Self::Command;

    /// Tells the machine how many bytes a batch may have. What one decision writes must fit that,
    /// but for a single record that is larger by itself; see [`ottla_machine::Decision::again`].
    fn set_max_batch_bytes(waits: &mut Self::Waits, bytes: usize);

    /// The codec of the batches that are written.
    fn compression(shell: &Self::Shell) -> Compression;

    /// How long records are gathered.
    fn linger(shell: &Self::Shell) -> Linger;

    /// How long a reply may wait for its records to be committed.
    fn patience(shell: &Self::Shell) -> Duration;

    /// What the shell is asked to do, once the records are committed. The shard's lock is held: it
    /// ends soon, and asks no shard.
    fn effect(shell: &Self::Shell, from: Origin, effect: Self::Effect);
}

/// Which shard something comes from, and in which of its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The number of its partition.
    pub partition: i32,
    /// The leader epoch that it decides in.
    pub epoch: i32,
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
    /// How many threads are about to take the lock with a command.
    coming: AtomicUsize,
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
    /// What is decided and applied, but not appended yet.
    open: Option<Open<M>>,
    /// How many appends are not committed yet; their replies wait.
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
            open: None,
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
            coming: AtomicUsize::new(0),
            inner: Mutex::new(inner),
            me: me.clone(),
        });
        for command in M::greet_shard(&shard.shell, shard.partition.id().partition) {
            drop(shard.submit(command));
        }
        drop(shard.submit(M::tick()));
        shard
    }

    /// Brings a command to the machine.
    pub fn submit(&self, command: M::Command) -> Submitted<M> {
        self.submit_in(command, Transactional::default())
    }

    /// Brings a command to the machine whose records may belong to a transaction. Where the log
    /// refuses those, the command gets its error, and nothing else is changed by it.
    pub fn submit_in(&self, command: M::Command, how: Transactional) -> Submitted<M> {
        // Whoever holds the lock sees that more is to come, and leaves the batch to us.
        self.coming.fetch_add(1, Ordering::Relaxed);
        let mut inner = self.inner.lock();
        self.coming.fetch_sub(1, Ordering::Relaxed);
        if inner.dropped {
            return Submitted::Ready(Some(Err(ErrorCode::NOT_COORDINATOR)));
        }
        inner.next_ticket += 1;
        let ticket = Ticket(inner.next_ticket);
        let Decided { due: own, ack, refused } = match self.decide(&mut inner, ticket, command, how)
        {
            Ok(decided) => decided,
            Err(code) => {
                self.drop_machine(inner);
                return Submitted::Ready(Some(Err(code)));
            }
        };
        if refused.is_none() && self.lingers(&inner) {
            return Submitted::Waiting(inner.join_open(ticket, own));
        }
        let flushed = match (inner.open.take(), ack) {
            (Some(open), _) => self.write(&mut inner, open),
            (None, Some(ack)) => Ok((ack, Vec::new())),
            (None, None) => self.nothing_appended(&inner).map(|ack| (ack, Vec::new())),
        };
        match (flushed, refused) {
            (Ok((ack, earlier)), None) => self.deliver(inner, ticket, own, earlier, ack),
            (Ok((ack, mut earlier)), Some(code)) => {
                earlier.push(own);
                self.settle(&mut inner, earlier, ack);
                Submitted::Ready(Some(Err(code)))
            }
            (Err(code), _) => {
                self.drop_machine(inner);
                Submitted::Ready(Some(Err(code)))
            }
        }
    }

    /// Has the machine decide, as often as it asks for it, and takes in what it decides. Gives what
    /// is due when that is committed.
    fn decide(
        &self,
        inner: &mut Inner<M>,
        ticket: Ticket,
        command: M::Command,
        how: Transactional,
    ) -> Result<Decided<M>, ErrorCode> {
        let now = self.core.clock().now();
        let limit = self.limit();
        let mut decided = Decided::default();
        let mut next = Some(command);
        while let Some(command) = next {
            let Inner { state, waits, .. } = &mut *inner;
            M::set_max_batch_bytes(waits, limit);
            let decision = M::decide(state, waits, now, ticket, command);
            self.set_alarm(inner, decision.wake_at);
            match self.take(inner, &decision.records, limit, how) {
                Ok(ack) => decided.ack = ack.or(decided.ack),
                Err(Failure::Refused(code)) => {
                    // What was decided for others, as because time has passed, stands.
                    let others = decision.replies.into_iter().filter(|(to, _)| *to != ticket);
                    decided.due.replies.extend(others);
                    decided.refused = Some(code);
                    return Ok(decided);
                }
                Err(Failure::Lost(code)) => return Err(code),
            }
            decided.due.replies.extend(decision.replies);
            decided.due.effects.extend(decision.effects);
            next = decision.again;
        }
        Ok(decided)
    }

    /// The most bytes of a batch, by the topic's settings as they are now.
    fn limit(&self) -> usize {
        let log = self.partition.log();
        let settings = log.settings();
        batch::most_bytes(settings.max_message_bytes, settings.segment_bytes)
    }

    /// Takes in the records of one decision. Gives when the last of them that belong to a
    /// transaction are committed, if there are any.
    fn take(
        &self,
        inner: &mut Inner<M>,
        records: &[M::Record],
        limit: usize,
        how: Transactional,
    ) -> Result<Option<Ack>, Failure> {
        let mut ack = None;
        for run in records.chunk_by(|a, b| M::belongs(a) == M::belongs(b)) {
            let Some(first) = run.first() else { continue };
            match M::belongs(first) {
                Belongs::Plain => self.gather(inner, run, limit).map_err(Failure::Lost)?,
                belongs => ack = Some(self.append_apart(inner, run, belongs, how)?),
            }
        }
        Ok(ack)
    }

    /// Puts records into the open batch and applies them. A batch that they do not fit is written
    /// before.
    fn gather(
        &self,
        inner: &mut Inner<M>,
        records: &[M::Record],
        limit: usize,
    ) -> Result<(), ErrorCode> {
        let encoded = self.encode(records)?;
        if !encoded.is_empty() {
            let bytes = batch::bytes_of(&encoded);
            if let Some(full) = inner.open.take_if(|open| !open.has_room(bytes, limit)) {
                let (ack, due) = self.write(inner, full)?;
                self.settle(inner, due, ack);
            }
            let now_ms = self.core.clock().wall_ms();
            let open = inner.open.get_or_insert_with(|| self.begin());
            open.push(now_ms, &encoded);
        }
        records.iter().for_each(|record| M::apply(&mut inner.state, record));
        Ok(())
    }

    fn encode(&self, records: &[M::Record]) -> Result<Vec<KeyValue>, ErrorCode> {
        let encoded: Result<Vec<_>, _> =
            records.iter().filter_map(|record| M::encode(record).transpose()).collect();
        encoded.map_err(|why| {
            error!(shard = ?self, why, "a decision has no form in the log");
            ErrorCode::UNKNOWN_SERVER_ERROR
        })
    }

    /// An empty batch, with those who join it or the time it waits.
    fn begin(&self) -> Open<M> {
        let mut open = Open::new(M::compression(&self.shell));
        match M::linger(&self.shell) {
            // Those that come from now on wait for the next one, or replies might never leave.
            Linger::Adaptive => open.joining = self.coming.load(Ordering::Relaxed),
            Linger::Ms(0) => {}
            Linger::Ms(ms) => {
                let waker = Waker::from(Arc::new(Overdue { shard: self.me.clone() }));
                let at = self.core.clock().mono().plus_ms(ms);
                open.deadline = Some(self.core.timers().at(at, waker));
            }
        }
        open
    }

    /// Whether the open batch is left to somebody else: one who waits for the lock, or time.
    fn lingers(&self, inner: &Inner<M>) -> bool {
        let Some(open) = &inner.open else { return false };
        open.has_room(1, self.limit())
            && (open.deadline.is_some()
                || (open.joining > 0 && self.coming.load(Ordering::Relaxed) > 0))
    }

    /// Appends a batch. Gives what is due when it is committed.
    fn write(&self, inner: &mut Inner<M>, open: Open<M>) -> Result<(Ack, Vec<Due<M>>), ErrorCode> {
        let (batch, due) = open.finish().map_err(|why| {
            error!(shard = ?self, why, "a decision has no form in the log");
            ErrorCode::UNKNOWN_SERVER_ERROR
        })?;
        let how = AppendHow::coordinator(self.epoch);
        let appended = self.partition.append(&[batch], how).map_err(|error| {
            warn!(shard = ?self, %error, "the coordinator's log refused an append");
            coordinator_code(error.code())
        })?;
        inner.appended = appended.last_offset;
        Ok((appended.ack, due))
    }

    /// When a reply may leave that rests on no record of its own: with all that came before.
    fn nothing_appended(&self, inner: &Inner<M>) -> Result<Ack, ErrorCode> {
        // What was replayed may not be committed: another leader may never have had it.
        if inner.uncommitted == 0 && self.partition.log().high_watermark() > inner.appended {
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
        mut own: Due<M>,
        mut earlier: Vec<Due<M>>,
        ack: Ack,
    ) -> Submitted<M> {
        if !matches!(ack, Ack::Now) {
            let receiver = inner.wait_for(ticket);
            earlier.push(own);
            self.settle(&mut inner, earlier, ack);
            return Submitted::Waiting(receiver);
        }
        let at = own.replies.iter().position(|(t, _)| *t == ticket);
        let reply = at.map(|at| own.replies.swap_remove(at).1);
        let waiting = reply.is_none().then(|| inner.wait_for(ticket));
        earlier.push(own);
        self.settle(&mut inner, earlier, ack);
        match waiting {
            None => Submitted::Ready(reply.map(Ok)),
            Some(receiver) => Submitted::Waiting(receiver),
        }
    }

    /// Lets go what is due, now or when the append is committed.
    fn settle(&self, inner: &mut Inner<M>, due: Vec<Due<M>>, ack: Ack) {
        let wait = match ack {
            Ack::Now => return self.let_go(inner, due),
            Ack::Wait(wait) => wait,
        };
        inner.uncommitted += 1;
        // A shard that nobody holds any more has nobody who waits.
        let Some(shard) = self.me.upgrade() else { return };
        let patience = M::patience(&self.shell);
        simulated::spawn_on(&self.runtime, async move {
            tokio::pin!(wait);
            let committed = match tokio::time::timeout(patience, &mut wait).await {
                Ok(committed) => committed,
                Err(_) => {
                    // The records stand, and may be committed yet: whoever asked looks again.
                    shard.inner.lock().give_up(&due);
                    wait.await
                }
            };
            let mut inner = shard.inner.lock();
            inner.uncommitted -= 1;
            if committed.is_ok() {
                shard.let_go(&mut inner, due);
            } else {
                shard.drop_machine(inner);
            }
        });
    }

    /// Sends replies, and carries effects out; those count or queue, and need no end of the lock.
    fn let_go(&self, inner: &mut Inner<M>, due: Vec<Due<M>>) {
        let from = Origin { partition: self.partition.id().partition, epoch: self.epoch };
        for Due { replies, effects } in due {
            inner.answer(replies);
            effects.into_iter().for_each(|effect| M::effect(&self.shell, from, effect));
        }
    }

    /// Writes the open batch if its time is over.
    fn flush_overdue(&self) {
        let mut inner = self.inner.lock();
        let now = self.core.clock().mono();
        let overdue = |open: &mut Open<M>| {
            open.deadline.as_ref().is_some_and(|deadline| deadline.when() <= now)
        };
        let Some(open) = inner.open.take_if(overdue) else { return };
        match self.write(&mut inner, open) {
            Ok((ack, due)) => self.settle(&mut inner, due, ack),
            Err(_) => self.drop_machine(inner),
        }
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
        inner.open = None;
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
    /// Leaves what is due to the open batch.
    fn join_open(&mut self, ticket: Ticket, due: Due<M>) -> oneshot::Receiver<Outcome<M>> {
        let receiver = self.wait_for(ticket);
        if let Some(open) = &mut self.open {
            open.joining = open.joining.saturating_sub(1);
            open.due.push(due);
        }
        receiver
    }

    fn wait_for(&mut self, ticket: Ticket) -> oneshot::Receiver<Outcome<M>> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.insert(ticket, sender);
        receiver
    }

    /// Tells those who wait for these replies that they do not come in time.
    fn give_up(&mut self, due: &[Due<M>]) {
        for (ticket, _) in due.iter().flat_map(|due| &due.replies) {
            if let Some(sender) = self.waiting.remove(ticket) {
                // Whoever asked may have gone.
                let _ = sender.send(Err(ErrorCode::COORDINATOR_NOT_AVAILABLE));
            }
        }
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

/// Rings when the open batch has lingered long enough. Like [`Alarm`], it leaves the work to the
/// pool.
struct Overdue<M: Coordinator> {
    shard: Weak<Shard<M>>,
}

impl<M: Coordinator> Wake for Overdue<M> {
    fn wake(self: Arc<Self>) {
        if let Some(shard) = self.shard.upgrade() {
            let core = Arc::clone(&shard.core);
            core.disk().spawn(move || shard.flush_overdue());
        }
    }
}

/// What a coordinator answers when its own log cannot be written.
fn coordinator_code(code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::KAFKA_STORAGE_ERROR => {
            ErrorCode::NOT_COORDINATOR
        }
        ErrorCode::NOT_ENOUGH_REPLICAS => ErrorCode::COORDINATOR_NOT_AVAILABLE,
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

#[cfg(test)]
mod tests;
