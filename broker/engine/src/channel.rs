//! The way to the active controller, wherever it is.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use ottla_controller::{Command, Reply};
use ottla_quorum::Leadership;
use ottla_wire::ErrorCode;
use tokio::sync::watch;

use crate::controller::ControllerHandle;

/// What became of a command.
pub type Answered = Result<Reply, ErrorCode>;

/// A reply on its way.
pub type Answering = Pin<Box<dyn Future<Output = Answered> + Send>>;

/// Carries commands to the controller of another node. Lives with who knows the wire.
pub trait RemoteController: Debug + Send + Sync + 'static {
    /// Asks the controller of node `leader`. `NOT_CONTROLLER` when it cannot be reached, or is not
    /// the active one; what was asked may have happened all the same.
    fn submit(&self, leader: i32, command: Command) -> Answering;
}

/// The way to the active controller: this node's own, or that of the node which leads the quorum.
#[derive(Clone, Debug)]
pub struct ControllerChannel {
    me: i32,
    local: Option<ControllerHandle>,
    remote: Option<Arc<dyn RemoteController>>,
    leadership: watch::Receiver<Leadership>,
}

impl ControllerChannel {
    /// A channel of node `me`. Without `local` the node is no controller, without `remote` it knows
    /// of no other.
    #[must_use]
    pub fn new(
        me: i32,
        local: Option<ControllerHandle>,
        remote: Option<Arc<dyn RemoteController>>,
        leadership: watch::Receiver<Leadership>,
    ) -> Self {
        Self { me, local, remote, leadership }
    }

    /// This node's own controller, active or not.
    #[must_use]
    pub fn local(&self) -> Option<&ControllerHandle> {
        self.local.as_ref()
    }

    /// Asks the active controller.
    ///
    /// # Errors
    /// `NOT_CONTROLLER` if none is known, or it ceased to be active before its answer was
    /// committed; the latter may have happened all the same.
    pub fn submit(&self, command: Command) -> Answering {
        let leader = self.leadership.borrow().leader.map(|leader| leader.id);
        match (leader, &self.local, &self.remote) {
            (Some(leader), _, Some(remote)) if leader != self.me => remote.submit(leader, command),
            // A node that is elected, or alone, knows best itself whether it is active.
            (_, Some(local), _) => Box::pin(local.submit(command)),
            _ => Box::pin(std::future::ready(Err(ErrorCode::NOT_CONTROLLER))),
        }
    }
}
