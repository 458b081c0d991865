//! Runs the controller's machine on the leader of the metadata quorum.
//!
//! One task decides, in the order of the commands, on the state with everything decided so far; its
//! records get their place in the metadata log at once, and the next command is decided while they
//! are on their way to the disk. A second task lets replies go in that same order, as their records
//! are committed. When a proposal fails or leadership goes, the machine is dropped; the next
//! leadership begins anew from what is committed.

use std::future::Future;
use std::sync::Arc;

use ottla_controller::{Command, Controller, Reply, Settings, State, Waits, batches};
use ottla_machine::{Machine, Mono, Ticket};
use ottla_metadata::MetadataVersion;
use ottla_quorum::{Leadership, Proposal, Quorum, Role};
use ottla_wire::ErrorCode;
use ottla_wire::schema::metadata::MetadataRecord;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, info, warn};

use crate::env::Clock;

/// Commands that wait for the controller; more are told to try again.
const MOST_WAITING: usize = 10_000;

/// Decisions whose records are on their way; deciding pauses when there are more.
const MOST_UNDERWAY: usize = 1_000;

type Outcome = Result<Reply, ErrorCode>;

struct Request {
    command: Command,
    reply: oneshot::Sender<Outcome>,
}

struct Underway {
    proposals: Vec<Proposal>,
    replies: Vec<(oneshot::Sender<Outcome>, Reply)>,
    term: u64,
}

/// What the controller is started with.
#[derive(Debug)]
pub struct ControllerStart {
    /// The metadata log.
    pub quorum: Arc<dyn Quorum>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Its settings, as of now and as they change.
    pub settings: watch::Receiver<Settings>,
    /// What `format` wrote, for a log that says nothing yet.
    pub bootstrap: Vec<MetadataRecord>,
}

impl std::fmt::Debug for dyn Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

/// The way to this node's controller. Whether it is the active one shows in the answers.
#[derive(Clone, Debug)]
pub struct ControllerHandle {
    requests: mpsc::Sender<Request>,
}

impl ControllerHandle {
    /// Starts the controller's tasks on the current runtime. They end with the last handle.
    #[must_use]
    pub fn start(start: ControllerStart) -> Self {
        let (requests, incoming) = mpsc::channel(MOST_WAITING);
        let (underway, outgoing) = mpsc::channel(MOST_UNDERWAY);
        let (failed, failures) = watch::channel(0);
        tokio::spawn(answer_in_order(outgoing, failed));
        let leadership = start.quorum.leadership();
        let runner =
            Runner { start, leadership, underway, failures, term: 0, active: None, next_ticket: 0 };
        tokio::spawn(runner.run(incoming));
        Self { requests }
    }

    /// Asks the controller.
    ///
    /// # Errors
    /// `NOT_CONTROLLER` if this node's controller is not active, or ceased to be before its answer
    /// was committed; the latter may have happened all the same.
    pub fn submit(&self, command: Command) -> impl Future<Output = Outcome> + Send + use<> {
        let (reply, receiver) = oneshot::channel();
        let sent = self.requests.try_send(Request { command, reply });
        async move {
            match sent {
                Ok(()) => receiver.await.unwrap_or(Err(ErrorCode::NOT_CONTROLLER)),
                Err(mpsc::error::TrySendError::Full(_)) => Err(ErrorCode::REQUEST_TIMED_OUT),
                Err(mpsc::error::TrySendError::Closed(_)) => Err(ErrorCode::NOT_CONTROLLER),
            }
        }
    }
}

/// The machine of one leadership.
struct Active {
    epoch: i32,
    state: State,
    waits: Waits,
    wake_at: Option<Mono>,
}

struct Runner {
    start: ControllerStart,
    leadership: watch::Receiver<Leadership>,
    underway: mpsc::Sender<Underway>,
    /// The highest term of which a proposal failed.
    failures: watch::Receiver<u64>,
    /// Counts activations.
    term: u64,
    active: Option<Active>,
    next_ticket: u64,
}

impl Runner {
    async fn run(mut self, mut incoming: mpsc::Receiver<Request>) {
        let mut settings = self.start.settings.clone();
        // Of their own, so that waiting borrows nothing of the runner.
        let (mut leadership, mut failures) = (self.leadership.clone(), self.failures.clone());
        loop {
            self.follow_leadership().await;
            tokio::select! {
                request = incoming.recv() => match request {
                    Some(Request { command, reply }) => self.decide(command, Some(reply)).await,
                    None => return,
                },
                changed = leadership.changed() => if changed.is_err() { return },
                changed = failures.changed() => if changed.is_err() { return },
                Ok(()) = settings.changed() => {
                    let now = settings.borrow_and_update().clone();
                    if let Some(active) = &mut self.active {
                        active.waits.set_settings(now);
                    }
                }
                () = self.until_wake() => self.decide(Command::Tick, None).await,
            }
        }
    }

    async fn until_wake(&self) {
        let Some(at) = self.active.as_ref().and_then(|active| active.wake_at) else {
            return std::future::pending().await;
        };
        let left = at.since(self.start.clock.mono());
        tokio::time::sleep(std::time::Duration::from_millis(left)).await;
    }

    /// Begins or ends to be the active controller, as the quorum says.
    async fn follow_leadership(&mut self) {
        let now = *self.leadership.borrow_and_update();
        let failed = *self.failures.borrow_and_update();
        if let Some(active) = &self.active {
            let leads = now.role == Role::Leader && now.epoch == active.epoch;
            if leads && failed < self.term {
                return;
            }
            warn!(epoch = active.epoch, "no longer the active controller");
            self.active = None;
        }
        if now.role != Role::Leader {
            return;
        }
        let image = self.start.quorum.updates().image();
        let state = State::from_image(image, self.start.quorum.end_offset());
        let waits = Waits::new(self.start.settings.borrow().clone(), rand::random());
        self.term += 1;
        self.active = Some(Active { epoch: now.epoch, state, waits, wake_at: None });
        info!(epoch = now.epoch, "active controller");
        let bootstrap = self.start.bootstrap.clone();
        let (reply, activated) = oneshot::channel();
        self.decide(Command::Activate { bootstrap }, Some(reply)).await;
        tokio::spawn(async move {
            if let Ok(Ok(Reply::Failed(error))) = activated.await {
                error!(?error, "the controller cannot be activated");
            }
        });
    }

    async fn decide(&mut self, command: Command, reply: Option<oneshot::Sender<Outcome>>) {
        let Some(active) = &mut self.active else {
            if let Some(reply) = reply {
                // Whoever asked may have gone.
                let _ = reply.send(Err(ErrorCode::NOT_CONTROLLER));
            }
            return;
        };
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        let now = self.start.clock.now();
        let Active { state, waits, .. } = active;
        let decision = Controller::decide(state, waits, now, ticket, command);
        active.wake_at = decision.wake_at;
        let version = version_for(&active.state, &decision.records);
        decision.records.iter().for_each(|record| Controller::apply(&mut active.state, record));

        let mut proposals = Vec::new();
        for batch in batches(&decision.records) {
            match self.start.quorum.propose(active.epoch, version, batch.to_vec()).await {
                Ok(proposal) => proposals.push(proposal),
                Err(error) => {
                    warn!(%error, "the metadata log refused a proposal");
                    self.active = None;
                    if let Some(reply) = reply {
                        let _ = reply.send(Err(ErrorCode::NOT_CONTROLLER));
                    }
                    return;
                }
            }
        }
        // The controller parks nothing: what it answers is this command.
        let own = decision.replies.into_iter().find(|(t, _)| *t == ticket).map(|(_, reply)| reply);
        let replies = reply.zip(own).into_iter().collect();
        let underway = Underway { proposals, replies, term: self.term };
        // Its other end lives as long as this one.
        let _ = self.underway.send(underway).await;
    }
}

/// The version to write records in: the one in force, or the one that these records set.
fn version_for(state: &State, records: &[MetadataRecord]) -> MetadataVersion {
    let set = records.iter().find_map(|record| match record {
        MetadataRecord::FeatureLevel(r) if r.name == MetadataVersion::FEATURE => {
            MetadataVersion::from_level(r.feature_level)
        }
        _ => None,
    });
    set.unwrap_or_else(|| state.image().features().version())
}

/// Lets replies go in the order of decisions, each when its records are committed.
async fn answer_in_order(mut outgoing: mpsc::Receiver<Underway>, failed: watch::Sender<u64>) {
    while let Some(Underway { proposals, replies, term }) = outgoing.recv().await {
        let mut lost = *failed.borrow() >= term;
        for proposal in proposals {
            let Err(error) = proposal.await else { continue };
            warn!(%error, "a decision of the controller was not committed");
            failed.send_if_modified(|highest| {
                let newer = *highest < term;
                *highest = (*highest).max(term);
                newer
            });
            lost = true;
        }
        for (sender, reply) in replies {
            // Whoever asked may have gone.
            let _ = sender.send(if lost { Err(ErrorCode::NOT_CONTROLLER) } else { Ok(reply) });
        }
    }
}
