//! A whole cluster in one loop: the real controller, the real leaders and followers, the real
//! coordinator of groups, the real log over a simulated disk, told by a seed what to suffer: messages delayed, lost, doubled and
//! reordered, networks cut, processes killed and paused, power lost, disks full, clocks that jump.
//!
//! Four of sixteen seeds also have a group whose members come and go, two of them a second one of the new protocol, too, a topic
//! that a broker took along, and controllers whose clocks jump, and two of the others have one who writes transactions to several partitions, and one who reads what is committed;
//! until the faults stop, all others are what they were before there were these, so that seeds which once found something still do.
//!
//! Invariant: a run is a function of its seed. Nothing here asks for the time, spawns a thread or
//! depends on the order of a hash; the same seed twice prints the same trace.
//!
//! The promise that is checked is Kafka's, which does without fsync: what was acknowledged with
//! acks=all survives as long as one of those who may lead has it. So power is lost only where
//! another replica that may lead (in sync, or eligible by KIP-966) is sound; `faults.rs` says how
//! that is judged. All else may come at any time.
//!
//! Two levels: here the machines, joined as the engine does, around a model of the quorum; in [`whole`] the quorum itself.
//!
//! Start reading at [`run`], then `world.rs`; `process.rs`, `replica.rs` and `shard.rs` join the
//! machines as the engine does, `quorum.rs` is a model of the metadata quorum around the real controller, and
//! `invariant/` says what must hold, a file each.

pub mod clients;
pub mod faults;
pub mod hub;
pub mod invariant;
pub mod joiner;
pub mod member;
pub mod message;
pub mod net;
pub mod node;
pub mod orphan;
pub mod process;
pub mod quorum;
pub mod records;
pub mod replica;
pub mod rng;
pub mod shard;
pub mod sharer;
pub mod subscriber;
pub mod trace;
pub mod transactor;
pub mod whole;
pub mod world;

use std::fmt::{self, Display};

pub use trace::{Print, Trace};
pub use world::{Outcome, run};

/// The cluster's id.
pub const CLUSTER: &str = "4L6g3nShT-eMCtK--X86sw";

/// The one topic.
pub const TOPIC: &str = "t";

/// The most partitions that it has.
pub const MOST_PARTITIONS: i32 = 4;

/// The partition in which a coordinator keeps the offsets of groups; producers write to the others.
pub const OFFSETS: i32 = 0;

/// Something that must hold does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which of the invariants, by the name of its file, or the room where it was noticed.
    pub of: &'static str,
    /// What is wrong.
    pub what: String,
}

impl Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.of, self.what)
    }
}

/// Whether all is well.
pub type Verdict = Result<(), Violation>;

/// A violation of `of`.
pub fn violated(of: &'static str, what: impl Display) -> Violation {
    Violation { of, what: what.to_string() }
}
