//! The task that makes a node known to the others: where it is, and what it needs.
//!
//! A controller with an empty log asks whether the quorum is new. A controller without a vote asks to be a member, and
//! to have a vote if it joins by itself. Any member tells each new leader its addresses. Who hears no leader for long
//! asks at the configured addresses, too: the log's may be out of date.
//!
//! That a leader is known does not mean that it is heard. One that took this node for dead has forgotten it, and sends it
//! nothing, not even that it is forgotten; nor does any leader after it. So who is left in silence asks everybody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use openraft::async_runtime::WatchReceiver;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Node;
use super::members::Changer;
use super::standing::{Standing, Standings};
use crate::control;
use crate::peers::{ANYONE, Failure, Peers};
use crate::quorum::Leadership;
use crate::rpc::{Applicant, HelloAnswer, HelloBody, Kind};
use crate::simulated;
use crate::store::Store;
use crate::types::LogId;
use crate::voter::{Endpoint, Member, NodeKey, Voter};

/// Most others that are asked at once.
const MAX_ASKED: usize = 32;

/// The pauses between two rounds of asking.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How often a leader looks for members that are silent.
const LOOK: Duration = Duration::from_secs(60);

/// How often a person is told that a node waits.
const TELL: Duration = Duration::from_secs(30);

/// Whether a controller without a vote asks for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoJoin {
    /// It stands by.
    #[default]
    Off,
    /// `controller.quorum.auto.join.enable`.
    On,
}

/// The task's state.
#[derive(Debug)]
pub(super) struct Greeter {
    pub(super) node: NodeKey,
    /// Where this node listens.
    pub(super) member: Member,
    pub(super) raft: Node,
    pub(super) store: Arc<Store>,
    pub(super) peers: Arc<Peers>,
    pub(super) standings: Arc<Standings>,
    pub(super) changer: Changer,
    pub(super) leadership: watch::Receiver<Leadership>,
    /// The voters a new quorum begins with.
    pub(super) initial: BTreeMap<NodeKey, Member>,
    /// Whether this node has voted before, though its log is empty.
    pub(super) voted: bool,
    /// `controller.quorum.bootstrap.servers`.
    pub(super) bootstrap: Vec<Endpoint>,
    /// How long a leader may be silent before this node looks for another.
    pub(super) silence: Duration,
    pub(super) auto_join: AutoJoin,
}

/// What is known of the others from what they answered.
#[derive(Debug, Default)]
struct Heard {
    /// The epoch whose leader was told where this node is.
    told: Option<i32>,
    /// Members to ask that an answer named.
    named: BTreeMap<NodeKey, Member>,
    /// The leader says that this node has no vote, whatever its own log says.
    outvoted: bool,
    /// Whether somebody has a past.
    of_a_past: bool,
    /// What a node that catches up has to reach, and the epoch of the leader that said so.
    goal: Option<(i32, LogId)>,
}

impl Greeter {
    /// Runs until the quorum ends.
    pub(super) async fn run(mut self) {
        let mut leadership = self.leadership.clone();
        let mut heard = Heard::default();
        let (mut pause, mut looked, mut told) = (FIRST_PAUSE, Instant::now(), None::<Instant>);
        let (mut alone_since, mut led_since) = (Instant::now(), (0, Instant::now()));
        let started = Instant::now();
        loop {
            let mut now = *leadership.borrow_and_update();
            let leads = now.leader == Some(self.node);
            if now.leader.is_some() && !leads && self.is_left_in_silence(started).await {
                now.leader = None;
            }
            if now.leader.is_some() {
                alone_since = Instant::now();
            }
            if now.epoch != led_since.0 {
                led_since = (now.epoch, Instant::now());
            }
            if leads {
                // It tells itself, as it tells every other leader: the log may name the place where it was.
                let own = Voter { key: self.node, member: self.member.clone() };
                self.changer.greeted(own, Applicant::Member);
            }
            if leads && looked.elapsed() > LOOK {
                looked = Instant::now();
                if let Err(e) = self.changer.forget_silent(led_since.1.elapsed()).await {
                    tracing::debug!("silent members are not forgotten: {e}");
                }
            }
            let lost = || alone_since.elapsed() > LONGEST_PAUSE;
            if !self.needs(&heard, now) && !lost() {
                (pause, told) = (FIRST_PAUSE, None);
                let idle = if leads { LOOK } else { LONGEST_PAUSE };
                let changed = tokio::time::timeout(idle, leadership.changed());
                if matches!(changed.await, Ok(Err(_))) {
                    return;
                }
                continue;
            }
            let answers = self.ask(&heard, now).await;
            let before = self.standings.now();
            self.digest(&mut heard, &answers).await;
            if self.standings.now() != before {
                // What it is now the others are told at once.
                pause = FIRST_PAUSE;
                continue;
            }
            if !self.needs(&heard, now) && !lost() {
                continue;
            }
            if told.is_none_or(|told: Instant| told.elapsed() > TELL) && pause == LONGEST_PAUSE {
                told = Some(Instant::now());
                self.tell(&answers);
            }
            tokio::select! {
                changed = leadership.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Whether the leader that this node knows has said nothing for long.
    async fn is_left_in_silence(&self, started: Instant) -> bool {
        let heard = self.raft.with_raft_state(|state| state.vote_last_modified()).await;
        // Without openraft there is nobody to look for.
        heard.is_ok_and(|heard| {
            let ago = heard.map_or(Duration::MAX, |at| openraft::Instant::elapsed(&at));
            ago.min(started.elapsed()) > self.silence
        })
    }

    fn has_vote(&self) -> bool {
        let membership = self.store.membership();
        membership.voter_ids().any(|voter| voter == self.node)
    }

    /// What this node is, besides a member that goes on.
    fn standby(&self, heard: &Heard) -> Option<Applicant> {
        (!self.has_vote() || heard.outvoted).then_some(match self.auto_join {
            AutoJoin::On => Applicant::Joining,
            AutoJoin::Off => Applicant::Standby,
        })
    }

    /// Whether there is something the others should be told or asked.
    fn needs(&self, heard: &Heard, now: Leadership) -> bool {
        if self.standings.now() != Standing::Full {
            return true;
        }
        if now.leader == Some(self.node) {
            return false;
        }
        let membership = self.store.membership();
        if membership.get_node(&self.node).is_none() {
            return true;
        }
        // Who was removed while it was away does not know, and nobody else would tell it.
        let wrong = heard.outvoted && self.has_vote();
        if wrong || !self.has_vote() && self.auto_join == AutoJoin::On {
            return true;
        }
        now.leader.is_some() && heard.told != Some(now.epoch)
    }

    /// Asks whoever may help. The configured addresses are asked only while no leader is known.
    async fn ask(
        &self,
        heard: &Heard,
        now: Leadership,
    ) -> Vec<(NodeKey, Result<HelloAnswer, Failure>)> {
        let applicant = self.standings.now().applicant(self.standby(heard));
        let body = HelloBody {
            member: control::to_wire(self.node, &self.member),
            applicant: applicant as i8,
        };
        let membership = self.store.membership();
        let mut asked: BTreeMap<NodeKey, Member> = BTreeMap::new();
        let known = membership.nodes().map(|(key, member)| (*key, member.clone()));
        match now.leader.and_then(|leader| Some((leader, membership.get_node(&leader)?.clone()))) {
            Some((leader, member)) if self.standings.now() != Standing::Asking => {
                asked.insert(leader, member);
            }
            _ => {
                asked.extend(heard.named.clone());
                asked.extend(known);
                asked.extend(self.initial.clone());
            }
        }
        asked.remove(&self.node);
        let mut targets: Vec<(NodeKey, Member)> = asked.into_iter().take(MAX_ASKED).collect();
        if now.leader.is_none() {
            let at = |endpoint: &Endpoint| Member {
                endpoints: vec![endpoint.clone()],
                ..Member::default()
            };
            let own = |endpoint: &&Endpoint| {
                self.member
                    .endpoints
                    .iter()
                    .any(|e| e.host == endpoint.host && e.port == endpoint.port)
            };
            let bootstrap = self.bootstrap.iter().filter(|e| !own(e)).take(MAX_ASKED);
            targets.extend(bootstrap.map(|endpoint| (ANYONE, at(endpoint))));
        }
        let asks = targets.iter().map(|(key, member)| async {
            let answer = self
                .peers
                .ask((*key, member), Kind::Hello, &body, self.peers.pace().answer_within)
                .await;
            (*key, answer)
        });
        join_all(asks).await
    }

    /// Takes in what was answered.
    async fn digest(&mut self, heard: &mut Heard, all: &[(NodeKey, Result<HelloAnswer, Failure>)]) {
        let answers: Vec<&HelloAnswer> = all.iter().filter_map(|(_, a)| a.as_ref().ok()).collect();
        for answer in &answers {
            let (key, member) = control::from_wire(&answer.member);
            self.peers.moved_to(key, &member);
            if let Some(leader) = answer.leader() {
                heard.named.retain(|known, _| known.id != leader.key.id);
                heard.named.insert(leader.key, leader.member);
            }
            if answer.leads {
                heard.told = Some(answer.epoch);
                heard.outvoted = !answer.is_voter;
            }
            while heard.named.len() > MAX_ASKED {
                heard.named.pop_first();
            }
        }
        match self.standings.now() {
            Standing::Full => {}
            Standing::Asking => self.decide(heard, &answers).await,
            Standing::CatchingUp => self.catch_up(heard, &answers).await,
        }
    }

    /// Begins with the others, or finds that they began without this node.
    async fn decide(&mut self, heard: &mut Heard, answers: &[&HelloAnswer]) {
        let past: Vec<_> = answers.iter().filter(|answer| answer.has_past).collect();
        // Also where that could not be noted.
        heard.of_a_past |= !past.is_empty();
        if !heard.of_a_past {
            let blank: BTreeSet<NodeKey> =
                answers.iter().map(|answer| control::from_wire(&answer.member).0).collect();
            let blank = blank.iter().filter(|key| self.initial.contains_key(key)).count();
            // This node is one of them, if it has not voted before.
            let is_first = !self.voted && self.initial.contains_key(&self.node);
            if is_first && blank + 1 > self.initial.len() / 2 {
                self.begin().await;
            }
            return;
        }
        if !self.initial.contains_key(&self.node) {
            tracing::info!("node {} takes the metadata log from the leader", self.node);
        } else if past.iter().any(|answer| answer.leads && !answer.is_voter) {
            tracing::warn!(
                "node {} is named as a first voter by its own directory only: the quorum began without it. It stands by; \
                 kafka-metadata-quorum.sh add-controller gives it a vote",
                self.node
            );
        } else {
            tracing::warn!(
                "node {} has a vote, and its metadata log is empty: it takes the log from the leader, and votes when it has \
                 it",
                self.node.id
            );
        }
        note_past(&self.raft, &self.standings).await;
    }

    async fn begin(&self) {
        // An entry may have come from a leader meanwhile.
        if self.standings.now() != Standing::Asking {
            return;
        }
        // This stands for election, too. Nobody gets this node's vote before it has the first entry.
        if let Err(e) = self.raft.initialize(self.initial.clone()).await {
            tracing::error!("the quorum cannot begin: {e}");
            return;
        }
        let standings = self.standings.clone();
        let done = simulated::blocking(move || standings.complete()).await;
        match done {
            Ok(Ok(())) => self.raft.runtime_config().elect(true),
            Ok(Err(e)) => tracing::error!("the quorum cannot begin: {e}"),
            Err(_) => {}
        }
    }

    /// Ends catching up when this node has all that a leader had.
    async fn catch_up(&self, heard: &mut Heard, answers: &[&HelloAnswer]) {
        let leading = answers.iter().filter(|answer| answer.leads);
        let leading = leading.max_by_key(|answer| answer.epoch);
        if let Some(answer) = leading
            && let Some(last) = answer.last.id()
            && heard.goal.is_none_or(|(epoch, _)| epoch != answer.epoch)
        {
            heard.goal = Some((answer.epoch, last));
        }
        let Some((epoch, goal)) = heard.goal else { return };
        let (term, applied) = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow_watched();
            (metrics.vote.leader_id().term, metrics.last_applied)
        };
        // Applied, and so committed: an entry that only this node has proves nothing.
        if term != epoch || applied < Some(goal) {
            return;
        }
        let standings = self.standings.clone();
        match simulated::blocking(move || standings.complete()).await {
            Ok(Ok(())) => {
                self.raft.runtime_config().elect(true);
                // The leader counts on this node once it hears that.
                heard.told = None;
                let what = if self.has_vote() {
                    "has the metadata log, and votes"
                } else {
                    "has the metadata log"
                };
                tracing::info!("node {} {what}", self.node.id);
            }
            Ok(Err(e)) => tracing::error!("cannot note that this node has caught up: {e}"),
            Err(_) => {}
        }
    }

    /// Says why the node waits.
    fn tell(&self, answers: &[(NodeKey, Result<HelloAnswer, Failure>)]) {
        let unreached = answers.iter().filter_map(|(key, answer)| {
            let failure = answer.as_ref().err().filter(|e| !e.is_not_ready())?;
            let who = if *key == ANYONE {
                "a bootstrap server".into()
            } else {
                format!("node {}", key.id)
            };
            Some(format!("{who}: {failure}"))
        });
        let unreached = unreached.collect::<Vec<_>>().join("; ");
        let wait = match self.standings.now() {
            Standing::Asking if self.initial.contains_key(&self.node) => {
                "its log is empty, and it waits to hear from most of the voters whether the quorum is new"
            }
            Standing::Asking => "its log is empty, and it waits to hear of a leader",
            Standing::CatchingUp => "it waits for a leader to give it the metadata log",
            Standing::Full if self.has_vote() => "it knows no leader",
            Standing::Full => "it waits for a leader to take it in",
        };
        tracing::warn!("node {} of the metadata quorum: {wait}. {unreached}", self.node.id);
    }
}

/// Notes, if this node does not know yet what it may do, that the quorum has a past.
pub(super) async fn note_past(raft: &Node, standings: &Arc<Standings>) {
    if standings.now() != Standing::Asking {
        return;
    }
    raft.runtime_config().elect(false);
    let noting = standings.clone();
    let noted = simulated::blocking(move || noting.catch_up()).await;
    if let Ok(Err(e)) = noted {
        tracing::error!("cannot note that this node catches up: {e}");
    }
    if standings.now() == Standing::Full {
        raft.runtime_config().elect(true);
    }
}
