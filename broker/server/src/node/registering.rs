//! A controller becomes known to the active one (KIP-919).

use std::time::Duration;

use ottla_controller::{Command, Reply};
use ottla_engine::ControllerChannel;
use ottla_wire::ErrorCode;
use ottla_wire::api::controller_registration::ControllerRegistrationRequest;
use tokio::sync::watch;
use tracing::{debug, info, warn};

/// The rest between tries.
const AGAIN: Duration = Duration::from_millis(100);

/// Has the active controller know this one, and where it listens. A `metadata.version` from before controllers were
/// registered is waited out: nothing is asked until this node has `applied` more of the metadata.
pub(super) async fn register_controller(
    channel: ControllerChannel,
    request: ControllerRegistrationRequest,
    mut applied: watch::Receiver<i64>,
) {
    let mut told = None;
    loop {
        applied.borrow_and_update();
        let refused = match channel.submit(Command::RegisterController(request.clone())).await {
            Ok(Reply::RegisterController(answer)) if answer.error_code == ErrorCode::NONE => return,
            Ok(Reply::RegisterController(answer)) => Some(answer.error_code),
            other => {
                debug!(?other, "the controller is not registered yet");
                None
            }
        };
        let old = refused == Some(ErrorCode::UNSUPPORTED_VERSION);
        if refused.is_some() && refused != told {
            told = refused;
            match refused {
                Some(error) if !old => warn!(%error, "this controller cannot be registered yet"),
                _ => info!("this controller is registered when metadata.version is 3.7 or later"),
            }
        }
        if old && applied.changed().await.is_err() {
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use ottla_engine::{Answering, Asker, RemoteController};
    use ottla_quorum::{Leadership, NodeKey};
    use ottla_wire::Uuid;
    use ottla_wire::api::controller_registration::ControllerRegistrationResponse;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// An active controller of a version that may be too old.
    #[derive(Debug)]
    struct Active {
        is_new: AtomicBool,
        asked: watch::Sender<usize>,
    }

    impl RemoteController for Active {
        fn submit(&self, _: i32, _: Option<Asker>, _: Command) -> Answering {
            let error_code = match self.is_new.load(Ordering::Acquire) {
                true => ErrorCode::NONE,
                false => ErrorCode::UNSUPPORTED_VERSION,
            };
            self.asked.send_modify(|times| *times += 1);
            let answer = ControllerRegistrationResponse { error_code, ..Default::default() };
            Box::pin(std::future::ready(Ok(Reply::RegisterController(answer))))
        }
    }

    #[tokio::test]
    async fn metadata_that_cannot_hold_controllers_are_waited_out() {
        let active =
            Arc::new(Active { is_new: AtomicBool::new(false), asked: watch::Sender::new(0) });
        let leader = Some(NodeKey { id: 2, directory: Uuid::ZERO });
        let (_leads, leadership) = watch::channel(Leadership { leader, ..Leadership::default() });
        let channel = ControllerChannel::new(1, None, Some(active.clone()), leadership);
        let (sender, applied) = watch::channel(-1);
        let request = ControllerRegistrationRequest::default();
        let registering = tokio::spawn(register_controller(channel, request, applied));
        let mut asked = active.asked.subscribe();
        asked.wait_for(|times| *times == 1).await.unwrap();
        let again = tokio::time::timeout(AGAIN * 4, asked.wait_for(|times| *times > 1)).await;
        assert!(again.is_err(), "it asks though nothing changed");
        active.is_new.store(true, Ordering::Release);
        sender.send_replace(7);
        tokio::time::timeout(PATIENCE, registering).await.expect("it goes on").unwrap();
        assert_eq!(*active.asked.borrow(), 2);
    }
}
