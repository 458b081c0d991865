//! The whole network put together: threads, listeners, limits, and an end in order.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tracing::warn;

use crate::accept::{Accept, Listening};
use crate::connection::{ConnectionLimits, MAX_IN_FLIGHT};
use crate::error::ListenError;
use crate::limits::{ConnectionQuota, QuotaSettings};
use crate::memory::MemoryPool;
use crate::registry::{Clock, ReapLimits, Registry};
use crate::runtime::Runtimes;
use crate::service::{Peer, Service};
use crate::stats::{NetStats, NetTotals};
use crate::waiting::WaitingRoom;

/// How often the coarse clock ticks and idle connections are looked for.
const TICK: Duration = Duration::from_millis(1000);

/// A large frame that stopped arriving is given up after this long, if others wait for its memory.
const STALLED_MS: u64 = 10_000;

/// How long closing a listener waits for its port to be free.
const CLOSES_WITHIN: Duration = Duration::from_secs(1);

/// Makes the service of each connection of a listener.
pub trait Opener: Send + Sync + 'static {
    /// What answers a connection.
    type Service: Service + Unpin;

    /// A service for a connection that opens now.
    fn open(&self, peer: Peer) -> Self::Service;
}

impl<F, S> Opener for F
where
    F: Fn(Peer) -> S + Send + Sync + 'static,
    S: Service + Unpin,
{
    type Service = S;

    fn open(&self, peer: Peer) -> S {
        self(peer)
    }
}

/// What holds for the whole network.
#[derive(Clone, Debug)]
pub struct NetConfig {
    /// Threads that connections live on.
    pub threads: usize,
    /// `socket.request.max.bytes`.
    pub max_frame: u32,
    /// Requests of one connection that may wait for their answers before it is left unread; no more
    /// than 128 in any case.
    pub max_requests: usize,
    /// Memory for requests that arrive or are worked on, in bytes; those that wait for their answers
    /// may hold as much again.
    pub request_memory: u64,
    /// `connections.max.idle.ms`; `None` keeps idle connections for ever.
    pub max_idle_ms: Option<u64>,
    /// Limits on the number of connections.
    pub quota: QuotaSettings,
}

impl Default for NetConfig {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            max_frame: 100 << 20,
            max_requests: MAX_IN_FLIGHT,
            request_memory: 512 << 20,
            max_idle_ms: Some(600_000),
            quota: QuotaSettings::default(),
        }
    }
}

/// One listener.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// Its name (`PLAINTEXT`).
    pub name: String,
    /// Where it listens; port 0 takes a free one.
    pub address: SocketAddr,
    /// `socket.listen.backlog.size`.
    pub backlog: i32,
    /// `socket.send.buffer.bytes`; `None` leaves it to the system.
    pub send_buffer: Option<usize>,
    /// `socket.receive.buffer.bytes`; `None` leaves it to the system.
    pub receive_buffer: Option<usize>,
}

impl ListenerConfig {
    /// A listener with the system's buffers.
    #[must_use]
    pub fn new(name: impl Into<String>, address: SocketAddr) -> Self {
        let name = name.into();
        Self { name, address, backlog: 50, send_buffer: None, receive_buffer: None }
    }
}

/// The network of a node: its threads, listeners and limits.
#[derive(Debug)]
pub struct Net {
    core: Arc<Core>,
    runtimes: Arc<Runtimes>,
    reaper: JoinHandle<()>,
    /// What accepts, by the listener's name.
    accepting: std::sync::Mutex<BTreeMap<String, JoinHandle<()>>>,
}

/// What listeners and connections share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) registry: Arc<Registry>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) quota: Arc<ConnectionQuota>,
    pub(crate) limits: Arc<ConnectionLimits>,
    max_idle_ms: AtomicU64,
}

impl Core {
    /// Closes connections that are too many.
    pub(crate) fn trim(&self) {
        let excess = self.quota.excess();
        if excess > 0 {
            let kept = self.quota.kept();
            let may_go = |listener: &str| !kept.contains(listener);
            self.registry.displace(usize::try_from(excess).unwrap_or(usize::MAX), may_go);
        }
    }
}

impl Net {
    /// Starts the threads; listens nowhere yet.
    ///
    /// # Errors
    /// When the system gives no thread or event queue.
    pub fn start(config: NetConfig) -> Result<Self, ListenError> {
        let runtimes = Arc::new(Runtimes::start(config.threads).map_err(ListenError::Runtime)?);
        let core = Arc::new(Core {
            registry: Registry::new(),
            clock: Clock::new(),
            quota: ConnectionQuota::new(config.quota),
            limits: Arc::new(ConnectionLimits {
                max_frame: AtomicU32::new(config.max_frame),
                max_requests: config.max_requests.clamp(1, MAX_IN_FLIGHT),
                memory: MemoryPool::new(config.request_memory),
                waiting: WaitingRoom::new(config.request_memory),
            }),
            max_idle_ms: AtomicU64::new(config.max_idle_ms.unwrap_or(u64::MAX)),
        });
        let stats = Arc::clone(&runtimes.workers()[0].stats);
        let reaper = runtimes.spawn(reap(Arc::clone(&core), stats));
        Ok(Self { core, runtimes, reaper, accepting: std::sync::Mutex::default() })
    }

    /// Opens a listener whose connections are answered by `opener`'s services. Returns where it
    /// listens.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn listen<O>(&self, config: ListenerConfig, opener: O) -> Result<SocketAddr, ListenError>
    where
        O: Opener,
    {
        let listening = Listening::bind(config)?;
        let address = listening.address();
        self.serve(listening, opener)?;
        Ok(address)
    }

    /// Begins to accept: connections are answered by `opener`'s services.
    ///
    /// # Errors
    /// When the system does not let the socket be waited for.
    pub fn serve<O>(&self, listening: Listening, opener: O) -> Result<(), ListenError>
    where
        O: Opener,
    {
        let _inside = self.runtimes.workers()[0].handle.enter();
        let core = Arc::clone(&self.core);
        let name = listening.name().to_owned();
        let accept = Accept::new(listening, core, Arc::downgrade(&self.runtimes), opener)?;
        let task = self.runtimes.spawn(accept.run());
        self.accepting().insert(name, task);
        Ok(())
    }

    /// Closes a listener: its port is free when this returns, and its connections end as soon as
    /// what they asked for is answered. Not to be called on a thread of the network's. False if no
    /// listener of this name is open.
    pub fn close(&self, listener: &str) -> bool {
        let Some(task) = self.accepting().remove(listener) else { return false };
        task.abort();
        let patience = std::time::Instant::now() + CLOSES_WITHIN;
        while !task.is_finished() && std::time::Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.core.registry.drain(listener);
        true
    }

    fn accepting(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, JoinHandle<()>>> {
        self.accepting.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The sum of all counters.
    #[must_use]
    pub fn totals(&self) -> NetTotals {
        let all: Vec<_> = self.runtimes.workers().iter().map(|w| Arc::clone(&w.stats)).collect();
        NetTotals::of(&all)
    }

    /// The limits on connections, to be changed while they run.
    #[must_use]
    pub fn quota(&self) -> &Arc<ConnectionQuota> {
        &self.core.quota
    }

    /// The limits of a connection, to be changed while they run.
    #[must_use]
    pub fn limits(&self) -> &Arc<ConnectionLimits> {
        &self.core.limits
    }

    /// Changes `connections.max.idle.ms`.
    pub fn set_max_idle_ms(&self, ms: Option<u64>) {
        self.core.max_idle_ms.store(ms.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The threads, for tasks that are to run beside connections.
    #[must_use]
    pub fn runtimes(&self) -> &Arc<Runtimes> {
        &self.runtimes
    }

    /// All open connections.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.core.registry
    }

    /// Stops accepting, lets requests in flight finish for at most `grace`, then closes what is
    /// left.
    pub async fn shutdown(&self, grace: Duration) {
        self.reaper.abort();
        let accepting = std::mem::take(&mut *self.accepting());
        for task in accepting.into_values() {
            task.abort();
            let _ = task.await;
        }
        self.core.registry.drain_all();
        if !self.emptied(grace).await {
            warn!(connections = self.core.registry.len(), "closing connections at shutdown");
            self.core.registry.kill_all();
            self.emptied(Duration::from_secs(1)).await;
        }
    }

    async fn emptied(&self, limit: Duration) -> bool {
        let end = tokio::time::Instant::now() + limit;
        loop {
            let freed = self.core.quota.freed();
            if self.core.registry.is_empty() {
                return true;
            }
            if tokio::time::timeout_at(end, freed).await.is_err() {
                return self.core.registry.is_empty();
            }
        }
    }
}

async fn reap(core: Arc<Core>, stats: Arc<NetStats>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = core.clock.tick();
        let idle = Some(core.max_idle_ms.load(Ordering::Relaxed)).filter(|ms| *ms < u64::MAX);
        let stalled = (!core.limits.memory.has_room()).then_some(STALLED_MS);
        let limits = ReapLimits { idle_ms: idle, stalled_ms: stalled };
        let killed = core.registry.reap(now, limits);
        NetStats::add(&stats.idle_killed, killed);
        if core.limits.waiting.is_full() {
            core.registry.relieve(core.limits.waiting.share());
        }
        core.trim();
    }
}
