//! Reading many partitions for one request, and waiting until there is enough.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ottla_log::log::AtLeast;
use ottla_machine::Mono;

use crate::core::Core;
use crate::error::EngineError;
use crate::partition::{Partition, Read, ReadAsk};
use crate::wait::{AckWait, AckWaiter, FetchWaiter, Reader};
use crate::warm;

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
}

/// One partition of a Fetch request, in the order in which they are to be read.
#[derive(Clone, Debug)]
pub struct FetchItem {
    /// The partition, if it is here.
    pub partition: Option<Arc<Partition>>,
    /// What is asked of it.
    pub ask: ReadAsk,
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
pub fn fetch(core: &Arc<Core>, params: FetchParams, items: Vec<FetchItem>) -> Fetch {
    let round = read_all(&params, &items);
    let done = params.max_wait_ms == 0 || round.enough(&params);
    if done && !round.is_cold() {
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
        warming: None,
    };
    let answer = if done { parked.finish(round) } else { parked.park(round) };
    match answer {
        Some(found) => Fetch::Ready(found),
        None => Fetch::Parked(parked),
    }
}

/// One reading of all items.
struct Round {
    found: Vec<Fetched>,
    /// How far each partition could be read then.
    bounds: Vec<i64>,
    bytes: u64,
    urgent: bool,
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

fn read_all(params: &FetchParams, items: &[FetchItem]) -> Round {
    let mut round = Round {
        found: Vec::with_capacity(items.len()),
        bounds: Vec::with_capacity(items.len()),
        bytes: 0,
        urgent: false,
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
        let at_least = if round.bytes == 0 { AtLeast::OneBatch } else { AtLeast::Nothing };
        let ask = ReadAsk { max_bytes: item.ask.max_bytes.min(left), ..item.ask };
        let found = partition.read(&ask, params.reader, at_least);
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
    /// An answer whose records are being read from the disk.
    warming: Option<(Vec<Fetched>, AckWait)>,
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
            let reader = self.params.reader;
            let moved = |(item, bound): (&FetchItem, &i64)| {
                let gone = |p: &Arc<Partition>| {
                    p.bound(reader) != *bound || p.check_leader(item.ask.epoch).is_err()
                };
                item.partition.as_ref().is_some_and(gone)
            };
            if !self.items.iter().zip(&round.bounds).any(moved) {
                return None;
            }
            round = read_all(&self.params, &self.items);
            if round.enough(&self.params) {
                return self.finish(round);
            }
        }
    }

    /// The answer, if its records are in memory; else has them read, off this thread.
    fn finish(&mut self, round: Round) -> Option<Vec<Fetched>> {
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

impl Future for ParkedFetch {
    type Output = Vec<Fetched>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Vec<Fetched>> {
        let this = &mut *self;
        loop {
            if let Some((found, wait)) = &mut this.warming {
                // Whatever became of it: those who read will see.
                let _ = ready!(Pin::new(wait).poll(cx));
                return Poll::Ready(std::mem::take(found));
            }
            let fired = this.waiter.register(cx.waker());
            let over = this.core.clock().mono() >= this.deadline;
            if fired || over {
                let round = read_all(&this.params, &this.items);
                let done = over || round.enough(&this.params);
                match if done { this.finish(round) } else { this.park(round) } {
                    Some(found) => return Poll::Ready(found),
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
