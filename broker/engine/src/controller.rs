//! Runs the controller's machine on the leader of the metadata quorum.
//!
//! One task decides, in the order of the commands, on the state with everything decided so far; its
//! records get their place in the metadata log at once, and the next command is decided while they
//! are on their way to the disk. A second task lets replies go in that same order, as their records
//! are committed. When a proposal fails or leadership goes, the machine is dropped; a new one begins
//! from what is committed, and not before it is known of every proposal whether it is.

use std::future::Future;
use std::sync::Arc;

use ottla_controller::{
    Command, Controller, MAX_BATCH_BYTES, Reply, Settings, State, Waits, batches,
};
use ottla_machine::{Machine, Mono, Ticket};
use ottla_metadata::MetadataVersion;
use ottla_quorum::{Leadership, Proposal, Quorum, Role, simulated};
use ottla_wire::ErrorCode;
use ottla_wire::schema::metadata::MetadataRecord;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, info, warn};

use crate::env::Clock;

/// Commands that wait for the controller; more are told to try again.
const MOST_WAITING: usize = 10_000;

/// Decisions whose records are on their way; deciding pauses when there are more.
const MOST_UNDERWAY: usize = 1_000;

// What the machine lets pass, the log must take.
const _: () = assert!(MAX_BATCH_BYTES <= ottla_quorum::batch::MAX_BATCH_BYTES);

type Outcome = Result<Reply, ErrorCode>;

struct Request {
    command: Command,
    reply: oneshot::Sender<Outcome>,
}

struct Underway {
    proposals: Vec<Expected>,
    replies: Vec<(oneshot::Sender<Outcome>, Reply)>,
    term: u64,
    machine: After,
}

/// What becomes of the machine after a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// It decides more.
    GoesOn,
    /// It was dropped; nothing of its term follows.
    Dropped,
}

/// A batch on its way, and the offset at which its last record should come to stand.
struct Expected {
    proposal: Proposal,
    offset: i64,
}

/// How the decisions that were sent on their way came out. Told when a machine must not be gone on
/// with, and again when nothing of it is under way any more.
#[derive(Clone, Copy, Debug, Default)]
struct Settled {
    /// How many of them did, in either way.
    count: u64,
    /// The highest term whose machine must not be gone on with.
    over: u64,
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
        let (report, settled) = watch::channel(Settled::default());
        let (gone, gone_reader) = watch::channel(0);
        simulated::spawn(answer_in_order(outgoing, Arc::new(report), gone_reader));
        let leadership = start.quorum.leadership();
        let runner = Runner {
            start,
            leadership,
            underway,
            settled,
            gone,
            sent: 0,
            term: 0,
            led: 0,
            active: None,
            next_ticket: 0,
        };
        simulated::spawn(runner.run(incoming));
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
    settled: watch::Receiver<Settled>,
    /// The highest term whose leadership is gone.
    gone: watch::Sender<u64>,
    /// Decisions sent on their way so far.
    sent: u64,
    /// Counts activations.
    term: u64,
    /// The epoch that the term is of.
    led: i32,
    active: Option<Active>,
    next_ticket: u64,
}

impl Runner {
    async fn run(mut self, mut incoming: mpsc::Receiver<Request>) {
        let mut settings = self.start.settings.clone();
        // Of their own, so that waiting borrows nothing of the runner.
        let (mut leadership, mut settled) = (self.leadership.clone(), self.settled.clone());
        loop {
            self.follow_leadership().await;
            tokio::select! {
                request = incoming.recv() => match request {
                    Some(Request { command, reply }) => {
                        // While it waited, the machine may have ended.
                        self.follow_leadership().await;
                        self.decide(command, Some(reply)).await;
                        // The sleep below begins anew each time, and is never over where commands follow each other.
                        if self.is_due() {
                            self.decide(Command::Tick, None).await;
                        }
                    }
                    None => return,
                },
                changed = leadership.changed() => if changed.is_err() { return },
                changed = settled.changed() => if changed.is_err() { return },
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

    fn is_due(&self) -> bool {
        let at = self.active.as_ref().and_then(|active| active.wake_at);
        at.is_some_and(|at| at <= self.start.clock.mono())
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
        let settled = *self.settled.borrow_and_update();
        if let Some(active) = &self.active {
            let leads = now.role == Role::Leader && now.epoch == active.epoch;
            if leads && settled.over < self.term {
                return;
            }
            warn!(epoch = active.epoch, "no longer the active controller");
            self.active = None;
            if !leads {
                self.gone.send_replace(self.term);
            }
            self.send(Vec::new(), Vec::new(), After::Dropped).await;
        }
        // What is under way may yet be committed: an image without it would be decided on wrongly.
        if now.role != Role::Leader || settled.count < self.sent {
            return;
        }
        let image = self.start.quorum.updates().image();
        let state = State::from_image(image, self.start.quorum.end_offset());
        let seed = [(); 4].map(|()| simulated::chance());
        let waits = Waits::new(self.start.settings.borrow().clone(), seed);
        self.term += 1;
        self.led = now.epoch;
        self.active = Some(Active { epoch: now.epoch, state, waits, wake_at: None });
        info!(epoch = now.epoch, "active controller");
        let bootstrap = self.start.bootstrap.clone();
        let (reply, activated) = oneshot::channel();
        self.decide(Command::Activate { bootstrap }, Some(reply)).await;
        simulated::spawn(async move {
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
        let mut offset = active.state.next_offset() - 1;
        decision.records.iter().for_each(|record| Controller::apply(&mut active.state, record));

        let mut proposals = Vec::new();
        let mut refused = false;
        for batch in batches(&decision.records, version) {
            offset += i64::try_from(batch.len()).unwrap_or(i64::MAX);
            match self.start.quorum.propose(active.epoch, version, batch.to_vec()).await {
                Ok(proposal) => proposals.push(Expected { proposal, offset }),
                Err(error) => {
                    warn!(%error, "the metadata log refused a proposal");
                    refused = true;
                    break;
                }
            }
        }
        // The controller parks nothing: what it answers is this command.
        let own = decision.replies.into_iter().find(|(t, _)| *t == ticket).map(|(_, reply)| reply);
        let mut replies: Vec<_> = reply.zip(own).into_iter().collect();
        if refused {
            self.active = None;
            for (sender, _) in replies.drain(..) {
                let _ = sender.send(Err(ErrorCode::NOT_CONTROLLER));
            }
        }
        let machine = if refused { After::Dropped } else { After::GoesOn };
        self.send(proposals, replies, machine).await;
    }

    /// Sends a decision on its way. Where too many are, it waits, and those who wait for them are told when leadership
    /// goes meanwhile.
    async fn send(
        &mut self,
        proposals: Vec<Expected>,
        replies: Vec<(oneshot::Sender<Outcome>, Reply)>,
        machine: After,
    ) {
        self.sent += 1;
        let underway = Underway { proposals, replies, term: self.term, machine };
        let (mut leadership, led) = (self.leadership.clone(), self.led);
        let gone = async {
            let goes = |now: &Leadership| now.role != Role::Leader || now.epoch != led;
            // Its end is the end of the quorum, and of the leadership with it.
            let _ = leadership.wait_for(goes).await;
        };
        let sent = self.underway.send(underway);
        tokio::pin!(sent);
        tokio::select! {
            biased;
            // Its other end lives as long as this one.
            _ = &mut sent => return,
            () = gone => {}
        }
        self.gone.send_replace(self.term);
        let _ = sent.await;
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
async fn answer_in_order(
    mut outgoing: mpsc::Receiver<Underway>,
    settled: Arc<watch::Sender<Settled>>,
    mut gone: watch::Receiver<u64>,
) {
    // The highest term of which a decision was lost: those after it were built on that one.
    let mut lost_in = 0;
    while let Some(Underway { proposals, replies, term, machine }) = outgoing.recv().await {
        let mut outcome = Box::pin(outcome(proposals));
        // Whoever asked a leader that is cut off is told so before it is known what became of it.
        let came = tokio::select! {
            biased;
            came = &mut outcome => Some(came),
            Ok(_) = gone.wait_for(|gone| *gone >= term) => None,
        };
        if !matches!(came, Some(Came::Committed | Came::Elsewhere)) {
            lost_in = term;
        }
        let lost = lost_in == term;
        let over = lost || machine == After::Dropped || came == Some(Came::Elsewhere);
        // Before the reply, so that whoever heard it finds no machine that is over.
        if came.is_some() {
            settle(&settled, term, over);
        } else {
            let settled = Arc::clone(&settled);
            simulated::spawn(async move {
                outcome.await;
                settle(&settled, term, true);
            });
        }
        for (sender, reply) in replies {
            // Whoever asked may have gone.
            let _ = sender.send(if lost { Err(ErrorCode::NOT_CONTROLLER) } else { Ok(reply) });
        }
    }
}

/// What became of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    /// It is committed.
    Committed,
    /// It is committed, and stands elsewhere than the machine took it to.
    Elsewhere,
    /// It is not committed, or only in part.
    Lost,
}

async fn outcome(proposals: Vec<Expected>) -> Came {
    let mut came = Came::Committed;
    for Expected { proposal, offset } in proposals {
        match proposal.await {
            Ok(committed) if committed.offset == offset => {}
            Ok(committed) => {
                // The quorum wrote something of its own in between, such as new voters. What was
                // decided stands, and the machine must learn where the log is.
                info!(expected = offset, found = committed.offset, "the metadata log is ahead");
                if came == Came::Committed {
                    came = Came::Elsewhere;
                }
            }
            Err(error) => {
                warn!(%error, "a decision of the controller was not committed");
                came = Came::Lost;
            }
        }
    }
    came
}

fn settle(settled: &watch::Sender<Settled>, term: u64, over: bool) {
    settled.send_if_modified(|now| {
        now.count += 1;
        if over {
            now.over = now.over.max(term);
        }
        // The machine at work need not be woken for what went well.
        over
    });
}

#[cfg(test)]
mod tests;
