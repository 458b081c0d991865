//! The second level: the metadata quorum itself, of several nodes with clock, disk and network simulated.
//!
//! Each node runs the real `ottla-quorum` over a simulated disk: voters, controllers that stand by and brokers that pull.
//! They share one thread and one paused clock, and meet over wires that lose, delay, double and reorder. A seed tells who is
//! killed in the middle of which write, whose power fails, who is held up, cut off, emptied, given or denied a vote, and
//! whose clock jumps; `faults.rs` has the list. Then all faults stop, and all must be well in bounded time.
//!
//! Invariant: a run is a function of its seed. Chance and threads come from [`ottla_quorum::simulated`]; tokio's own chance
//! follows from the seed where it is built with `--cfg tokio_unstable`, as the suite does.
//!
//! Start reading at [`run`], then `world.rs`; what must hold is in `laws/`, a file each.

pub mod clock;
pub mod faults;
pub mod host;
pub mod laws;
pub mod load;
pub mod plan;
pub mod wires;
pub mod world;

use ottla_quorum::simulated;

use crate::{Outcome, Trace, violated};

/// Runs a quorum through the life that `seed` tells.
#[must_use]
pub fn run(seed: u64, trace: Trace) -> Outcome {
    let simulation = simulated::begin(seed);
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true);
    #[cfg(tokio_unstable)]
    builder.rng_seed(tokio::runtime::RngSeed::from_bytes(&seed.to_le_bytes()));
    let outcome = match builder.build() {
        Ok(runtime) => {
            let outcome = runtime.block_on(world::live(seed, trace));
            // What is left of tasks ends inside of the simulation.
            drop(runtime);
            outcome
        }
        Err(e) => {
            let violation = Some(violated("start", e));
            Outcome { violation, trace, acked: 0, committed: 0, healed_after: 0 }
        }
    };
    drop(simulation);
    outcome
}
