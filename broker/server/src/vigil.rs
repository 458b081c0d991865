//! Nodes whose processes are gone, found out before their sessions have run out.
//!
//! A process that is killed closes its connections, and its ports refuse new ones. When the connection ends on which a
//! broker's heartbeats came, and its listener for other brokers refuses connections, nobody lives there: the active
//! controller fences the broker at once, and its partitions have other leaders within milliseconds. Where a machine is gone, or a
//! network is cut, nothing is refused and nothing is known: then `broker.session.timeout.ms` decides, as ever. To be
//! fenced wrongly costs a broker a heartbeat: it is let in again as soon as it is heard.
//!
//! The same holds of the quorum's leader, which the other members notice by the end of its connections: they elect
//! another one at once.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, Ordering};
use std::time::Duration;

use ottla_controller::{Command, Reply};
use ottla_quorum::Role;
use ottla_wire::ErrorCode;
use ottla_wire::api::broker_heartbeat::BrokerHeartbeatRequest;
use tokio::net::TcpStream;
use tracing::{debug, info};

use crate::context::Context;

/// How often the listeners must refuse, so that a process which is being replaced is not taken for gone.
const LOOKS: usize = 2;

/// The rest between.
const REST: Duration = Duration::from_millis(10);

/// How long a listener may take to answer or refuse.
const PATIENCE: Duration = Duration::from_millis(500);

/// Nobody's heartbeats have come.
const NOBODY: i32 = -1;

/// Whose heartbeats came on a connection.
#[derive(Debug)]
pub struct Heard {
    broker: AtomicI32,
    epoch: AtomicI64,
    /// A member of the quorum sent something.
    member: AtomicBool,
}

impl Default for Heard {
    fn default() -> Self {
        Self {
            broker: AtomicI32::new(NOBODY),
            epoch: AtomicI64::new(-1),
            member: AtomicBool::new(false),
        }
    }
}

impl Heard {
    /// A heartbeat came.
    pub(crate) fn note(&self, broker: i32, epoch: i64) {
        self.epoch.store(epoch, Ordering::Relaxed);
        self.broker.store(broker, Ordering::Release);
    }

    /// A member of the quorum said something to another.
    pub(crate) fn note_member(&self) {
        self.member.store(true, Ordering::Relaxed);
    }

    /// The connection ended.
    pub(crate) fn ended(&self, context: &Arc<Context>) {
        if self.member.load(Ordering::Relaxed) {
            context.control.spawn(look_for_leader(Arc::clone(context)));
        }
        let broker = self.broker.load(Ordering::Acquire);
        if broker == NOBODY {
            return;
        }
        let epoch = self.epoch.load(Ordering::Relaxed);
        context.control.spawn(look(Arc::clone(context), broker, epoch));
    }
}

/// Looks, each time this node's controller becomes the active one, for brokers that died with the one before or while
/// there was none. Ends with the quorum.
pub(crate) async fn after_elections(context: Arc<Context>) {
    let mut leadership = context.quorum.leadership();
    let mut looked = None;
    loop {
        let now = *leadership.borrow_and_update();
        if now.role == Role::Leader && looked != Some(now.epoch) {
            looked = Some(now.epoch);
            let image = context.quorum.updates().image();
            let others = image.brokers().filter(|b| !b.fenced && b.id != context.node_id);
            for broker in others {
                tokio::spawn(look(Arc::clone(&context), broker.id, broker.epoch));
            }
        }
        if leadership.changed().await.is_err() {
            return;
        }
    }
}

/// Has another leader of the quorum elected, if the process of the one that this member follows is gone.
async fn look_for_leader(context: Arc<Context>) {
    let Some(raft) = context.raft.clone() else { return };
    let now = *context.quorum.leadership().borrow();
    if now.leader.is_none_or(|leader| leader.id == context.node_id) {
        return;
    }
    let names = &context.initial.listeners().controller;
    let hint = context.quorum.leader_hint().filter(|hint| hint.epoch == now.epoch);
    let endpoint = hint.and_then(|hint| {
        let ours = hint.endpoints.iter().find(|e| names.iter().any(|n| n.as_str() == e.name));
        ours.or(hint.endpoints.first()).cloned()
    });
    let Some(endpoint) = endpoint else { return };
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(REST).await;
        }
        if !refuses(&endpoint.host, endpoint.port).await {
            return;
        }
    }
    raft.succeed(now).await;
}

/// Fences a broker if its process is gone.
async fn look(context: Arc<Context>, id: i32, epoch: i64) {
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(REST).await;
        }
        let image = context.quorum.updates().image();
        let Some(broker) = image.broker(id).filter(|b| b.epoch == epoch && !b.fenced) else {
            return;
        };
        // The listener that other brokers use: clients' may be in networks that are not this node's.
        let listener = context.initial.listeners().inter_broker.as_str();
        let Some(endpoint) = broker.endpoint(listener).or(broker.endpoints.first()) else { return };
        if !refuses(&endpoint.host, endpoint.port).await {
            return;
        }
    }
    let Some(controller) = context.controller.local() else { return };
    let request = BrokerHeartbeatRequest {
        broker_id: id,
        broker_epoch: epoch,
        want_fence: true,
        ..Default::default()
    };
    match controller.submit(Command::BrokerHeartbeat(request)).await {
        Ok(Reply::BrokerHeartbeat(answer)) if answer.error_code == ErrorCode::NONE => {
            info!(broker = id, epoch, "its ports refuse connections: its process is gone");
        }
        other => debug!(broker = id, epoch, ?other, "not fenced here"),
    }
}

/// Whether a listener refuses connections. Where nobody says anything, it does not.
async fn refuses(host: &str, port: u16) -> bool {
    let connect = TcpStream::connect((host, port));
    let refused = |error: std::io::Error| error.kind() == ErrorKind::ConnectionRefused;
    let connected = tokio::time::timeout(PATIENCE, connect).await;
    connected.is_ok_and(|connected| connected.is_err_and(refused))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_closed_port_refuses_and_an_open_one_does_not() {
        let open = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = open.local_addr().expect("its address").port();
        assert!(!refuses("127.0.0.1", port).await);
        drop(open);
        assert!(refuses("127.0.0.1", port).await);
        // A name that nobody has says nothing of a process.
        assert!(!refuses("host.invalid", port).await);
    }
}
