//! The nodes' clocks: one time for all, from which each one's clock is as far off as it is set.

use std::cell::Cell;

use ottla_machine::{Mono, Time};
use ottla_quorum::Clock;
use tokio::time::Instant;

/// Most nodes, and one more than the largest id.
pub const MOST: usize = 16;

/// The year 2027.
const EPOCH_MS: i64 = 1_800_000_000_000;

thread_local! {
    static BORN: Cell<Option<Instant>> = const { Cell::new(None) };
    static OFF_BY: Cell<[i64; MOST]> = const { Cell::new([0; MOST]) };
}

/// Begins a run: all clocks are right.
pub fn begin() {
    BORN.set(Some(Instant::now()));
    OFF_BY.set([0; MOST]);
}

/// Milliseconds since the run began.
pub fn now() -> u64 {
    BORN.get().map_or(0, |born| u64::try_from(born.elapsed().as_millis()).unwrap_or_default())
}

/// A node's clock jumps.
pub fn jump(id: i32, by_ms: i64) {
    let mut off_by = OFF_BY.get();
    if let Some(clock) = usize::try_from(id).ok().and_then(|id| off_by.get_mut(id)) {
        *clock += by_ms;
    }
    OFF_BY.set(off_by);
}

fn tell<const ID: usize>() -> i64 {
    EPOCH_MS + now().cast_signed() + OFF_BY.get().get(ID).copied().unwrap_or_default()
}

/// The clock of a node.
pub fn of(id: i32) -> Clock {
    const CLOCKS: [Clock; MOST] = [
        tell::<0>, tell::<1>, tell::<2>, tell::<3>, tell::<4>, tell::<5>, tell::<6>, tell::<7>,
        tell::<8>, tell::<9>, tell::<10>, tell::<11>, tell::<12>, tell::<13>, tell::<14>,
        tell::<15>,
    ];
    usize::try_from(id).ok().and_then(|id| CLOCKS.get(id)).copied().unwrap_or(tell::<0>)
}

/// Both clocks of a node: the one that jumps, and one that only ever goes on.
#[derive(Clone, Copy, Debug)]
pub struct Clocks(pub i32);

impl ottla_engine::Clock for Clocks {
    fn now(&self) -> Time {
        Time { mono: Mono(now()), wall_ms: of(self.0)() }
    }
}
