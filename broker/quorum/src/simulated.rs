//! What a simulation puts in the place of threads, of the system's chance, and of processes.
//!
//! A run that is to be the same twice has one thread, and chance that follows from a seed. Between [`begin`] and the end of
//! what it gives, on that thread: what has to wait for a disk is done by a task, after as long as a disk may take; and a task
//! belongs to one life of a node ([`of`]), which can be held up where it stands, as by SIGSTOP, or ended, as by kill -9. Time
//! is tokio's own, which can be paused.
//!
//! Everywhere else all this is tokio's, at the cost of a look at the thread's own memory for each task and each piece of
//! work that waits for a disk.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use openraft::{AsyncRuntime, OptionalSend};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// The longest that a piece of work waits for a simulated disk, most of the time.
const SLOW_MS: u64 = 4;

/// The longest that one does now and then.
const SLOWEST_MS: u64 = 60;

/// One life of a node, from its start to its end; the next one has another number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Life(pub u32);

#[derive(Debug)]
struct World {
    chance: u64,
    /// Whose task runs now.
    runs: Option<Life>,
    /// Who is held up, and the tasks that wanted to go on meanwhile.
    held: BTreeMap<Life, Vec<Waker>>,
    ended: BTreeSet<Life>,
}

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

fn world<T>(with: impl FnOnce(&mut World) -> T) -> Option<T> {
    WORLD.with_borrow_mut(|world| world.as_mut().map(with))
}

/// A simulation, on the thread that began it, until it is dropped.
#[derive(Debug)]
pub struct Simulation(std::marker::PhantomData<*const ()>);

/// From now on what happens on this thread follows from `seed`.
#[must_use]
pub fn begin(seed: u64) -> Simulation {
    let (held, ended) = (BTreeMap::new(), BTreeSet::new());
    WORLD.set(Some(World { chance: seed, runs: None, held, ended }));
    Simulation(std::marker::PhantomData)
}

impl Drop for Simulation {
    fn drop(&mut self) {
        drop(WORLD.take());
    }
}

/// A future whose tasks, and what they begin, belong to a life.
pub fn of<F: Future>(life: Life, future: F) -> impl Future<Output = F::Output> {
    Lived { life, future: Box::pin(future) }
}

/// Holds up all tasks of a life.
pub fn hold(life: Life) {
    world(|world| {
        world.held.entry(life).or_default();
    });
}

/// Lets them go on.
pub fn release(life: Life) {
    let waiting = world(|world| world.held.remove(&life)).flatten();
    waiting.into_iter().flatten().for_each(Waker::wake);
}

/// Ends a life: none of its tasks does anything from now on.
pub fn end(life: Life) {
    // What the wakers keep may have a mind of its own, so it is dropped when nothing is borrowed.
    let waiting = world(|world| {
        world.ended.insert(life);
        world.held.remove(&life)
    });
    drop(waiting);
}

/// Whether this thread simulates.
#[must_use]
pub fn is_on() -> bool {
    WORLD.with_borrow(Option::is_some)
}

/// Any number: of the simulation, or else the system's.
#[must_use]
pub fn chance() -> u64 {
    world(World::draw).unwrap_or_else(rand::random)
}

/// Begins a task of whoever's task runs now.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match world(|world| world.runs).flatten() {
        None => tokio::spawn(future),
        Some(life) => tokio::spawn(Lived { life, future: Box::pin(future) }),
    }
}

/// Begins a task on a runtime, which in a simulation is the only one there is.
pub fn spawn_on<F>(runtime: &Handle, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    if is_on() { spawn(future) } else { runtime.spawn(future) }
}

/// Does what waits for a disk where it holds up nothing else. It is done even if nobody waits for it any more.
pub(crate) fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    if !is_on() {
        return tokio::task::spawn_blocking(work);
    }
    spawn(async move {
        disk().await;
        work()
    })
}

/// Waits as long as a simulated disk takes.
pub async fn disk() {
    let ms = world(|world| match world.draw() % 64 {
        0 => world.draw() % SLOWEST_MS,
        _ => world.draw() % SLOW_MS,
    });
    tokio::time::sleep(Duration::from_millis(ms.unwrap_or_default())).await;
}

impl World {
    fn draw(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.chance;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    /// Whether a task of a life may go on. If it may only later, it is woken then.
    fn lets(&mut self, life: Life, waker: &Waker) -> bool {
        if self.ended.contains(&life) {
            return false;
        }
        if let Some(waiting) = self.held.get_mut(&life) {
            waiting.push(waker.clone());
            return false;
        }
        true
    }
}

struct Lived<F> {
    life: Life,
    future: Pin<Box<F>>,
}

/// Puts back whose task ran before.
struct Back(Option<Life>);

impl Drop for Back {
    fn drop(&mut self) {
        world(|world| world.runs = self.0);
    }
}

impl<F: Future> Future for Lived<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let life = self.life;
        let before = world(|world| world.lets(life, cx.waker()).then(|| world.runs.replace(life)));
        let _back = match before {
            // It may not, or the simulation is over.
            None | Some(None) => return Poll::Pending,
            Some(Some(before)) => Back(before),
        };
        self.future.as_mut().poll(cx)
    }
}

/// The system's chance, or the simulation's.
#[derive(Clone, Copy, Debug)]
pub struct Chance;

impl rand_core::TryRng for Chance {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((chance() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(chance())
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Infallible> {
        for bytes in into.chunks_mut(8) {
            let drawn = chance().to_le_bytes();
            bytes.iter_mut().zip(drawn).for_each(|(to, from)| *to = from);
        }
        Ok(())
    }
}

#[allow(deprecated)] // It is the same type, by the name that needs no further crate.
type Tokio = openraft::impls::TokioRuntime;

/// What openraft runs on: tokio, but for its tasks and its chance.
#[derive(Debug)]
pub struct Runtime(Tokio);

impl AsyncRuntime for Runtime {
    type JoinError = tokio::task::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = JoinHandle<T>;
    type Sleep = <Tokio as AsyncRuntime>::Sleep;
    type Instant = <Tokio as AsyncRuntime>::Instant;
    type TimeoutError = <Tokio as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = <Tokio as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = Chance;
    type Mpsc = <Tokio as AsyncRuntime>::Mpsc;
    type Watch = <Tokio as AsyncRuntime>::Watch;
    type Oneshot = <Tokio as AsyncRuntime>::Oneshot;
    type Mutex<T: OptionalSend + 'static> = <Tokio as AsyncRuntime>::Mutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        Tokio::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        Tokio::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(
        duration: Duration,
        future: F,
    ) -> Self::Timeout<R, F> {
        Tokio::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(
        deadline: Self::Instant,
        future: F,
    ) -> Self::Timeout<R, F> {
        Tokio::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        join_error.is_panic()
    }

    fn thread_rng() -> Chance {
        Chance
    }

    fn new(threads: usize) -> Self {
        Self(Tokio::new(threads))
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.0.block_on(future)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
    }

    #[test]
    fn chance_follows_from_the_seed() {
        let numbers = |seed| {
            let _simulation = begin(seed);
            [(); 4].map(|()| chance())
        };
        assert_eq!(numbers(1), numbers(1));
        assert_ne!(numbers(1), numbers(2));
        assert!(!is_on());
        assert_ne!(chance(), chance());
    }

    /// Counts in a task's task, a step a millisecond.
    async fn counts(count: Arc<AtomicU64>) {
        spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
                blocking(|| ()).await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    #[test]
    fn a_life_is_held_up_goes_on_and_ends_with_all_its_tasks() {
        let _simulation = begin(7);
        let (one, other) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        runtime().block_on(async {
            of(Life(1), counts(one.clone())).await;
            of(Life(2), counts(other.clone())).await;
            let seconds = |n| tokio::time::sleep(Duration::from_secs(n));
            let now = || [&one, &other].map(|count| count.load(Ordering::Relaxed));
            seconds(1).await;
            let begun = now();
            assert!(begun.iter().all(|count| *count > 50), "{begun:?}");
            hold(Life(1));
            seconds(1).await;
            let held = now();
            assert!(held[0] == begun[0] && held[1] > begun[1] + 50, "{begun:?} {held:?}");
            release(Life(1));
            end(Life(2));
            seconds(1).await;
            let ended = now();
            assert!(ended[0] > held[0] + 50 && ended[1] == held[1], "{held:?} {ended:?}");
        });
    }

    #[test]
    fn without_a_simulation_work_is_done_on_another_thread() {
        let here = std::thread::current().id();
        let there =
            runtime().block_on(async { blocking(|| std::thread::current().id()).await.unwrap() });
        assert_ne!(here, there);
    }
}
