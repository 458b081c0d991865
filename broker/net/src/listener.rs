//! Listeners: accepting, limits, and the whole network put together.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream as StdStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tracing::{debug, error, info, warn};

use crate::connection::{Connection, ConnectionLimits, End};
use crate::error::ListenError;
use crate::limits::{Admission, ConnectionQuota, QuotaSettings, Refusal};
use crate::memory::MemoryPool;
use crate::registry::{Clock, Registry};
use crate::runtime::{Runtimes, Worker};
use crate::service::{Peer, Service};
use crate::stats::{NetStats, NetTotals};
use crate::transport::TcpTransport;

/// How often the coarse clock ticks and idle connections are looked for.
const TICK: Duration = Duration::from_millis(1000);

/// A frame that stopped arriving is given up after this long, if memory for requests is short.
const STALLED_MS: u64 = 10_000;

/// How long accepting rests after the system refused (no descriptors left, say).
const ACCEPT_REST: Duration = Duration::from_millis(50);

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
    /// Memory for requests in flight, in bytes.
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
    tasks: std::sync::Mutex<Vec<JoinHandle<()>>>,
}

/// What listeners and connections share.
#[derive(Debug)]
struct Core {
    registry: Arc<Registry>,
    clock: Arc<Clock>,
    quota: Arc<ConnectionQuota>,
    limits: Arc<ConnectionLimits>,
    max_idle_ms: AtomicU64,
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
                memory: MemoryPool::new(config.request_memory),
            }),
            max_idle_ms: AtomicU64::new(config.max_idle_ms.unwrap_or(u64::MAX)),
        });
        let stats = Arc::clone(&runtimes.workers()[0].stats);
        let reaper = runtimes.spawn(reap(Arc::clone(&core), stats));
        Ok(Self { core, runtimes, tasks: std::sync::Mutex::new(vec![reaper]) })
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
        let bind = |source| ListenError::Bind {
            listener: config.name.clone(),
            address: config.address,
            source,
        };
        let listener = bound(&config).map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let _inside = self.runtimes.workers()[0].handle.enter();
        let socket = tokio::net::TcpListener::from_std(listener).map_err(bind)?;
        let accept = Accept {
            name: Arc::from(config.name.as_str()),
            config,
            core: Arc::clone(&self.core),
            runtimes: Arc::downgrade(&self.runtimes),
            opener: Arc::new(opener),
        };
        self.keep(self.runtimes.spawn(accept.run(socket)));
        Ok(address)
    }

    fn keep(&self, task: JoinHandle<()>) {
        self.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(task);
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
        let mut tasks = std::mem::take(
            &mut *self.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner),
        );
        for task in tasks.drain(..) {
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

fn bound(config: &ListenerConfig) -> io::Result<TcpListener> {
    let domain = if config.address.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    // Before listening: the receive window is agreed on when a connection is made.
    if let Some(bytes) = config.receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.bind(&config.address.into())?;
    socket.listen(config.backlog)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

async fn reap(core: Arc<Core>, stats: Arc<NetStats>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = core.clock.tick();
        let idle = Some(core.max_idle_ms.load(Ordering::Relaxed)).filter(|ms| *ms < u64::MAX);
        let stalled = (!core.limits.memory.has_room()).then_some(STALLED_MS);
        let killed = core.registry.reap(now, idle, stalled);
        NetStats::add(&stats.idle_killed, killed);
    }
}

/// Accepts the connections of one listener.
struct Accept<O> {
    name: Arc<str>,
    config: ListenerConfig,
    core: Arc<Core>,
    runtimes: std::sync::Weak<Runtimes>,
    opener: Arc<O>,
}

impl<O> Accept<O>
where
    O: Opener,
{
    async fn run(self, socket: tokio::net::TcpListener) {
        info!(listener = %self.name, "listening");
        loop {
            let outcome = match socket.accept().await {
                // Taken off this runtime: it may live on another.
                Ok((stream, remote)) => match stream.into_std() {
                    Ok(stream) => self.take(stream, remote).await,
                    Err(e) => Err(e),
                },
                Err(e) => Err(e),
            };
            let Err(e) = outcome else { continue };
            if e.kind() == io::ErrorKind::ConnectionAborted {
                continue;
            }
            error!(listener = %self.name, error = %e, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_REST).await;
        }
    }

    /// Waits for a place for a connection, or closes it.
    async fn take(&self, stream: StdStream, remote: SocketAddr) -> io::Result<()> {
        loop {
            let freed = self.core.quota.freed();
            match self.core.quota.admit(&self.name, remote.ip(), Instant::now()) {
                Ok(admission) => return self.start(stream, remote, admission),
                Err(Refusal::Full) => {
                    debug!(listener = %self.name, %remote, "no place free: connection waits");
                    freed.await;
                }
                Err(Refusal::TooFast(wait)) => tokio::time::sleep(wait).await,
                Err(Refusal::TooManyFromAddress { max }) => {
                    info!(listener = %self.name, %remote, max, "too many connections from address");
                    if let Some(runtimes) = self.runtimes.upgrade() {
                        NetStats::one(&runtimes.workers()[0].stats.refused);
                    }
                    return Ok(());
                }
            }
        }
    }

    fn start(&self, stream: StdStream, remote: SocketAddr, admit: Admission) -> io::Result<()> {
        let Some(runtimes) = self.runtimes.upgrade() else { return Ok(()) };
        if let Err(e) = self.prepare(&stream) {
            // The peer is gone already; that is no trouble of the listener's.
            debug!(%remote, error = %e, "connection lost before it began");
            return Ok(());
        }
        let local = stream.local_addr()?;
        let worker = runtimes.next();
        let shared = self.core.registry.open(&self.core.clock);
        let peer = Peer { id: shared.id, remote, local, listener: Arc::clone(&self.name) };
        let service = self.opener.open(peer);
        NetStats::one(&worker.stats.accepted);
        let limits = Arc::clone(&self.core.limits);
        let registered = Registered { core: Arc::clone(&self.core), id: shared.id, _admit: admit };
        let Worker { handle, stats } = worker.clone();
        handle.spawn(async move {
            let _registered = registered;
            let end = match TcpStream::from_std(stream) {
                Ok(stream) => {
                    let transport = TcpTransport::new(stream, Arc::clone(&stats));
                    Connection::new(transport, service, shared, limits, Arc::clone(&stats)).await
                }
                Err(e) => End::Io(e),
            };
            NetStats::one(&stats.closed);
            report(remote, &end);
        });
        Ok(())
    }

    fn prepare(&self, stream: &StdStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        if let Some(bytes) = self.config.send_buffer {
            SockRef::from(stream).set_send_buffer_size(bytes)?;
        }
        Ok(())
    }
}

/// Takes a connection off the list when its task ends in whatever way.
struct Registered {
    core: Arc<Core>,
    id: crate::registry::ConnectionId,
    _admit: Admission,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.core.registry.close(self.id);
    }
}

/// Logs why a connection ended, as loud as it deserves.
fn report(peer: SocketAddr, end: &End) {
    match end {
        End::Peer | End::Killed | End::Drained => debug!(%peer, "connection {end}"),
        End::Frame(_) => warn!(%peer, "closing connection: {end}"),
        End::Service(_) => info!(%peer, "closing connection: {end}"),
        End::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            error!(%peer, "closing connection: {e}");
        }
        End::Io(e) => debug!(%peer, "connection broke: {e}"),
    }
}
