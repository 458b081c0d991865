//! All shards of one kind on this node.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_machine::Mono;
use ottla_wire::ErrorCode;
use parking_lot::RwLock;
use tokio::runtime::Handle;
use tracing::{error, info};

use super::{Coordinator, Shard, load};
use crate::core::Core;
use crate::partition::Partition;

/// The rest before a partition that could not be read is read again, when somebody asks for it.
const READ_AGAIN_MS: u64 = 10_000;

/// What this node is to one partition of a coordinator's topic.
#[derive(Debug)]
enum State<M: Coordinator> {
    /// It leads the partition, and is reading it.
    Loading(i32),
    /// It leads the partition and serves.
    Active(Arc<Shard<M>>),
    /// It leads the partition, but could not read it.
    Failed { epoch: i32, partition: Arc<Partition>, at: Mono },
}

impl<M: Coordinator> State<M> {
    fn epoch(&self) -> i32 {
        match self {
            Self::Loading(epoch) | Self::Failed { epoch, .. } => *epoch,
            Self::Active(shard) => shard.epoch(),
        }
    }
}

/// All shards of one kind of machine, by the number of their partition.
#[derive(Debug)]
pub struct Shards<M: Coordinator> {
    shell: Arc<M::Shell>,
    core: Arc<Core>,
    /// Where replies wait that are not committed at once.
    runtime: Handle,
    states: RwLock<BTreeMap<i32, State<M>>>,
}

impl<M: Coordinator> Shards<M> {
    /// None yet.
    #[must_use]
    pub fn new(shell: Arc<M::Shell>, core: Arc<Core>, runtime: Handle) -> Arc<Self> {
        Arc::new(Self { shell, core, runtime, states: RwLock::default() })
    }

    /// What all shards share.
    #[must_use]
    pub fn shell(&self) -> &Arc<M::Shell> {
        &self.shell
    }

    /// The shard of a partition.
    ///
    /// # Errors
    /// `NOT_COORDINATOR` if this node does not lead the partition, `COORDINATOR_LOAD_IN_PROGRESS`
    /// while it is read, `COORDINATOR_NOT_AVAILABLE` for a while after it could not be read.
    pub fn get(self: &Arc<Self>, number: i32) -> Result<Arc<Shard<M>>, ErrorCode> {
        let rested = |at: Mono| self.core.clock().mono().since(at) >= READ_AGAIN_MS;
        let shard = match self.states.read().get(&number) {
            Some(State::Active(shard)) => Ok(Arc::clone(shard)),
            // What was in the way, as too few files, may be gone.
            Some(State::Failed { epoch, partition, at }) if rested(*at) => {
                Err((Arc::clone(partition), *epoch))
            }
            Some(State::Failed { .. }) => return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE),
            Some(State::Loading(_)) => return Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
            None => return Err(ErrorCode::NOT_COORDINATOR),
        };
        let (partition, epoch) = match shard {
            Ok(shard) if !shard.is_dropped() => return Ok(shard),
            // Its log refused an append while leadership stayed.
            Ok(shard) => (Arc::clone(shard.partition()), shard.epoch()),
            Err(failed) => failed,
        };
        self.read(number, partition, epoch, |state| match state {
            Some(State::Active(shard)) => shard.epoch() == epoch && shard.is_dropped(),
            Some(State::Failed { epoch: failed, .. }) => *failed == epoch,
            // Another thread was first, or leadership went.
            Some(State::Loading(_)) | None => false,
        });
        Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS)
    }

    /// All shards that serve now.
    #[must_use]
    pub fn active(&self) -> Vec<Arc<Shard<M>>> {
        let states = self.states.read();
        let active = states.values().filter_map(|state| match state {
            State::Active(shard) => Some(Arc::clone(shard)),
            State::Loading(_) | State::Failed { .. } => None,
        });
        active.collect()
    }

    /// Whether any shard is still being read.
    #[must_use]
    pub fn is_loading(&self) -> bool {
        self.states.read().values().any(|s| matches!(s, State::Loading(_)))
    }

    /// This node leads a partition in `epoch`: reads it on the pool, and serves then. Does nothing
    /// when it serves or reads in that epoch already.
    pub fn lead(self: &Arc<Self>, number: i32, partition: Arc<Partition>, epoch: i32) {
        self.read(number, partition, epoch, |state| match state {
            Some(State::Active(shard)) => shard.epoch() != epoch || shard.is_dropped(),
            Some(State::Loading(loading)) => *loading != epoch,
            Some(State::Failed { .. }) | None => true,
        });
    }

    /// Reads a partition on the pool, if what this node is to it allows that.
    fn read(
        self: &Arc<Self>,
        number: i32,
        partition: Arc<Partition>,
        epoch: i32,
        allows: impl FnOnce(Option<&State<M>>) -> bool,
    ) {
        let old = {
            let mut states = self.states.write();
            if !allows(states.get(&number)) {
                return;
            }
            states.insert(number, State::Loading(epoch))
        };
        retire(old);
        let this = Arc::clone(self);
        self.core.disk().spawn(move || this.load(number, partition, epoch));
    }

    fn load(&self, number: i32, partition: Arc<Partition>, epoch: i32) {
        let begun = self.core.clock().mono();
        let loaded = load::replay::<M>(&partition);
        let took_ms = self.core.clock().mono().since(begun);
        let state = match loaded {
            Ok(state) => {
                let records = partition.log().end_offset() - partition.log().start_offset();
                if records > 0 {
                    info!(kind = M::NAME, partition = number, epoch, records, took_ms, "loaded");
                }
                let (shell, core) = (Arc::clone(&self.shell), Arc::clone(&self.core));
                let runtime = self.runtime.clone();
                State::Active(Shard::start(shell, partition, epoch, core, runtime, state))
            }
            Err(why) => {
                error!(kind = M::NAME, partition = number, epoch, why, "cannot be loaded");
                State::Failed { epoch, partition, at: self.core.clock().mono() }
            }
        };
        let mut states = self.states.write();
        // Leadership may have moved on meanwhile.
        let rejected = match states.get(&number) {
            Some(State::Loading(loading)) if *loading == epoch => {
                if let State::Active(shard) = &state {
                    // Settings may have changed since it began, and it was not among the active ones then. With the lock, so
                    // that what is told here is not older than what it is told from now on.
                    let greeting = M::greet_shard(&self.shell, number);
                    greeting.into_iter().for_each(|command| drop(shard.submit(command)));
                }
                states.insert(number, state);
                None
            }
            _ => Some(state),
        };
        drop(states);
        retire(rejected);
    }

    /// This node no longer leads a partition, since `epoch`.
    pub fn resign(&self, number: i32, epoch: i32) {
        let mut states = self.states.write();
        let older = states.get(&number).is_some_and(|state| state.epoch() <= epoch);
        let old = if older { states.remove(&number) } else { None };
        drop(states);
        retire(old);
    }

    /// Ends all shards.
    pub fn stop(&self) {
        let all = std::mem::take(&mut *self.states.write());
        all.into_values().for_each(|state| retire(Some(state)));
    }
}

fn retire<M: Coordinator>(state: Option<State<M>>) {
    if let Some(State::Active(shard)) = state {
        shard.retire();
    }
}
