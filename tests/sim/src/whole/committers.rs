//! Who commits offsets: each is alone in its group, commits for one partition after the other, and asks for what it committed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ottla_coordinator::{Reply, Request, hash};
use ottla_engine::OFFSETS_TOPIC;
use ottla_quorum::BoxFuture;
use ottla_wire::ErrorCode;
use tokio::time::sleep;

use super::admins::{Admins, Shape};
use super::host::Part;
use super::load::Load;
use super::plan::Flushes;
use super::wires::Wires;
use crate::invariant::offsets;
use crate::member::{self, Told};
use crate::{Verdict, Violation};

/// The longest pause between two questions of one.
const PAUSE_MS: u64 = 120;

/// The pause before a coordinator is looked for again.
const AGAIN: Duration = Duration::from_millis(60);

#[derive(Debug, Default)]
struct State {
    /// How many have not ended.
    busy: usize,
    /// How many commits were acknowledged.
    acked: usize,
    violation: Option<Violation>,
}

/// All who commit.
#[derive(Debug)]
pub struct Committers {
    admins: Arc<Admins>,
    wires: Arc<Wires>,
    load: Arc<Load>,
    shape: Shape,
    flushes: Flushes,
    state: Mutex<State>,
}

/// What one who commits knows.
#[derive(Debug, Default)]
struct Known {
    /// How many commits it ever sent.
    sent: i32,
    /// Those that a coordinator said are there, and the lowest epoch in which one did.
    told: BTreeMap<i32, i32>,
}

impl Known {
    fn learn(&mut self, partition: i32, epoch: i32) {
        let known = self.told.entry(partition).or_insert(epoch);
        *known = epoch.min(*known);
    }
}

impl Committers {
    /// Nobody yet.
    pub fn new(
        admins: Arc<Admins>,
        wires: Arc<Wires>,
        load: Arc<Load>,
        shape: Shape,
        flushes: Flushes,
    ) -> Arc<Self> {
        load.wants(OFFSETS_TOPIC);
        Arc::new(Self { admins, wires, load, shape, flushes, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all have seen what they know of since nothing more is committed.
    pub fn are_done(&self) -> bool {
        self.load.is_over() && self.state().busy == 0
    }

    /// How many commits were acknowledged.
    pub fn acked(&self) -> usize {
        self.state().acked
    }

    /// Whether all coordinators knew what they had to.
    pub fn verdict(&self) -> Verdict {
        self.state().violation.clone().map_or(Ok(()), Err)
    }

    /// Makes the topic of offsets, and lets so many begin.
    pub async fn begin(self: Arc<Self>, count: usize) {
        self.state().busy += 1;
        let admins = &self.admins;
        admins.insist(|| admins.broker(), OFFSETS_TOPIC, self.shape).await;
        for who in 0..count {
            self.state().busy += 1;
            let this = self.clone();
            tokio::spawn(async move {
                this.run(who).await;
                this.state().busy -= 1;
            });
        }
        self.state().busy -= 1;
    }

    async fn run(&self, who: usize) {
        let group = format!("g{who}");
        let mut known = Known::default();
        loop {
            sleep(Duration::from_millis(1 + self.wires.below(PAUSE_MS))).await;
            let is_over = self.load.is_over();
            if !is_over && self.wires.below(10) < 6 {
                self.commit(&group, &mut known).await;
            } else if self.look(who, &group, &mut known).await && is_over {
                return;
            }
        }
    }

    async fn commit(&self, group: &str, known: &mut Known) {
        let partition = known.sent;
        known.sent += 1;
        let asked = self.ask(group, member::commit(group, partition)).await;
        let Some((epoch, Reply::OffsetCommit(answer))) = asked else { return };
        let told = answer.topics.first().and_then(|topic| topic.partitions.first());
        if told.is_some_and(|told| told.error_code.is_none()) {
            self.wires.say(format_args!("{group} committed {partition} in epoch {epoch}"));
            known.learn(partition, epoch);
            self.state().acked += 1;
        }
    }

    /// Asks for what was committed. Whether a coordinator told that had to know all.
    async fn look(&self, who: usize, group: &str, known: &mut Known) -> bool {
        let before = known.told.clone();
        let asked = self.ask(group, member::all_of(group)).await;
        let Some((epoch, Reply::OffsetFetch(answer))) = asked else { return false };
        if answer.error_code.is_error() {
            return false;
        }
        let offsets = member::offsets(&answer);
        // Where power may fail, what is told may not be flushed yet where it is told.
        if self.flushes == Flushes::Never {
            offsets.keys().for_each(|partition| known.learn(*partition, epoch));
        }
        let knows_all = before.values().all(|of| *of <= epoch);
        let told = Told { epoch, offsets, known: before, sent: known.sent };
        if let Err(violation) = offsets::told(who, &told) {
            self.state().violation.get_or_insert(violation);
        }
        knows_all
    }

    /// Asks the coordinator of a group. Gives the epoch that it decides in with what it says.
    async fn ask(&self, group: &str, request: Request) -> Option<(i32, Reply)> {
        let Some(leader) = coordinator(&self.admins, group) else {
            sleep(AGAIN).await;
            return None;
        };
        let (group, what) = (group.to_owned(), format!("{group} asks"));
        let job = move |part: Part| -> BoxFuture<'static, Result<(i32, Reply), ErrorCode>> {
            let (group, request) = (group.clone(), request.clone());
            Box::pin(async move {
                let Part::Broker(broker) = part else { return Err(ErrorCode::NOT_COORDINATOR) };
                let engine = broker.engine().ok_or(ErrorCode::BROKER_NOT_AVAILABLE)?;
                engine.coordinate(&group, request).await
            })
        };
        self.admins.ask(leader, &what, job).await.ok()
    }
}

/// Who leads the partition of a group, as any broker knows it.
pub fn coordinator(admins: &Admins, group: &str) -> Option<i32> {
    let image = admins.image()?;
    let topic = image.topic_named(OFFSETS_TOPIC)?;
    let partitions = i32::try_from(topic.partitions.len()).ok().filter(|count| *count > 0)?;
    let leader = topic.partition(hash::partition_for(group, partitions))?.leader;
    (leader >= 0).then_some(leader)
}
