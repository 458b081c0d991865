//! What is between the nodes: it loses, delays, doubles and reorders what it carries, and can be cut one way or both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ottla_quorum::pull::{
    Found, Piece, PullAsk, PullError, Pulled, Puller, SnapshotAsk, SnapshotChunk,
};
use ottla_quorum::simulated::{self, Life};
use ottla_quorum::{BoxFuture, Member, NodeKey, RaftQuorum, Role, Transport, TransportError};

use super::carriers::Lines;
use super::clock;
use super::host::Part;
use super::ledger::Ledger;
use crate::Trace;
use crate::rng::Rng;

/// How good the wires are, each in thousandths of what is carried.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// The request is lost.
    pub lose: u64,
    /// The request arrives, its answer is lost.
    pub lose_answer: u64,
    /// The request arrives twice.
    pub double: u64,
    /// The longest delay of most.
    pub delay_ms: u64,
}

/// What is told of a start that did not succeed.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Which one.
    pub life: Life,
    /// Why.
    pub why: String,
}

#[derive(Debug)]
struct State {
    rng: Rng,
    trace: Trace,
    up: BTreeMap<i32, (Life, Part)>,
    failed: BTreeMap<i32, Failed>,
    left: BTreeMap<i32, Life>,
    cut: BTreeSet<(i32, i32)>,
    weather: Weather,
}

/// The wires between all nodes, and who listens.
#[derive(Debug)]
pub struct Wires(Mutex<State>);

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Nobody listens there.
    Refused,
    /// Nothing comes back.
    Silence,
}

/// The right to be carried next over a line that keeps the order of what it carries.
pub type Turn = tokio::sync::OwnedMutexGuard<()>;

/// What happens to something that is carried.
struct Fate {
    there: Duration,
    back: Duration,
    again: Option<Duration>,
    arrives: bool,
    is_answered: bool,
}

impl Wires {
    /// Good wires, to which nobody listens.
    pub fn new(rng: Rng, trace: Trace) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            rng,
            trace,
            up: BTreeMap::new(),
            failed: BTreeMap::new(),
            left: BTreeMap::new(),
            cut: BTreeSet::new(),
            weather: Weather { delay_ms: 2, ..Weather::default() },
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what happens.
    pub fn say(&self, line: impl std::fmt::Display) {
        self.state().trace.say(clock::now(), line);
    }

    /// Notes what is not worth a line.
    pub fn step(&self, number: u64) {
        self.state().trace.step(clock::now(), number);
    }

    /// The trace; nothing is noted any more, and nobody listens.
    pub fn end(&self) -> Trace {
        let mut state = self.state();
        let up = std::mem::take(&mut state.up);
        let none = Trace::new(0, crate::Print::No);
        let trace = std::mem::replace(&mut state.trace, none);
        drop(state);
        drop(up);
        trace
    }

    /// A node listens.
    fn up(&self, id: i32, life: Life, part: Part) {
        self.say(format_args!("{id} is up"));
        let before = self.state().up.insert(id, (life, part));
        drop(before);
    }

    /// Starts a node: it listens as soon as it has read what is on its disk.
    pub fn start(
        self: &Arc<Self>,
        (id, life): (i32, Life),
        start: impl Future<Output = Result<Part, String>> + Send + 'static,
    ) {
        let wires = self.clone();
        tokio::spawn(simulated::of(life, async move {
            match start.await {
                Ok(part) => wires.up(id, life, part),
                Err(why) => {
                    wires.say(format_args!("{id} does not start: {why}"));
                    wires.fail(id, life, why);
                }
            }
        }));
    }

    /// Something in a node failed that must not.
    pub fn fail(&self, id: i32, life: Life, why: String) {
        self.state().failed.insert(id, Failed { life, why });
    }

    /// A node has stopped in order: its process ends.
    pub fn leave(&self, id: i32, life: Life) {
        self.state().left.insert(id, life);
    }

    /// The last process of a node that stopped in order.
    pub fn left(&self, id: i32) -> Option<Life> {
        self.state().left.get(&id).copied()
    }

    /// Those who listen, in the order of their ids.
    pub fn listening(&self) -> Vec<(i32, Part)> {
        self.state().up.iter().map(|(id, (_, part))| (*id, part.clone())).collect()
    }

    /// Nobody listens at a node any more.
    pub fn down(&self, id: i32) {
        let mut state = self.state();
        let part = state.up.remove(&id);
        state.failed.remove(&id);
        drop(state);
        // What it keeps may speak while it goes.
        drop(part);
    }

    /// What a node runs, if it listens.
    pub fn part(&self, id: i32) -> Option<(Life, Part)> {
        self.state().up.get(&id).cloned()
    }

    /// That a node did not start.
    pub fn failed(&self, id: i32) -> Option<Failed> {
        self.state().failed.get(&id).cloned()
    }

    /// Sets how good the wires are.
    pub fn set_weather(&self, weather: Weather) {
        self.state().weather = weather;
    }

    /// Nothing gets from one node to another any more.
    pub fn cut(&self, ways: &[(i32, i32)]) {
        self.state().cut.extend(ways);
    }

    /// It does again.
    pub fn mend(&self, ways: &[(i32, i32)]) {
        let mut state = self.state();
        for way in ways {
            state.cut.remove(way);
        }
    }

    fn is_cut(&self, from: i32, to: i32) -> bool {
        self.state().cut.contains(&(from, to))
    }

    /// One of the nodes that say that they lead.
    pub fn leader(&self) -> Option<(Life, Arc<RaftQuorum>, i32)> {
        let mut state = self.state();
        let leads = state.up.values().filter_map(|(life, part)| {
            let quorum = part.member()?;
            let now = *ottla_quorum::Quorum::leadership(&**quorum).borrow();
            (now.role == Role::Leader).then(|| (*life, quorum.clone(), now.epoch))
        });
        let mut leads: Vec<_> = leads.collect();
        if leads.is_empty() {
            return None;
        }
        let at = state.rng.below(leads.len() as u64) as usize;
        Some(leads.swap_remove(at))
    }

    /// A number below `bound`.
    pub fn below(&self, bound: u64) -> u64 {
        self.state().rng.below(bound)
    }

    fn fate(&self, from: i32, to: i32, what: &str) -> Fate {
        let mut state = self.state();
        let weather = state.weather;
        let mut delay = || {
            let most = if state.rng.chance(20) { weather.delay_ms * 8 } else { weather.delay_ms };
            Duration::from_millis(state.rng.below(most + 1))
        };
        let (there, back, later) = (delay(), delay(), delay());
        let arrives = !state.rng.chance(weather.lose);
        let is_answered = !state.rng.chance(weather.lose_answer);
        let again = state.rng.chance(weather.double).then_some(later);
        let mut line = format!("{from}>{to} {what} +{}", there.as_millis());
        for (happens, mark) in
            [(!arrives, " lost"), (!is_answered, " unanswered"), (again.is_some(), " doubled")]
        {
            line.push_str(if happens { mark } else { "" });
        }
        state.trace.say(clock::now(), line);
        Fate { there, back, again, arrives, is_answered }
    }

    /// Carries something to a node, and brings back what it makes of it. What is under way goes on when nobody waits for
    /// it any more. What has a turn comes once, and gives its turn away as it arrives.
    pub async fn carry<T: Send + 'static>(
        self: &Arc<Self>,
        (from, to): (i32, i32),
        what: String,
        patience: Duration,
        turn: Option<Turn>,
        job: impl Fn(Part) -> BoxFuture<'static, T> + Send + Sync + 'static,
    ) -> Result<T, Lost> {
        let fate = self.fate(from, to, &what);
        let job = Arc::new(job);
        if let Some(later) = fate.again.filter(|_| turn.is_none()) {
            let (wires, job) = (self.clone(), job.clone());
            tokio::spawn(async move {
                tokio::time::sleep(later).await;
                drop(wires.arrive((from, to), None, &*job).await);
            });
        }
        let wires = self.clone();
        let carried = tokio::spawn(async move {
            tokio::time::sleep(fate.there).await;
            if !fate.arrives {
                return Err(Lost::Silence);
            }
            let answer = wires.arrive((from, to), turn, &*job).await?;
            tokio::time::sleep(fate.back).await;
            if wires.is_cut(to, from) || !fate.is_answered {
                return Err(Lost::Silence);
            }
            Ok(answer)
        });
        let answer = carried.await.unwrap_or(Err(Lost::Refused));
        if matches!(answer, Err(Lost::Silence)) {
            tokio::time::sleep(patience).await;
        }
        answer
    }

    /// Has a node do something, in the life that it lives now.
    async fn arrive<T: Send + 'static>(
        &self,
        (from, to): (i32, i32),
        turn: Option<Turn>,
        job: &(impl Fn(Part) -> BoxFuture<'static, T> + Send + Sync),
    ) -> Result<T, Lost> {
        if self.is_cut(from, to) {
            return Err(Lost::Silence);
        }
        let (life, part) = self.part(to).ok_or(Lost::Refused)?;
        let done = tokio::spawn(simulated::of(life, job(part)));
        // Tasks begin in the order in which they are there.
        drop(turn);
        done.await.map_err(|_| Lost::Refused)
    }
}

/// A sum over bytes.
pub fn sum(bytes: &[u8]) -> u64 {
    let mix = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, mix)
}

/// A node's end of the wires.
#[derive(Debug)]
pub struct Plug {
    /// The wires.
    pub wires: Arc<Wires>,
    /// Whose end it is.
    pub id: i32,
    /// What controllers answer.
    pub ledger: Arc<Ledger>,
    /// The lines to other brokers that keep the order of what they carry.
    pub lines: Lines,
    /// The controllers, of which one is asked where none is named.
    pub controllers: Vec<i32>,
}

impl Transport for Plug {
    fn exchange(
        &self,
        _: NodeKey,
        member: &Member,
        request: Bytes,
        patience: Duration,
    ) -> BoxFuture<'_, Result<Bytes, TransportError>> {
        let port = member.endpoints.first().map(|endpoint| endpoint.port);
        Box::pin(async move {
            let nobody = || TransportError::Unreachable("nobody is there".into());
            let to = i32::from(port.ok_or_else(nobody)?);
            let what = format!("{} bytes {:08x}", request.len(), sum(&request) as u32);
            let job = move |part: Part| -> BoxFuture<'static, Result<Bytes, String>> {
                let request = request.clone();
                Box::pin(async move {
                    match part.member() {
                        Some(quorum) => quorum.receive(request).await.map_err(|e| e.to_string()),
                        None => Err("a broker is no member".to_owned()),
                    }
                })
            };
            match self.wires.carry((self.id, to), what, patience, None, job).await {
                Ok(Ok(answer)) => {
                    self.wires.step(sum(&answer));
                    Ok(answer)
                }
                Ok(Err(why)) => Err(TransportError::Broken(why)),
                Err(Lost::Refused) => Err(nobody()),
                Err(Lost::Silence) => Err(TransportError::Timeout(patience)),
            }
        })
    }
}

/// How long a node that pulls waits beside the time that the answer may take.
const PULL_PATIENCE: Duration = Duration::from_secs(2);

impl Plug {
    fn whom(&self, named: Option<i32>) -> i32 {
        let at = self.wires.below(self.controllers.len() as u64) as usize;
        named.or_else(|| self.controllers.get(at).copied()).unwrap_or_default()
    }

    async fn pull<T: Send + 'static>(
        &self,
        to: i32,
        what: String,
        patience: Duration,
        job: impl Fn(Arc<RaftQuorum>) -> BoxFuture<'static, Result<T, PullError>>
        + Clone
        + Send
        + Sync
        + 'static,
    ) -> Result<T, PullError> {
        let unreachable = |why: &str| PullError::Unreachable(why.to_owned());
        let job = move |part: Part| -> BoxFuture<'static, Result<T, PullError>> {
            match part.member() {
                Some(quorum) => job(quorum.clone()),
                None => Box::pin(async { Err(PullError::Failed("a broker gives nothing".into())) }),
            }
        };
        match self.wires.carry((self.id, to), what, patience, None, job).await {
            Ok(answer) => answer,
            Err(Lost::Refused) => Err(unreachable("nobody is there")),
            Err(Lost::Silence) => Err(unreachable("no answer")),
        }
    }
}

/// What gets through wires: bytes, not files.
fn sent(piece: Piece) -> Result<Piece, PullError> {
    piece.read().map(Piece::Bytes).map_err(|e| PullError::Failed(e.to_string()))
}

impl Puller for Plug {
    fn fetch(&self, ask: PullAsk) -> BoxFuture<'_, Result<Pulled, PullError>> {
        Box::pin(async move {
            let to = self.whom(ask.whom.as_ref().map(|whom| whom.id));
            let what = format!("pull {} of {}", ask.offset, ask.epoch);
            let patience = ask.max_wait + PULL_PATIENCE;
            let job =
                move |quorum: Arc<RaftQuorum>| -> BoxFuture<'static, Result<Pulled, PullError>> {
                    let ask = ask.clone();
                    Box::pin(async move {
                        let mut pulled = quorum.pull(ask).await?;
                        if let Found::Batches(piece) = pulled.found {
                            pulled.found = Found::Batches(sent(piece)?);
                        }
                        Ok(pulled)
                    })
                };
            self.pull(to, what, patience, job).await
        })
    }

    fn snapshot(&self, ask: SnapshotAsk) -> BoxFuture<'_, Result<SnapshotChunk, PullError>> {
        Box::pin(async move {
            let to = self.whom(ask.whom.as_ref().map(|whom| whom.id));
            let what = format!("snapshot {} at {}", ask.id, ask.position);
            let job = move |quorum: Arc<RaftQuorum>| -> BoxFuture<'static, Result<SnapshotChunk, PullError>> {
                let ask = ask.clone();
                Box::pin(async move {
                    let chunk = quorum.snapshot_chunk(ask).await?;
                    Ok(SnapshotChunk { piece: sent(chunk.piece.clone())?, ..chunk })
                })
            };
            self.pull(to, what, PULL_PATIENCE, job).await
        })
    }
}
