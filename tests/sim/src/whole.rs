//! The second level: the metadata quorum itself, of several nodes with clock, disk and network simulated.
//!
//! Two scopes ([`plan::Scope`]). With the quorum alone, each node runs the real `ottla-quorum` over a simulated disk: voters, controllers that stand by and brokers that pull.
//! They share one thread and one paused clock, and meet over wires that lose, delay, double and reorder. A seed tells who is
//! killed in the middle of which write, whose power fails, who is held up, cut off, emptied, given or denied a vote, and
//! whose clock jumps; `faults.rs` has the list. In some runs the quorum grows from one voter, or not all first voters come at once. Then all faults stop, and all must be well in bounded time.
//!
//! With whole nodes, each member runs the real controller on top of that, and brokers the real engine: their life in the
//! cluster, their logs, the partitions that they lead and follow, and the coordinators of groups; in half of the clusters some
//! are both in one process. Clients have topics made, moved and deleted by way of any node, producers write, their old records
//! are deleted, and others commit offsets or share partitions out in a group. Disks fill up, too, for a while.
//!
//! Invariant: a run is a function of its seed. Chance and threads come from [`ottla_quorum::simulated`]; tokio's own chance
//! follows from the seed where it is built with `--cfg tokio_unstable`, as the suite does.
//!
//! Start reading at [`run`], then `world.rs`; what must hold is in `laws/`, a file each, and in `ledger.rs` of what controllers
//! answer. `service.rs` has what there is besides the quorum.

pub mod admins;
pub mod broker;
pub mod carriers;
pub mod clock;
pub mod committers;
pub mod controller;
pub mod faults;
pub mod host;
pub mod laws;
pub mod ledger;
pub mod load;
pub mod plan;
pub mod producers;
pub mod serve;
pub mod service;
pub mod sharers;
pub mod wires;
pub mod world;

use ottla_quorum::simulated;

use self::plan::Scope;

use crate::{Outcome, Trace, violated};

/// Runs a quorum, or whole nodes, through the life that `seed` tells.
#[must_use]
pub fn run(scope: Scope, seed: u64, trace: Trace) -> Outcome {
    let simulation = simulated::begin(seed);
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true);
    #[cfg(tokio_unstable)]
    builder
        .rng_seed(tokio::runtime::RngSeed::from_bytes(&seed.to_le_bytes()))
        // A task that panics is a violation, too.
        .unhandled_panic(tokio::runtime::UnhandledPanic::ShutdownRuntime);
    let outcome = match builder.build() {
        Ok(runtime) => {
            let outcome = runtime.block_on(world::live(scope, seed, trace));
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
