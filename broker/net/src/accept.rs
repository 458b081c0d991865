//! One listener: a socket that listens, and accepting from it within the limits.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream as StdStream};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::TcpStream;
use tracing::{debug, error, info, warn};

use crate::connection::{Connection, End};
use crate::error::ListenError;
use crate::limits::{Admission, Refusal};
use crate::listener::{Core, ListenerConfig, Opener};
use crate::registry::Why;
use crate::runtime::{Runtimes, Worker};
use crate::service::Peer;
use crate::stats::NetStats;
use crate::transport::TcpTransport;

/// How long accepting rests after the system refused (no descriptors left, say).
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// How often one line says that a listener is full, or cannot accept.
const SAY_EVERY: Duration = Duration::from_secs(30);

/// A socket that listens. Until it is served, connections wait in the system's queue.
#[derive(Debug)]
pub struct Listening {
    config: ListenerConfig,
    socket: TcpListener,
    address: SocketAddr,
}

impl Listening {
    /// Binds and listens.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn bind(config: ListenerConfig) -> Result<Self, ListenError> {
        let failed = |source| failed(&config, source);
        let socket = bound(&config).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { config, socket, address })
    }

    /// The listener's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn failed(config: &ListenerConfig, source: io::Error) -> ListenError {
    ListenError::Bind { listener: config.name.clone(), address: config.address.to_string(), source }
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

/// Lets a line through once in a while.
#[derive(Debug, Default)]
struct Said(Option<Instant>);

impl Said {
    /// Whether it is time to say it (again).
    fn again(&mut self, now: Instant) -> bool {
        let due = self.0.is_none_or(|last| now.saturating_duration_since(last) >= SAY_EVERY);
        if due {
            self.0 = Some(now);
        }
        due
    }
}

/// Accepts the connections of one listener.
pub(crate) struct Accept<O> {
    name: Arc<str>,
    config: ListenerConfig,
    socket: tokio::net::TcpListener,
    core: Arc<Core>,
    runtimes: Weak<Runtimes>,
    opener: O,
    said_full: Said,
    said_error: Said,
    said_address: Said,
}

impl<O> Accept<O>
where
    O: Opener,
{
    /// To be made within the runtime that it is to run on.
    pub(crate) fn new(
        listening: Listening,
        core: Arc<Core>,
        runtimes: Weak<Runtimes>,
        opener: O,
    ) -> Result<Self, ListenError> {
        let Listening { config, socket, .. } = listening;
        let socket = tokio::net::TcpListener::from_std(socket).map_err(|e| failed(&config, e))?;
        let name = Arc::from(config.name.as_str());
        let (said_full, said_error, said_address) = Default::default();
        Ok(Self {
            name,
            config,
            socket,
            core,
            runtimes,
            opener,
            said_full,
            said_error,
            said_address,
        })
    }

    pub(crate) async fn run(mut self) {
        info!(listener = %self.name, "listening");
        loop {
            let outcome = match self.socket.accept().await {
                // Taken off this runtime: it may live on another.
                Ok((stream, remote)) => match stream.into_std() {
                    Ok(stream) => {
                        self.take(stream, canonical(remote)).await;
                        continue;
                    }
                    Err(e) => e,
                },
                Err(e) => e,
            };
            if outcome.kind() == io::ErrorKind::ConnectionAborted {
                continue;
            }
            if self.said_error.again(Instant::now()) {
                error!(listener = %self.name, error = %outcome, "cannot accept a connection");
            }
            tokio::time::sleep(ACCEPT_REST).await;
        }
    }

    /// Waits for a place for a connection, or closes it.
    async fn take(&mut self, stream: StdStream, remote: SocketAddr) {
        let core = Arc::clone(&self.core);
        loop {
            let freed = core.quota.freed();
            match core.quota.admit(&self.name, remote.ip(), Instant::now()) {
                Ok(admission) => {
                    self.start(stream, remote, admission);
                    core.trim();
                    return;
                }
                Err(Refusal::Full(full)) => {
                    if self.said_full.again(Instant::now()) {
                        let (connections, limit) = (core.quota.count(), full.limit());
                        warn!(
                            listener = %self.name, %remote, connections, limit,
                            "no place for another connection: it waits, and others behind it"
                        );
                    }
                    freed.await;
                }
                Err(Refusal::TooFast(wait)) => tokio::time::sleep(wait).await,
                Err(Refusal::TooManyFromAddress { max }) => {
                    if self.said_address.again(Instant::now()) {
                        info!(listener = %self.name, %remote, max, "too many connections from address");
                    }
                    if let Some(runtimes) = self.runtimes.upgrade() {
                        NetStats::one(&runtimes.workers()[0].stats.refused);
                    }
                    return;
                }
            }
        }
    }

    fn start(&self, stream: StdStream, remote: SocketAddr, admit: Admission) {
        let Some(runtimes) = self.runtimes.upgrade() else { return };
        let local = match self.prepare(&stream) {
            Ok(local) => local,
            Err(e) => {
                // The peer is gone already; that is no trouble of the listener's.
                debug!(listener = %self.name, %remote, error = %e, "connection lost before it began");
                return;
            }
        };
        let Worker { handle, stats } = runtimes.next().clone();
        let shared = self.core.registry.open(&self.name, &self.core.clock);
        let peer = Peer { id: shared.id, remote, local, listener: Arc::clone(&self.name) };
        let service = self.opener.open(peer);
        NetStats::one(&stats.accepted);
        let limits = Arc::clone(&self.core.limits);
        let registered = Registered {
            core: Arc::clone(&self.core),
            id: shared.id,
            listener: Arc::clone(&self.name),
            remote,
            stats: Arc::clone(&stats),
            _admit: admit,
        };
        handle.spawn(async move {
            let registered = registered;
            let end = match TcpStream::from_std(stream) {
                Ok(stream) => {
                    let transport = TcpTransport::new(stream, Arc::clone(&stats));
                    Connection::new(transport, service, shared, limits, stats).await
                }
                Err(e) => End::Io(e),
            };
            registered.report(&end);
        });
    }

    fn prepare(&self, stream: &StdStream) -> io::Result<SocketAddr> {
        stream.set_nodelay(true)?;
        if let Some(bytes) = self.config.send_buffer {
            SockRef::from(stream).set_send_buffer_size(bytes)?;
        }
        stream.local_addr()
    }
}

/// An address of version 4 that came by a socket of version 6, as what it is.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Takes a connection off the list when its task ends in whatever way.
struct Registered {
    core: Arc<Core>,
    id: crate::registry::ConnectionId,
    listener: Arc<str>,
    remote: SocketAddr,
    stats: Arc<NetStats>,
    _admit: Admission,
}

impl Registered {
    /// Logs why a connection ended, as loud as it deserves.
    fn report(&self, end: &End) {
        let (listener, peer) = (&*self.listener, self.remote);
        match end {
            End::Peer | End::Drained | End::Killed(Why::Idle | Why::Shutdown) => {
                debug!(listener, %peer, "connection {end}");
            }
            End::Frame(_) | End::NoRoom(_) | End::Killed(Why::Stalled | Why::HoldsMost) => {
                warn!(listener, %peer, "closing connection: {end}");
            }
            End::Service(_) | End::Killed(Why::Displaced) => {
                info!(listener, %peer, "closing connection: {end}");
            }
            End::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                error!(listener, %peer, "closing connection: {e}");
            }
            End::Io(e) => debug!(listener, %peer, "connection broke: {e}"),
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (listener, peer) = (&*self.listener, self.remote);
            error!(listener, %peer, "closing connection: its request made the broker panic");
        }
        NetStats::one(&self.stats.closed);
        self.core.registry.close(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_said_once_in_a_while() {
        let (mut said, start) = (Said::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        let times: Vec<u64> = (0..100).filter(|s| said.again(after(*s))).collect();
        assert_eq!(times, [0, 30, 60, 90]);
    }

    #[test]
    fn an_address_of_version_4_is_the_same_on_every_socket() {
        let mapped: SocketAddr = "[::ffff:10.0.0.1]:9".parse().unwrap();
        assert_eq!(canonical(mapped), "10.0.0.1:9".parse().unwrap());
        let six: SocketAddr = "[2001:db8::1]:9".parse().unwrap();
        assert_eq!(canonical(six), six);
    }
}
