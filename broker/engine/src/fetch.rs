//! Reading many partitions for one request, and waiting until there is enough.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};

use ottla_log::log::AtLeast;
use ottla_machine::Mono;
use parking_lot::Mutex;

use crate::core::Core;
use crate::error::EngineError;
use crate::partition::{FollowerId, Partition, Read, ReadAsk};
use crate::wait::{AckWait, AckWaiter, FetchWaiter, Reader};
use crate::warm;

/// How long a follower may wait to hear of a high watermark that moved, in milliseconds. Most often
/// records come sooner, and it hears with them.
const HIGH_WATERMARK_DELAY_MS: u64 = 5;

/// The high watermark told, of readers that need not be told.
pub const NEVER_TOLD: i64 = i64::MAX;

/// What a Fetch request asks for, apart from its partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchParams {
    /// Answer at once when so many bytes are there.
    pub min_bytes: u32,
    /// Bytes at most in all; the first partition with records gives one batch, however large.
    pub max_bytes: u32,
    /// How long to wait for `min_bytes`, in milliseconds.
    pub max_wait_ms: u64,
    /// Who reads.
    pub reader: Reader,
    /// The follower that reads, if it is one: what it asks for says what it has.
    pub follower: Option<FollowerId>,
    /// Where it may be read.
    pub from: ReadFrom,
}

/// Where a reader may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// Only where the partition is led.
    Leader,
    /// From a follower too, up to the high watermark that it knows: consumers since version 11
    /// (KIP-392).
    Anyone,
}

impl ReadFrom {
    fn check(self, partition: &Partition, ask: &ReadAsk) -> Result<(), EngineError> {
        match self {
            Self::Leader => partition.check_leader(ask.epoch).map(drop),
            Self::Anyone => partition.check_readable(ask.epoch),
        }
    }
}

/// One partition of a Fetch request, in the order in which they are to be read.
#[derive(Clone, Debug)]
pub struct FetchItem {
    /// The partition, if it is here.
    pub partition: Option<Arc<Partition>>,
    /// What is asked of it.
    pub ask: ReadAsk,
    /// A follower's log start offset, -1 for consumers.
    pub log_start_offset: i64,
    /// The high watermark that a follower was told last, -1 if none; [`NEVER_TOLD`] for consumers.
    /// A follower hears of another one soon, records or not.
    pub told: i64,
}

impl FetchItem {
    /// What a consumer asks for.
    #[must_use]
    pub fn consumer(partition: Option<Arc<Partition>>, ask: ReadAsk) -> Self {
        Self { partition, ask, log_start_offset: -1, told: NEVER_TOLD }
    }
}

/// What was found for one partition, in the order of the items. An item without a partition has
/// [`EngineError::NotHere`].
pub type Fetched = Result<Read, EngineError>;

/// A Fetch under way.
#[derive(Debug)]
pub enum Fetch {
    /// There is enough, or something that must be told at once.
    Ready(Vec<Fetched>),
    /// There is not; the request waits.
    Parked(ParkedFetch),
}

/// Reads all items once, and parks if it is not enough. A request that names no partition, or has
/// an error to tell, or a reader whose log diverges, is never parked.
#[must_use]
pub fn fetch(core: &Arc<Core>, params: FetchParams, mut items: Vec<FetchItem>) -> Fetch {
    if let Some(follower) = params.follower {
        // Before reading, so that it hears of the high watermark that it moves itself.
        items.iter_mut().for_each(|item| item.note(follower));
    }
    let round = read_all(core, &params, &items);
    let done = params.max_wait_ms == 0 || round.enough(&params);
    if done && !round.is_cold() {
        note_sent(core, &params, &items, &round.found);
        return Fetch::Ready(round.found);
    }
    let deadline = core.clock().mono().plus_ms(params.max_wait_ms);
    let mut parked = ParkedFetch {
        core: Arc::clone(core),
        params,
        items,
        waiter: FetchWaiter::new(params.reader, 0),
        deadline,
        timer: None,
        nudged: false,
        warming: None,
        superseded: None,
    };
    let answer = if done { parked.finish(round) } else { parked.park(round) };
    match answer {
        Some(found) => Fetch::Ready(found),
        None => Fetch::Parked(parked),
    }
}

impl FetchItem {
    /// Notes what a follower has. Of one that the leader does not take for a follower, the
    /// partition is not here.
    fn note(&mut self, follower: FollowerId) {
        let Some(partition) = &self.partition else { return };
        let noted = partition.follower_fetched(&self.ask, follower, self.log_start_offset);
        // Other errors are found again by the reading, which tells them.
        if let Err(EngineError::Replica(error)) = noted
            && error.code() == EngineError::NotHere.code()
        {
            self.partition = None;
        }
    }

    /// Whether the high watermark is another one than the follower was told.
    fn is_untold(&self) -> bool {
        let partition = self.partition.as_ref();
        partition.is_some_and(|partition| partition.bound(Reader::Uncommitted) > self.told)
    }
}

/// One reading of all items.
struct Round {
    found: Vec<Fetched>,
    /// How far each partition could be read then.
    bounds: Vec<i64>,
    bytes: u64,
    urgent: bool,
    /// After so many milliseconds the follower may be sent more than now.
    within: Option<u64>,
}

impl Round {
    fn enough(&self, params: &FetchParams) -> bool {
        self.urgent || self.found.is_empty() || self.bytes >= u64::from(params.min_bytes)
    }

    /// Slices that are probably not in memory.
    fn cold(&self) -> impl Iterator<Item = &ottla_log::log::FetchSlice> {
        let read = self.found.iter().zip(&self.bounds);
        read.filter_map(|(found, bound)| {
            let slice = found.as_ref().ok()?.slice.as_ref()?;
            warm::is_cold(slice, *bound).then_some(slice)
        })
    }

    fn is_cold(&self) -> bool {
        self.cold().next().is_some()
    }
}

/// For how long a follower has to wait, in milliseconds, because it is out of sync and its like were
/// sent too much.
fn has_to_wait(core: &Core, follower: FollowerId, partition: &Partition) -> Option<u64> {
    let wait = core.cluster().sending.wait(core.clock().mono())?;
    let limited = core.cluster().limits_sending(partition);
    (limited && !partition.has_in_sync(follower.broker)).then_some(wait)
}

/// Counts what followers are sent for the limit on it.
fn note_sent(core: &Core, params: &FetchParams, items: &[FetchItem], found: &[Fetched]) {
    let cluster = core.cluster();
    if params.follower.is_none() || !cluster.sending.is_set() {
        return;
    }
    let limited = items.iter().zip(found).filter_map(|(item, found)| {
        let bytes = u64::from(found.as_ref().ok()?.bytes());
        item.partition.as_ref().filter(|p| bytes > 0 && cluster.limits_sending(p)).map(|_| bytes)
    });
    cluster.sending.spend(limited.sum(), core.clock().mono());
}

fn read_all(core: &Core, params: &FetchParams, items: &[FetchItem]) -> Round {
    let mut round = Round {
        found: Vec::with_capacity(items.len()),
        bounds: Vec::with_capacity(items.len()),
        bytes: 0,
        urgent: false,
        within: None,
    };
    let mut left = params.max_bytes;
    for item in items {
        let Some(partition) = &item.partition else {
            round.urgent = true;
            round.bounds.push(0);
            round.found.push(Err(EngineError::NotHere));
            continue;
        };
        round.bounds.push(partition.bound(params.reader));
        let mut at_least = if round.bytes == 0 { AtLeast::OneBatch } else { AtLeast::Nothing };
        let mut ask = ReadAsk { max_bytes: item.ask.max_bytes.min(left), ..item.ask };
        if let Some(follower) = params.follower
            && let Some(wait) = has_to_wait(core, follower, partition)
        {
            round.within = Some(round.within.map_or(wait, |within| within.min(wait)));
            (ask.max_bytes, at_least) = (0, AtLeast::Nothing);
        }
        let found = match params.from {
            ReadFrom::Leader => partition.read(&ask, params.reader, at_least),
            ReadFrom::Anyone => partition.read_anywhere(&ask, params.reader, at_least),
        };
        match &found {
            Ok(read) => {
                left = left.saturating_sub(read.bytes());
                round.bytes += u64::from(read.bytes());
                round.urgent |= read.diverging.is_some();
            }
            Err(_) => round.urgent = true,
        }
        round.found.push(found);
    }
    round
}

/// A Fetch that waits for more bytes. It is woken once enough came; dropping it takes it off all
/// partitions.
#[derive(Debug)]
pub struct ParkedFetch {
    core: Arc<Core>,
    params: FetchParams,
    items: Vec<FetchItem>,
    waiter: Arc<FetchWaiter>,
    deadline: Mono,
    timer: Option<crate::timers::Deadline>,
    /// The deadline was brought forward, because a high watermark moved.
    nudged: bool,
    /// An answer whose records are being read from the disk.
    warming: Option<(Vec<Fetched>, AckWait)>,
    superseded: Option<Arc<Superseded>>,
}

/// Ends a parked Fetch without an answer, when the same reader asks again.
#[derive(Debug, Default)]
pub(crate) struct Superseded {
    is: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Superseded {
    pub(crate) fn set(&self) {
        self.is.store(true, Ordering::Release);
        if let Some(waker) = self.waker.lock().take() {
            waker.wake();
        }
    }

    fn register(&self, waker: &Waker) -> bool {
        let mut slot = self.waker.lock();
        if !slot.as_ref().is_some_and(|w| w.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
        drop(slot);
        self.is.load(Ordering::Acquire)
    }
}

impl ParkedFetch {
    /// Waits on all partitions for what `round` lacks; returns an answer if it came meanwhile.
    fn park(&mut self, mut round: Round) -> Option<Vec<Fetched>> {
        loop {
            let missing = u64::from(self.params.min_bytes).saturating_sub(round.bytes);
            let missing = usize::try_from(missing).unwrap_or(usize::MAX);
            self.unpark();
            self.waiter = FetchWaiter::new(self.params.reader, missing);
            for partition in self.partitions() {
                partition.waiters().add(&self.waiter);
            }
            // What came between reading and adding was told to nobody.
            let (reader, from) = (self.params.reader, self.params.from);
            let moved = |(item, bound): (&FetchItem, &i64)| {
                let gone = |p: &Arc<Partition>| {
                    p.bound(reader) != *bound || from.check(p, &item.ask).is_err()
                };
                item.partition.as_ref().is_some_and(gone)
            };
            if !self.items.iter().zip(&round.bounds).any(moved) {
                if let Some(ms) = round.within {
                    self.hurry(ms);
                }
                // A high watermark that moves from here on nudges.
                if self.params.follower.is_some() && self.items.iter().any(FetchItem::is_untold) {
                    self.hurry(HIGH_WATERMARK_DELAY_MS);
                }
                return None;
            }
            round = read_all(&self.core, &self.params, &self.items);
            if round.enough(&self.params) {
                return self.finish(round);
            }
        }
    }

    /// Brings the deadline forward.
    fn hurry(&mut self, ms: u64) {
        let soon = self.core.clock().mono().plus_ms(ms);
        if soon < self.deadline {
            self.deadline = soon;
            self.timer = None;
        }
    }

    /// What ends it without an answer.
    pub(crate) fn supersede_with(&mut self) -> Arc<Superseded> {
        Arc::clone(self.superseded.get_or_insert_default())
    }

    /// The answer, if its records are in memory; else has them read, off this thread.
    fn finish(&mut self, round: Round) -> Option<Vec<Fetched>> {
        note_sent(&self.core, &self.params, &self.items, &round.found);
        let cold: Vec<_> = round.cold().cloned().collect();
        if cold.is_empty() {
            return Some(round.found);
        }
        let waiter = AckWaiter::new(1);
        self.warming = Some((round.found, waiter.wait()));
        self.core.disk().spawn(move || {
            cold.iter().for_each(warm::warm);
            waiter.finish(Ok(()));
        });
        None
    }

    fn partitions(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.items.iter().filter_map(|item| item.partition.as_ref())
    }

    fn unpark(&self) {
        for partition in self.partitions() {
            partition.waiters().remove(&self.waiter);
        }
    }
}

/// Resolves to nothing when the same reader asked again meanwhile: nothing was read then, and nothing
/// is to be told.
impl Future for ParkedFetch {
    type Output = Option<Vec<Fetched>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Vec<Fetched>>> {
        let this = &mut *self;
        if this.superseded.as_ref().is_some_and(|s| s.register(cx.waker())) {
            return Poll::Ready(None);
        }
        loop {
            if let Some((found, wait)) = &mut this.warming {
                // Whatever became of it: those who read will see.
                let _ = ready!(Pin::new(wait).poll(cx));
                return Poll::Ready(Some(std::mem::take(found)));
            }
            let fired = this.waiter.register(cx.waker());
            if this.waiter.nudged() && !std::mem::replace(&mut this.nudged, true) {
                this.hurry(HIGH_WATERMARK_DELAY_MS);
            }
            let over = this.core.clock().mono() >= this.deadline;
            if fired || over {
                let round = read_all(&this.core, &this.params, &this.items);
                let done = over || round.enough(&this.params);
                match if done { this.finish(round) } else { this.park(round) } {
                    Some(found) => return Poll::Ready(Some(found)),
                    None => continue,
                }
            }
            match &this.timer {
                Some(timer) => timer.set_waker(cx.waker()),
                None => {
                    let waker = cx.waker().clone();
                    this.timer = Some(this.core.timers().at(this.deadline, waker));
                }
            }
            return Poll::Pending;
        }
    }
}

impl Drop for ParkedFetch {
    fn drop(&mut self) {
        self.unpark();
    }
}
