//! What a member knows of the others beside the log: where they said they are, what they refused, and which process of
//! theirs it was.
//!
//! The addresses in the log are as old as the last change of the members. One that moved says so itself, and is found
//! where it said last.

mod progress;
mod word;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_wire::{Message, Uuid};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::pace::Pace;
use crate::rpc::{self, Applicant, Kind, Refusal, RequestHead, RpcError};
use crate::simulated;
use crate::transport::{Transport, TransportError};
use crate::types::Vote;
use crate::voter::{Member, NodeKey};
use progress::Progress;
use word::Spoken;
pub(crate) use word::Word;

/// Most other nodes that are remembered.
const MAX_KNOWN: usize = 1024;

/// Most characters of a foreign cluster's id that are kept.
const MAX_STRANGE: usize = 64;

/// The key that stands for whoever is at an address.
pub(crate) const ANYONE: NodeKey = NodeKey::new(-1, Uuid::ZERO);

/// Why a request to another member came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It did not get there, or no answer came.
    Transport(TransportError),
    /// It was refused.
    Refused(Refusal, String),
    /// The answer makes no sense.
    Nonsense(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(e) => e.fmt(f),
            Self::Refused(_, text) => write!(f, "it refuses: {text}"),
            Self::Nonsense(why) => write!(f, "its answer makes no sense: {why}"),
        }
    }
}

impl std::error::Error for Failure {}

/// The processes that spoke as one member, so that two at a time are found out.
#[derive(Clone, Copy, Debug)]
struct Processes {
    current: i64,
    before: Option<i64>,
}

#[derive(Debug, Default)]
struct Known {
    addresses: BTreeMap<NodeKey, Member>,
    /// What was refused last, so that it is told once.
    refused: BTreeMap<NodeKey, Refusal>,
    processes: BTreeMap<NodeKey, Processes>,
    /// The last entry that each acknowledged to this leader, and in which vote's name it was asked.
    acknowledged: BTreeMap<NodeKey, (Vote, u64)>,
    /// What each said of itself last.
    words: BTreeMap<NodeKey, Spoken>,
    /// How each keeps up.
    progress: BTreeMap<NodeKey, Progress>,
    /// Who has lost what it acknowledged, so that it is told once.
    forgetful: BTreeSet<NodeKey>,
    /// Which could not be reached last, so that it is told once.
    unreached: BTreeSet<NodeKey>,
    /// Nodes of other clusters that asked here, and the beginnings of their clusters' ids.
    strangers: BTreeMap<NodeKey, String>,
    /// Of which process of a member it was told last that it is the second one.
    doubles: BTreeMap<NodeKey, i64>,
}

/// The other members, and the way to them.
#[derive(Debug)]
pub(crate) struct Peers {
    transport: Arc<dyn Transport>,
    me: NodeKey,
    /// The directory's id, also where the key does not name it.
    directory: Uuid,
    cluster_id: String,
    incarnation: i64,
    pace: Pace,
    known: Mutex<Known>,
    /// Somebody said what it is.
    word: Notify,
}

impl Peers {
    pub(crate) fn new(
        transport: Arc<dyn Transport>,
        me: NodeKey,
        directory: Uuid,
        cluster_id: String,
        pace: Pace,
    ) -> Self {
        let incarnation = simulated::chance().cast_signed();
        let (known, word) = (Mutex::default(), Notify::new());
        Self { transport, me, directory, cluster_id, incarnation, pace, known, word }
    }

    /// How the others are asked.
    pub(crate) fn pace(&self) -> &Pace {
        &self.pace
    }

    pub(crate) fn me(&self) -> NodeKey {
        self.me
    }

    pub(crate) fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// Notes where a member said it is.
    pub(crate) fn moved_to(&self, key: NodeKey, member: &Member) {
        if member.endpoints.is_empty() {
            return;
        }
        let mut known = self.known.lock();
        if known.addresses.len() < MAX_KNOWN || known.addresses.contains_key(&key) {
            known.addresses.insert(key, member.clone());
        }
    }

    /// Where a member is: where it said, else where the log says.
    pub(crate) fn address(&self, key: NodeKey, logged: &Member) -> Member {
        self.known.lock().addresses.get(&key).unwrap_or(logged).clone()
    }

    /// Whether a request of this process of a member may be heard. Of two processes that take turns both are refused:
    /// they have one identity, and could vote twice.
    pub(crate) fn is_only_process(&self, key: NodeKey, incarnation: i64) -> bool {
        let mut known = self.known.lock();
        if known.processes.len() >= MAX_KNOWN && !known.processes.contains_key(&key) {
            return true;
        }
        let fresh = Processes { current: incarnation, before: None };
        let processes = known.processes.entry(key).or_insert(fresh);
        if processes.current == incarnation {
            return true;
        }
        if processes.before == Some(incarnation) {
            return false;
        }
        *processes = Processes { current: incarnation, before: Some(processes.current) };
        true
    }

    /// Notes that a member has all entries up to this one, as it says to the leader of this vote, whose log ends before
    /// `end` now.
    pub(crate) fn acknowledged(&self, key: NodeKey, vote: Vote, upto: u64, end: u64) {
        let mut known = self.known.lock();
        if known.acknowledged.len() >= MAX_KNOWN && !known.acknowledged.contains_key(&key) {
            return;
        }
        let before = known.progress.get(&key).copied();
        let reached = (upto.saturating_add(1), end);
        known.progress.insert(key, Progress::heard(before, vote, reached, Instant::now()));
        known.forgetful.remove(&key);
        let entry = known.acknowledged.entry(key).or_insert((vote, upto));
        let before = if entry.0 == vote { entry.1 } else { 0 };
        *entry = (vote, before.max(upto));
    }

    /// Whether a member that lacks this entry acknowledged it to the leader of this vote. A person is told once.
    pub(crate) fn has_forgotten(&self, key: NodeKey, vote: Vote, index: u64) -> bool {
        let mut known = self.known.lock();
        let upto =
            known.acknowledged.get(&key).filter(|(of, _)| *of == vote).map(|(_, upto)| *upto);
        let Some(upto) = upto.filter(|upto| index <= *upto) else { return false };
        if known.forgetful.insert(key) {
            tracing::error!(
                "node {} of the metadata quorum has lost entries that it acknowledged (it had all up to {upto}, and lacks \
                 {index}): its disk was put back to an older state, or another process runs on a copy of it. It gets no \
                 entries from here on, and ends; its own log says what to do",
                key.id
            );
        }
        true
    }

    /// The last entry that a member acknowledged to the leader of this vote, if it was found to lack some of those.
    pub(crate) fn forgotten(&self, key: NodeKey, vote: Vote) -> Option<u64> {
        let known = self.known.lock();
        let acknowledged = known.acknowledged.get(&key).filter(|(of, _)| *of == vote);
        acknowledged.filter(|_| known.forgetful.contains(&key)).map(|(_, upto)| *upto)
    }

    /// When a member last had all that the log of this vote's leader had. `None` when it never had.
    pub(crate) fn caught_up(&self, key: NodeKey, vote: Vote) -> Option<Instant> {
        self.known.lock().progress.get(&key).and_then(|progress| progress.caught_up(vote))
    }

    /// A member says that it has lost its log, and begins anew.
    pub(crate) fn begins_anew(&self, key: NodeKey) {
        let mut known = self.known.lock();
        known.acknowledged.remove(&key);
        known.forgetful.remove(&key);
    }

    /// Notes what a process of a member says of itself to this node, which leads an epoch.
    pub(crate) fn greeted(&self, key: NodeKey, process: i64, epoch: i32, applicant: Applicant) {
        let mut known = self.known.lock();
        if known.words.len() >= MAX_KNOWN && !known.words.contains_key(&key) {
            return;
        }
        let before = known.words.get(&key).copied();
        known.words.insert(key, Spoken::new(before, process, epoch, applicant));
        drop(known);
        self.word.notify_one();
    }

    /// What a member said of itself to the leader of an epoch.
    pub(crate) fn word_of(&self, key: NodeKey, epoch: i32) -> Word {
        self.known.lock().words.get(&key).map_or(Word::None, |word| word.to(epoch))
    }

    /// Waits until some member says what it is. One waits at a time.
    pub(crate) async fn word(&self) {
        self.word.notified().await;
    }

    /// Whether a node of another cluster is new here. It asks many times a second, and a person is told once.
    pub(crate) fn is_new_stranger(&self, key: NodeKey, cluster: &str) -> bool {
        let mut known = self.known.lock();
        if known.strangers.len() >= MAX_KNOWN && !known.strangers.contains_key(&key) {
            return false;
        }
        let cluster: String = cluster.chars().take(MAX_STRANGE).collect();
        known.strangers.insert(key, cluster.clone()) != Some(cluster)
    }

    /// Whether it is news that this process is the second one of a member. It asks many times a second, and a person is
    /// told once.
    pub(crate) fn is_new_double(&self, key: NodeKey, incarnation: i64) -> bool {
        let mut known = self.known.lock();
        if known.doubles.len() >= MAX_KNOWN && !known.doubles.contains_key(&key) {
            return false;
        }
        known.doubles.insert(key, incarnation) != Some(incarnation)
    }

    /// Tells a person that a member cannot be reached, and that it can be again; each once.
    fn tell_reached(&self, to: NodeKey, failure: Option<&TransportError>) {
        let mut known = self.known.lock();
        match failure {
            Some(_) if to == ANYONE || known.unreached.len() >= MAX_KNOWN => {}
            Some(failure) => {
                if known.unreached.insert(to) {
                    tracing::warn!("node {} of the metadata quorum: {failure}", to.id);
                }
            }
            None => {
                if known.unreached.remove(&to) {
                    tracing::info!("node {} of the metadata quorum answers again", to.id);
                }
            }
        }
    }

    /// Asks a member for something.
    pub(crate) async fn ask<B: Message, A: Message>(
        &self,
        (to, logged): (NodeKey, &Member),
        kind: Kind,
        body: &B,
        patience: Duration,
    ) -> Result<A, Failure> {
        let head = RequestHead {
            kind: 0,
            cluster_id: self.cluster_id.clone(),
            from: self.me.into(),
            directory: self.directory,
            incarnation: self.incarnation,
            to: to.into(),
        };
        let nonsense = |e: RpcError| Failure::Nonsense(e.to_string());
        let request = rpc::request(head, kind, body).map_err(nonsense)?;
        let answer = self.exchange(to, logged, request, patience).await;
        self.tell_reached(to, answer.as_ref().err());
        let (head, body) =
            rpc::read_answer(answer.map_err(Failure::Transport)?).map_err(nonsense)?;
        match body {
            Ok(body) => {
                self.known.lock().refused.remove(&to);
                Ok(body)
            }
            Err(why) => {
                self.tell(to, why, &head.text);
                Err(Failure::Refused(why, head.text))
            }
        }
    }

    async fn exchange(
        &self,
        to: NodeKey,
        logged: &Member,
        request: Bytes,
        patience: Duration,
    ) -> Result<Bytes, TransportError> {
        let member = self.address(to, logged);
        let exchange = self.transport.exchange(to, &member, request, patience);
        tokio::time::timeout(patience, exchange)
            .await
            .unwrap_or(Err(TransportError::Timeout(patience)))
    }

    /// Tells a person of a refusal, once until something else happens.
    fn tell(&self, to: NodeKey, why: Refusal, text: &str) {
        {
            let mut known = self.known.lock();
            if known.refused.len() >= MAX_KNOWN && !known.refused.contains_key(&to) {
                return;
            }
            if known.refused.insert(to, why) == Some(why) {
                return;
            }
        }
        match why {
            Refusal::NotReady => tracing::debug!("node {} is not ready: {text}", to.id),
            Refusal::ForeignCluster => tracing::error!(
                "node {} refuses this node: {text}. Check controller.quorum.voters and \
                 controller.quorum.bootstrap.servers, or format this node's directories with the cluster id of the others",
                to.id
            ),
            Refusal::WrongKey => tracing::error!(
                "another node than {to} answers at its address: {text}. If the disk of node {} was emptied, remove the \
                 controller with its old directory id and add it with the new one",
                to.id
            ),
            Refusal::Duplicate => tracing::error!(
                "node {} refuses this node: {text}. Stop one of the two processes, or give it a node.id of its own",
                to.id
            ),
            Refusal::Invalid | Refusal::Stopped => {
                tracing::error!("node {} refuses what this node sent: {text}", to.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quorum::BoxFuture;

    #[derive(Debug)]
    struct Nowhere;

    impl Transport for Nowhere {
        fn exchange(
            &self,
            _: NodeKey,
            _: &Member,
            _: Bytes,
            _: Duration,
        ) -> BoxFuture<'_, Result<Bytes, TransportError>> {
            Box::pin(async { Err(TransportError::Unreachable("nowhere".into())) })
        }
    }

    #[test]
    fn a_stranger_is_new_until_it_is_known_and_again_from_another_cluster() {
        let (me, other) = (NodeKey::new(1, Uuid::ZERO), NodeKey::new(2, Uuid::ZERO));
        let peers = Peers::new(Arc::new(Nowhere), me, Uuid::ZERO, "c".into(), Pace::default());
        let mut heard = |cluster: &str| peers.is_new_stranger(other, cluster);
        assert_eq!(["d", "d", "e", "e"].map(&mut heard), [true, false, true, false]);
    }

    #[test]
    fn a_second_process_is_told_of_once_and_again_after_a_restart() {
        let me = NodeKey::new(1, Uuid::ZERO);
        let peers = Peers::new(Arc::new(Nowhere), me, Uuid::ZERO, "c".into(), Pace::default());
        let mut told = |incarnation| peers.is_new_double(me, incarnation);
        assert_eq!([5, 5, 6, 6].map(&mut told), [true, false, true, false]);
    }

    #[tokio::test]
    async fn a_member_out_of_reach_is_noted_until_it_answers() {
        let (me, other) = (NodeKey::new(1, Uuid::ZERO), NodeKey::new(2, Uuid::ZERO));
        let peers = Peers::new(Arc::new(Nowhere), me, Uuid::ZERO, "c".into(), Pace::default());
        let body = rpc::HelloBody::default();
        for _ in 0..2 {
            let asked: Result<rpc::HelloAnswer, _> = peers
                .ask((other, &Member::default()), Kind::Hello, &body, Duration::from_secs(1))
                .await;
            assert!(matches!(asked, Err(Failure::Transport(_))));
            assert_eq!(peers.known.lock().unreached.len(), 1);
        }
        peers.tell_reached(other, None);
        assert!(peers.known.lock().unreached.is_empty());
    }

    #[test]
    fn two_processes_of_one_member_are_found_out_when_the_first_speaks_again() {
        let key = NodeKey::new(1, Uuid::ZERO);
        let peers = Peers::new(Arc::new(Nowhere), key, Uuid::ZERO, "c".into(), Pace::default());
        // A restart is no second process, nor are two.
        for incarnation in [1, 1, 2, 2, 3] {
            assert!(peers.is_only_process(key, incarnation));
        }
        assert!(!peers.is_only_process(key, 2));
        assert!(peers.is_only_process(key, 3));
    }
}
