//! The way to the active controller, wherever it is.

use std::fmt::Debug;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ottla_controller::{Command, Reply};
use ottla_quorum::Leadership;
use ottla_wire::ErrorCode;
use ottla_wire::schema::principal::DefaultPrincipalData;
use tokio::sync::watch;

use crate::controller::ControllerHandle;

/// What became of a command.
pub type Answered = Result<Reply, ErrorCode>;

/// A reply on its way.
pub type Answering = Pin<Box<dyn Future<Output = Answered> + Send>>;

/// The client that a command comes from, as its broker knows it (KIP-590).
#[derive(Clone, Debug, PartialEq)]
pub struct Asker {
    /// Who it is.
    pub principal: Arc<DefaultPrincipalData>,
    /// Where it is.
    pub address: IpAddr,
}

/// Carries commands to the controller of another node. Lives with who knows the wire.
pub trait RemoteController: Debug + Send + Sync + 'static {
    /// Asks the controller of node `leader`, for this node itself where there is no `asker`.
    /// `NOT_CONTROLLER` when it cannot be reached, or is not the active one; what was asked may have
    /// happened all the same.
    fn submit(&self, leader: i32, asker: Option<Asker>, command: Command) -> Answering;
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

    /// Asks the active controller, for this node itself.
    ///
    /// # Errors
    /// `NOT_CONTROLLER` if none is known, or it ceased to be active before its answer was
    /// committed; the latter may have happened all the same.
    pub fn submit(&self, command: Command) -> Answering {
        self.submit_for(None, command)
    }

    /// Asks the active controller for a client.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn submit_for(&self, asker: Option<Asker>, command: Command) -> Answering {
        let leader = self.leadership.borrow().leader.map(|leader| leader.id);
        match (leader, &self.local, &self.remote) {
            (Some(leader), _, Some(remote)) if leader != self.me => {
                let answer = remote.submit(leader, asker, command);
                let leadership = self.leadership.clone();
                Box::pin(async move {
                    tokio::select! {
                        biased;
                        answer = answer => answer,
                        () = led_by_another(leadership, leader) => Err(ErrorCode::NOT_CONTROLLER),
                    }
                })
            }
            // A node that is elected, or alone, knows best itself whether it is active.
            (_, Some(local), _) => Box::pin(local.submit(command)),
            _ => Box::pin(std::future::ready(Err(ErrorCode::NOT_CONTROLLER))),
        }
    }
}

/// How long a leader's answer is waited for after another one leads: who hands its leadership over
/// says what came of that after it has done so.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Resolves when another node than `leader` is known to lead, and `leader` had its time to say so. A
/// leader whose host is cut off answers nothing for as long as a socket may wait, and a broker that
/// waited with it would be fenced by the next leader.
pub async fn led_by_another(mut leadership: watch::Receiver<Leadership>, leader: i32) {
    let other = |now: &Leadership| now.leader.is_some_and(|now| now.id != leader);
    if leadership.wait_for(other).await.is_err() {
        // The quorum has ended: nobody will lead any more.
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(LAST_WORDS).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_quorum::NodeKey;
    use ottla_wire::Uuid;

    /// A host that takes requests and never answers.
    #[derive(Debug)]
    struct Silent;

    impl RemoteController for Silent {
        fn submit(&self, _: i32, _: Option<Asker>, _: Command) -> Answering {
            Box::pin(std::future::pending())
        }
    }

    fn led_by(id: i32, epoch: i32) -> Leadership {
        let leader = NodeKey { id, directory: Uuid::ZERO };
        Leadership { leader: Some(leader), epoch, ..Leadership::default() }
    }

    #[tokio::test]
    async fn a_silent_leader_is_waited_for_only_while_it_leads() {
        let (leads, leadership) = watch::channel(led_by(2, 1));
        let channel = ControllerChannel::new(1, None, Some(Arc::new(Silent)), leadership);
        let mut asked = channel.submit(Command::Tick);
        // Nobody is known to lead: the answer may come yet.
        for now in [led_by(2, 1), Leadership { leader: None, ..led_by(2, 2) }] {
            leads.send_replace(now);
            assert!(asked_once(&mut asked).await.is_none());
        }
        leads.send_replace(led_by(3, 3));
        assert!(matches!(asked.await, Err(ErrorCode::NOT_CONTROLLER)));
    }

    /// What a future has come to, when it is asked once.
    async fn asked_once(asked: &mut Answering) -> Option<Answered> {
        tokio::select! {
            biased;
            answer = asked => Some(answer),
            () = std::future::ready(()) => None,
        }
    }
}
