//! Who writes metadata: topics, through whoever says that it leads, and what was answered.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ottla_metadata::MetadataVersion;
use ottla_quorum::simulated;
use ottla_quorum::{Committed, Quorum};
use ottla_wire::Uuid;
use ottla_wire::schema::metadata::{FeatureLevelRecord, MetadataRecord, TopicRecord};

use super::clock;
use super::wires::Wires;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// The longest pause between two proposals of one.
const PAUSE_MS: u64 = 60;

/// The level of `metadata.version`.
const LEVEL: i16 = 30;

/// A topic that was answered to be committed.
#[derive(Clone, Debug)]
pub struct Acked {
    /// Its name.
    pub name: String,
    /// Where, and in which epoch.
    pub at: Committed,
    /// When that was heard.
    pub heard: u64,
}

#[derive(Debug, Default)]
struct State {
    proposed: BTreeSet<String>,
    acked: Vec<Acked>,
    is_over: bool,
}

/// What was proposed, and what was acknowledged.
#[derive(Debug, Default)]
pub struct Load(Mutex<State>);

impl Load {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn topic(&self) -> (String, Vec<MetadataRecord>) {
        let mut state = self.state();
        let n = state.proposed.len() as u128;
        let name = format!("topic-{n}");
        state.proposed.insert(name.clone());
        let level = FeatureLevelRecord { name: "metadata.version".into(), feature_level: LEVEL };
        let topic = TopicRecord { name: name.clone(), topic_id: Uuid::from_u128(10_000 + n) };
        (name, vec![level.into(), topic.into()])
    }

    /// A name that no topic has.
    pub fn name(&self) -> String {
        let mut state = self.state();
        let name = format!("topic-{}", state.proposed.len());
        state.proposed.insert(name.clone());
        name
    }

    /// A topic of this name may be made.
    pub fn wants(&self, name: &str) {
        self.state().proposed.insert(name.to_owned());
    }

    /// A controller says that a topic is made.
    pub fn acked_by_controller(&self, name: &str, at: Committed) {
        let acked = Acked { name: name.to_owned(), at, heard: clock::now() };
        self.state().acked.push(acked);
    }

    /// Whether nothing is proposed any more.
    pub fn is_over(&self) -> bool {
        self.state().is_over
    }

    /// What was acknowledged from the `from`th on.
    pub fn acked_from(&self, from: usize) -> Vec<Acked> {
        self.state().acked.get(from..).unwrap_or_default().to_vec()
    }

    /// How much was acknowledged.
    pub fn acked(&self) -> usize {
        self.state().acked.len()
    }

    /// When something was acknowledged last.
    pub fn last_heard(&self) -> Option<u64> {
        self.state().acked.last().map(|acked| acked.heard)
    }

    /// What was ever proposed.
    pub fn proposed(&self) -> BTreeSet<String> {
        self.state().proposed.clone()
    }

    /// Nothing is proposed from now on.
    pub fn end(&self) {
        self.state().is_over = true;
    }

    /// Proposes one topic after the other.
    pub async fn run(self: Arc<Self>, wires: Arc<Wires>) {
        loop {
            tokio::time::sleep(Duration::from_millis(1 + wires.below(PAUSE_MS))).await;
            if self.state().is_over {
                return;
            }
            let Some((life, quorum, epoch)) = wires.leader() else { continue };
            let (name, records) = self.topic();
            let asks =
                async move { quorum.propose(epoch, MetadataVersion::LATEST, records).await?.await };
            let answer = tokio::spawn(simulated::of(life, asks));
            match tokio::time::timeout(PATIENCE, answer).await {
                Ok(Ok(Ok(at))) => {
                    wires.say(format_args!("{name} is at {} of {}", at.offset, at.epoch));
                    self.state().acked.push(Acked { name, at, heard: clock::now() });
                }
                Ok(Ok(Err(e))) => wires.say(format_args!("{name}: {e}")),
                Ok(Err(_)) | Err(_) => wires.say(format_args!("{name}: no answer")),
            }
        }
    }
}
