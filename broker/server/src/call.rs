//! One request's circumstances.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use ottla_engine::Asker;
use ottla_telemetry::Client;
use ottla_wire::api::Listener;
use ottla_wire::schema::principal::DefaultPrincipalData;

use crate::context::Context;
use crate::line::Line;
use crate::vigil::Heard;

/// What belongs to a connection as long as it lives.
#[derive(Debug)]
pub struct Session {
    /// Names the connection as long as the process lives.
    pub id: u64,
    /// Where the peer is.
    pub remote: SocketAddr,
    /// The listener's name.
    pub listener: Arc<str>,
    /// Which kind of listener it is.
    pub kind: Listener,
    /// Who the peer is; of a request in an Envelope, the client it came from.
    pub principal: Arc<DefaultPrincipalData>,
    /// Whose heartbeats came on it.
    pub heard: Heard,
    /// What the client called itself in its first request, for log lines.
    pub client: OnceLock<String>,
    /// What the client's library is, once it has said so (KIP-511).
    pub software: OnceLock<Software>,
    /// Whether the client has asked what metrics to push, or has pushed some.
    pub telemetry: AtomicBool,
    /// Who waits to append.
    pub line: Arc<Line>,
}

impl Session {
    /// A connection that has just been opened, or what stands for one.
    pub(crate) fn new(
        id: u64,
        remote: SocketAddr,
        listener: Arc<str>,
        kind: Listener,
        principal: Arc<DefaultPrincipalData>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            remote,
            listener,
            kind,
            principal,
            heard: Heard::default(),
            client: OnceLock::new(),
            software: OnceLock::new(),
            telemetry: AtomicBool::new(false),
            line: Arc::default(),
        })
    }
}

/// A client's library.
#[derive(Debug)]
pub struct Software {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// One request's circumstances: whom to ask, who asks, and in which version.
#[derive(Clone, Debug)]
pub struct Call {
    /// Whom to ask.
    pub context: Arc<Context>,
    /// The connection it came by.
    pub session: Arc<Session>,
    /// The version of the request, and so of its response.
    pub version: i16,
    /// What the client calls itself; empty when it does not say.
    pub client_id: String,
    /// Of a request in an Envelope: set when this node's controller is not the active one, so that
    /// the broker which forwarded it tries again.
    pub refused: Option<Arc<AtomicBool>>,
}

impl Call {
    /// The client's address as Kafka writes it in groups and logs: `/127.0.0.1`.
    #[must_use]
    pub fn client_host(&self) -> String {
        format!("/{}", java_address(self.session.remote.ip()))
    }

    /// The client, for whom a controller is asked.
    pub(crate) fn asker(&self) -> Asker {
        let principal = Arc::clone(&self.session.principal);
        Asker { principal, address: self.session.remote.ip().to_canonical() }
    }

    /// Notes that the request needs another node's controller.
    pub(crate) fn not_controller(&self) {
        if let Some(refused) = &self.refused {
            refused.store(true, Ordering::Relaxed);
        }
    }

    /// Hands the sender on as telemetry knows it, and remembers that this connection has to do with
    /// telemetry.
    pub(crate) fn as_client<R>(&self, ask: impl FnOnce(Client<'_>) -> R) -> R {
        self.session.telemetry.store(true, Ordering::Relaxed);
        let software = self.session.software.get();
        ask(Client {
            connection: self.session.id,
            id: &self.client_id,
            software_name: software.map(|s| s.name.as_str()),
            software_version: software.map(|s| s.version.as_str()),
            address: &java_address(self.session.remote.ip()),
            port: self.session.remote.port(),
        })
    }
}

/// An address as Java writes it: one of version 6 in full, without leading zeroes.
fn java_address(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => address.segments().map(|s| format!("{s:x}")).join(":"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_java_writes_them() {
        let java = |text: &str| java_address(text.parse().expect("an address"));
        assert_eq!(java("127.0.0.1"), "127.0.0.1");
        assert_eq!(java("::1"), "0:0:0:0:0:0:0:1");
        assert_eq!(java("::ffff:10.0.0.1"), "10.0.0.1");
    }
}
