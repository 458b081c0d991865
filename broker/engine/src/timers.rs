//! Deadlines of everything that waits: parked fetches, acknowledgements, ticks of machines.
//!
//! One thread sleeps until the first deadline, or one that was the first and was dropped. Setting a
//! later one, which is nearly always so, wakes nobody; dropping one costs a removal from a tree. In a
//! simulation a task does as the thread would.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;

use ottla_machine::Mono;
use ottla_quorum::simulated;
use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use crate::env::Clock;

type Key = (Mono, u64);

#[derive(Default)]
struct State {
    waits: BTreeMap<Key, Waker>,
    next: u64,
    /// Until when the thread sleeps; `None` while it does not, and looks before it does.
    asleep_until: Option<Mono>,
    stopped: bool,
}

impl State {
    /// Takes those that are due.
    fn take_due(&mut self, now: Mono) -> BTreeMap<Key, Waker> {
        let later = self.waits.split_off(&(Mono(now.0 + 1), 0));
        std::mem::replace(&mut self.waits, later)
    }

    /// One turn without a thread: those that are due, and else until when to sleep. None when it is over.
    fn turn(&mut self, now: Mono) -> Option<(BTreeMap<Key, Waker>, Option<Mono>)> {
        if self.stopped {
            return None;
        }
        let due = self.take_due(now);
        let first = self.first();
        self.asleep_until = due.is_empty().then(|| first.unwrap_or(Mono(u64::MAX)));
        Some((due, first))
    }

    /// The first of the others.
    fn first(&self) -> Option<Mono> {
        self.waits.first_key_value().map(|(key, _)| key.0)
    }
}

struct Inner {
    state: Mutex<State>,
    changed: Condvar,
    /// In the place of `changed`, where a task is in the place of the thread.
    simulated: Option<Arc<Notify>>,
    clock: Arc<dyn Clock>,
}

/// The facility. Clones are the same one.
#[derive(Clone)]
pub struct Timers {
    inner: Arc<Inner>,
    _thread: Arc<Stop>,
}

impl std::fmt::Debug for Timers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Timers")
    }
}

impl Timers {
    /// Starts the thread. It ends when the last clone is gone.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(clock: Arc<dyn Clock>) -> io::Result<Self> {
        let (state, changed) = (Mutex::new(State::default()), Condvar::new());
        let simulated = simulated::is_on().then(Arc::<Notify>::default);
        let inner = Arc::new(Inner { state, changed, simulated, clock });
        let weak = Arc::downgrade(&inner);
        match inner.simulated.clone() {
            Some(changed) => drop(simulated::spawn(simulate(weak, changed))),
            None => {
                std::thread::Builder::new().name("timers".into()).spawn(move || run(&weak))?;
            }
        }
        let stop = Arc::new(Stop(Arc::clone(&inner)));
        Ok(Self { inner, _thread: stop })
    }

    /// Wakes `waker` once, at `deadline` or a little later, unless the answer is dropped before.
    #[must_use]
    pub fn at(&self, deadline: Mono, waker: Waker) -> Deadline {
        let mut state = self.inner.state.lock();
        state.next += 1;
        let key = (deadline, state.next);
        let sooner = state.asleep_until.is_some_and(|until| deadline < until);
        if sooner {
            // It is awake as good as now: whoever is next need not wake it too.
            state.asleep_until = None;
        }
        state.waits.insert(key, waker);
        drop(state);
        if sooner {
            self.inner.wake();
        }
        Deadline { inner: Arc::clone(&self.inner), key }
    }

    /// The time, by the clock the deadlines are measured with.
    #[must_use]
    pub fn now(&self) -> Mono {
        self.inner.clock.mono()
    }
}

/// A deadline that is set; dropping it takes it back.
pub struct Deadline {
    inner: Arc<Inner>,
    key: Key,
}

impl Deadline {
    /// When it is.
    #[must_use]
    pub fn when(&self) -> Mono {
        self.key.0
    }

    /// Has another task woken, as when a future moved.
    pub fn set_waker(&self, waker: &Waker) {
        if let Some(slot) = self.inner.state.lock().waits.get_mut(&self.key)
            && !slot.will_wake(waker)
        {
            *slot = waker.clone();
        }
    }
}

impl std::fmt::Debug for Deadline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Deadline({})", self.key.0.0)
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        let waker = self.inner.state.lock().waits.remove(&self.key);
        // Outside of the lock: dropping a waker may drop what sets deadlines.
        drop(waker);
    }
}

struct Stop(Arc<Inner>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.state.lock().stopped = true;
        self.0.wake();
    }
}

impl Inner {
    /// Has whoever sleeps look again.
    fn wake(&self) {
        match &self.simulated {
            Some(changed) => changed.notify_one(),
            None => {
                self.changed.notify_one();
            }
        }
    }
}

/// Does as the thread does, in a simulation.
async fn simulate(inner: Weak<Inner>, changed: Arc<Notify>) {
    while let Some(inner) = inner.upgrade() {
        let now = inner.clock.mono();
        let turn = inner.state.lock().turn(now);
        let Some((due, first)) = turn else { return };
        // What wakes may hold the last of it.
        drop(inner);
        if !due.is_empty() {
            due.into_values().for_each(Waker::wake);
            continue;
        }
        match first {
            Some(first) => {
                let wait = Duration::from_millis(first.since(now));
                tokio::select! {
                    () = changed.notified() => {}
                    () = tokio::time::sleep(wait) => {}
                }
            }
            None => changed.notified().await,
        }
    }
}

fn run(inner: &Weak<Inner>) {
    while let Some(inner) = inner.upgrade() {
        let now = inner.clock.mono();
        let mut state = inner.state.lock();
        if state.stopped {
            return;
        }
        let due = state.take_due(now);
        if due.is_empty() {
            match state.first() {
                Some(first) => {
                    state.asleep_until = Some(first);
                    let wait = Duration::from_millis(first.since(now));
                    inner.changed.wait_for(&mut state, wait);
                }
                None => {
                    state.asleep_until = Some(Mono(u64::MAX));
                    inner.changed.wait(&mut state);
                }
            }
            state.asleep_until = None;
            continue;
        }
        drop(state);
        due.into_values().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::task::Wake;

    use super::*;
    use crate::env::SystemClock;

    struct Send(u32, mpsc::Sender<u32>);

    impl Wake for Send {
        fn wake(self: Arc<Self>) {
            let _ = self.1.send(self.0);
        }
    }

    #[test]
    fn deadlines_come_in_order_unless_dropped() {
        let clock = SystemClock::start();
        let timers = Timers::start(clock).unwrap();
        let (send, receive) = mpsc::channel();
        let set =
            |ms, n| timers.at(timers.now().plus_ms(ms), Arc::new(Send(n, send.clone())).into());
        let _late = set(60, 1);
        let _early = set(10, 2);
        let dropped = set(30, 3);
        let _middle = set(40, 4);
        drop(dropped);
        let limit = Duration::from_secs(5);
        let got: Vec<_> = (0..3).map(|_| receive.recv_timeout(limit).unwrap()).collect();
        assert_eq!(got, [2, 4, 1]);
        assert!(receive.try_recv().is_err());
    }
}
