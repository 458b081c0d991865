//! This broker's life in the cluster: it registers, beats, is unfenced, and asks leave to stop.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ottla_controller::{Command, Reply};
use ottla_metadata::Image;
use ottla_quorum::simulated;
use ottla_wire::api::broker_heartbeat::{BrokerHeartbeatRequest, BrokerHeartbeatResponse};
use ottla_wire::api::broker_registration::BrokerRegistrationRequest;
use ottla_wire::{ErrorCode, Uuid};
use tokio::sync::{Notify, watch};
use tracing::{debug, info, warn};

use crate::channel::ControllerChannel;
use crate::dirs::LogDirs;

/// The rest between tries while no controller answers.
const AGAIN: Duration = Duration::from_millis(50);

/// No epoch yet: the controller has not taken the registration.
const NO_EPOCH: i64 = -1;

/// Where a broker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It is not registered yet.
    Starting,
    /// It is registered, and fenced: nobody is told of it.
    Fenced,
    /// It serves.
    Running,
    /// It asked leave to stop.
    Stopping,
    /// It may stop.
    MayStop,
    /// No controller took it in time, and it tries no more.
    GaveUp,
}

/// How often a broker beats, and how long it tries to be registered.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// `broker.heartbeat.interval.ms`.
    pub interval: Duration,
    /// `initial.broker.registration.timeout.ms`: for the first registration. A broker that was
    /// registered once tries for ever.
    pub registration: Duration,
}

/// How far this broker has applied the metadata log: the offset of the last record. -1 at first.
pub type Applied = watch::Receiver<i64>;

/// A broker's life.
#[derive(Debug)]
pub struct Lifecycle {
    incarnation: Uuid,
    epoch: AtomicI64,
    stage: watch::Sender<Stage>,
    stop: watch::Sender<bool>,
    hurry: Notify,
    /// It is to be registered again, in the same life.
    again: AtomicBool,
    /// The log directories that the controller was told are offline.
    told_offline: watch::Sender<Vec<Uuid>>,
    /// Why no controller took it.
    refused: OnceLock<String>,
}

impl Lifecycle {
    /// Registers on the current runtime, and beats at this pace until it is told to stop.
    #[must_use]
    pub fn start(
        controller: ControllerChannel,
        registration: BrokerRegistrationRequest,
        pace: Pace,
        applied: Applied,
        dirs: LogDirs,
    ) -> Arc<Self> {
        let this = Arc::new(Self {
            incarnation: registration.incarnation_id,
            epoch: AtomicI64::new(NO_EPOCH),
            stage: watch::Sender::new(Stage::Starting),
            stop: watch::Sender::new(false),
            hurry: Notify::new(),
            again: AtomicBool::new(false),
            told_offline: watch::Sender::new(Vec::new()),
            refused: OnceLock::new(),
        });
        let life = Life { this: Arc::clone(&this), controller, registration, pace, applied, dirs };
        simulated::spawn(life.run());
        this
    }

    /// Whether metadata knows of this life: the broker is registered as this process registered it
    /// last, and may serve. Metadata that is read back at a start knows of the life before.
    #[must_use]
    pub fn is_active_in(&self, image: &Image, id: i32) -> bool {
        image.broker(id).is_some_and(|broker| {
            broker.is_active()
                && broker.incarnation_id == self.incarnation
                && broker.epoch == self.epoch()
        })
    }

    /// The broker epoch, which the controller gave; -1 before.
    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Resolves when the controller has taken the first registration.
    pub(crate) async fn registered(&self) {
        // Its other end is here.
        let _ = self.stage.subscribe().wait_for(|stage| *stage >= Stage::Fenced).await;
    }

    /// Where it stands, and every change.
    #[must_use]
    pub fn stage(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    /// What the last try to be registered came to, if there will be no more of them.
    #[must_use]
    pub fn gave_up(&self) -> Option<String> {
        self.refused.get().cloned()
    }

    /// Beats at once: there is something to tell of the directories.
    pub fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// Takes in what the metadata say of broker `id`, which is this one. It is registered again if they know none of its
    /// log directories and could: it was registered under a `metadata.version` from before those had ids (KIP-858), and a
    /// directory that the controller does not know of cannot fail.
    pub fn follow(&self, image: &Image, id: i32) {
        let known = image.broker(id).filter(|broker| broker.incarnation_id == self.incarnation);
        let lacks = known.is_some_and(|broker| broker.log_dirs.is_empty());
        if lacks && image.features().version().has_directories() {
            self.again.store(true, Ordering::Release);
            self.hurry();
        }
    }

    /// Resolves when the controller has been told that a log directory is offline.
    pub async fn told_offline(&self, dir: Uuid) {
        // Its other end is here.
        let _ = self.told_offline.subscribe().wait_for(|told| told.contains(&dir)).await;
    }

    /// Asks leave to stop: leadership moves away first. Returns when it may stop, or `patience` ran
    /// out.
    pub async fn stop(&self, patience: Duration) {
        self.stop.send_replace(true);
        let mut stage = self.stage.subscribe();
        let leave = stage.wait_for(|stage| matches!(stage, Stage::MayStop | Stage::GaveUp));
        if tokio::time::timeout(patience, leave).await.is_err() {
            warn!("the controller gave no leave to stop in time; stopping all the same");
        }
    }
}

struct Life {
    this: Arc<Lifecycle>,
    controller: ControllerChannel,
    registration: BrokerRegistrationRequest,
    pace: Pace,
    applied: Applied,
    dirs: LogDirs,
}

impl Life {
    async fn run(mut self) {
        let mut stop = self.this.stop.subscribe();
        let deadline = tokio::time::Instant::now() + self.pace.registration;
        let mut last = "no controller answers".to_owned();
        tokio::select! {
            () = self.register_at_last(&mut last) => {}
            _ = stop.wait_for(|stop| *stop) => {
                self.this.stage.send_replace(Stage::MayStop);
                return;
            }
            () = tokio::time::sleep_until(deadline) => {
                // Set once, here.
                let _ = self.this.refused.set(last);
                self.this.stage.send_replace(Stage::GaveUp);
                return;
            }
        }
        while let Some(code) = self.beat(&mut stop).await {
            warn!(
                epoch = self.this.epoch(),
                "the controller answers {code}: this broker was unregistered, or another process was registered with its \
                 node.id. It registers again; make sure that it is the only one with this node.id"
            );
            self.this.stage.send_replace(Stage::Fenced);
            let mut last = String::new();
            tokio::select! {
                () = self.register_at_last(&mut last) => {}
                _ = stop.wait_for(|stop| *stop) => {
                    self.this.stage.send_replace(Stage::MayStop);
                    return;
                }
            }
        }
    }

    /// Tries to be registered until it is. Each new reason why it is not is told, and left in `last`.
    async fn register_at_last(&mut self, last: &mut String) {
        while let Err(why) = self.register().await {
            if why != *last {
                info!("not registered yet: {why}");
                *last = why;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Tries to be registered; an error says what came of it.
    async fn register(&mut self) -> Result<(), String> {
        self.registration.log_dirs = self.dirs.online().map(|dir| dir.id()).collect();
        let asked = Command::RegisterBroker(self.registration.clone());
        match self.controller.submit(asked).await {
            Ok(Reply::RegisterBroker(answer)) if answer.error_code == ErrorCode::NONE => {
                self.this.epoch.store(answer.broker_epoch, Ordering::Release);
                self.this.stage.send_replace(Stage::Fenced);
                debug!(epoch = answer.broker_epoch, "registered");
                Ok(())
            }
            Ok(Reply::RegisterBroker(answer)) => {
                let code = answer.error_code;
                let id = self.registration.broker_id;
                Err(match code {
                    ErrorCode::DUPLICATE_BROKER_REGISTRATION => format!(
                        "the controller answers {code}: another broker with node.id {id} is alive. \
                         Stop that one, or give this one a node.id of its own"
                    ),
                    _ => format!("the controller answers {code}"),
                })
            }
            Ok(other) => Err(format!("the controller answers {other:?}")),
            Err(error) => Err(format!("no controller answers, {error}")),
        }
    }

    /// Registers once more in the same life, if that was asked for. Nothing changes but what is registered.
    async fn renew(&mut self) {
        if !self.this.again.swap(false, Ordering::AcqRel) {
            return;
        }
        self.registration.log_dirs = self.dirs.online().map(|dir| dir.id()).collect();
        let asked = Command::RegisterBroker(self.registration.clone());
        match self.controller.submit(asked).await {
            Ok(Reply::RegisterBroker(answer)) if answer.error_code == ErrorCode::NONE => {
                self.this.epoch.store(answer.broker_epoch, Ordering::Release);
                info!("registered again, with the log directories");
            }
            other => {
                debug!(?other, "not registered again yet");
                self.this.again.store(true, Ordering::Release);
            }
        }
    }

    /// Beats until leave to stop is given, or the registration is void: then, what the controller answers.
    async fn beat(&mut self, stop: &mut watch::Receiver<bool>) -> Option<ErrorCode> {
        loop {
            self.renew().await;
            let stopping = *stop.borrow_and_update();
            let request = BrokerHeartbeatRequest {
                broker_id: self.registration.broker_id,
                broker_epoch: self.this.epoch(),
                current_metadata_offset: *self.applied.borrow_and_update(),
                want_fence: false,
                want_shut_down: stopping,
                offline_log_dirs: self.dirs.offline(),
                cordoned_log_dirs: Some(self.dirs.cordoned().to_vec()),
            };
            let offline = request.offline_log_dirs.clone();
            let (rest, fenced) =
                match self.controller.submit(Command::BrokerHeartbeat(request)).await {
                    Ok(Reply::BrokerHeartbeat(answer)) => match answer.error_code {
                        ErrorCode::NONE => {
                            if !offline.is_empty() {
                                self.this.told_offline.send_replace(offline);
                            }
                            if self.enter(stopping, &answer) {
                                return None;
                            }
                            (self.pace.interval, answer.is_fenced || stopping)
                        }
                        code @ (ErrorCode::STALE_BROKER_EPOCH
                        | ErrorCode::BROKER_ID_NOT_REGISTERED) => return Some(code),
                        error => {
                            debug!(%error, "a heartbeat failed");
                            (AGAIN, true)
                        }
                    },
                    _ => (AGAIN, true),
                };
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                // A broker that caught up is unfenced at once, and one that stops waits for nothing.
                Ok(()) = self.applied.changed(), if fenced => {}
                Ok(()) = stop.changed() => {}
                () = self.this.hurry.notified() => {}
            }
        }
    }

    /// Takes in an answer. Whether leave to stop was given.
    fn enter(&self, stopping: bool, answer: &BrokerHeartbeatResponse) -> bool {
        let stage = match (stopping, answer.should_shut_down, answer.is_fenced) {
            (true, true, _) => Stage::MayStop,
            (true, false, _) => Stage::Stopping,
            (false, _, true) => Stage::Fenced,
            (false, _, false) => Stage::Running,
        };
        let before = self.this.stage.send_replace(stage);
        if before != stage {
            info!(?stage, epoch = self.this.epoch(), "broker");
        }
        stage == Stage::MayStop
    }
}
