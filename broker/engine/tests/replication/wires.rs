//! The network between the nodes of a test, which can be cut, slow, and lose answers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ottla_engine::{Lane, PeerError, PeerFuture, Peers};
use ottla_wire::api::fetch::{FetchRequest, FetchResponse};
use ottla_wire::api::list_offsets::{ListOffsetsRequest, ListOffsetsResponse};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::serve::Server;

#[derive(Default)]
struct State {
    servers: BTreeMap<i32, Arc<Server>>,
    /// From whom to whom nothing goes.
    cut: BTreeSet<(i32, i32)>,
    /// One answer in so many is lost; 0 for none.
    loss: u32,
    slow: Duration,
}

/// All wires. A change ends what is under way on those that it concerns.
#[derive(Clone)]
pub(crate) struct Wires {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
}

impl Wires {
    pub(crate) fn new() -> Self {
        Self { state: Arc::default(), changed: watch::Sender::new(0) }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock());
        self.changed.send_modify(|n| *n += 1);
    }

    pub(crate) fn connect(&self, id: i32, server: Arc<Server>) {
        self.change(|state| drop(state.servers.insert(id, server)));
    }

    pub(crate) fn disconnect(&self, id: i32) {
        self.change(|state| drop(state.servers.remove(&id)));
    }

    pub(crate) fn cut(&self, a: i32, b: i32) {
        self.change(|state| state.cut.extend([(a, b), (b, a)]));
    }

    pub(crate) fn mend(&self) {
        self.change(|state| state.cut.clear());
    }

    pub(crate) fn trouble(&self, loss: u32, slow: Duration) {
        self.change(|state| (state.loss, state.slow) = (loss, slow));
    }

    /// The wires as one node sees them.
    pub(crate) fn of(&self, from: i32) -> Arc<dyn Peers> {
        Arc::new(From { wires: self.clone(), from })
    }

    fn server(&self, from: i32, to: i32) -> Result<Arc<Server>, PeerError> {
        let state = self.state.lock();
        if state.cut.contains(&(from, to)) {
            return Err(PeerError("cut".into()));
        }
        state.servers.get(&to).cloned().ok_or_else(|| PeerError("refused".into()))
    }
}

struct From {
    wires: Wires,
    from: i32,
}

impl fmt::Debug for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wires of {}", self.from)
    }
}

impl From {
    /// Sends, unless the way is barred meanwhile; an answer may be lost all the same.
    fn exchange<T: Send + 'static, F>(
        &self,
        to: i32,
        ask: impl FnOnce(Arc<Server>) -> F + Send + 'static,
    ) -> PeerFuture<T>
    where
        F: Future<Output = T> + Send,
    {
        let (wires, from) = (self.wires.clone(), self.from);
        Box::pin(async move {
            let mut changed = wires.changed.subscribe();
            let server = wires.server(from, to)?;
            let slow = wires.state.lock().slow;
            let answer = ask(Arc::clone(&server));
            let barred = async {
                while changed.changed().await.is_ok() {
                    let same = |now: Arc<Server>| Arc::ptr_eq(&now, &server);
                    if !wires.server(from, to).is_ok_and(same) {
                        return;
                    }
                }
            };
            // What was cut before the answer was made stays cut, however late this is polled.
            let answer = tokio::select! {
                biased;
                () = barred => return Err(PeerError("reset".into())),
                answer = answer => answer,
            };
            if !slow.is_zero() {
                tokio::time::sleep(slow.mul_f64(rand::random())).await;
            }
            let loss = wires.state.lock().loss;
            if loss > 0 && rand::random_range(0..loss) == 0 {
                return Err(PeerError("lost".into()));
            }
            Ok(answer)
        })
    }
}

impl Peers for From {
    fn fetch(&self, lane: Lane, request: FetchRequest) -> PeerFuture<FetchResponse> {
        self.exchange(lane.leader, move |server| server.fetch(request))
    }

    fn list_offsets(
        &self,
        lane: Lane,
        request: ListOffsetsRequest,
    ) -> PeerFuture<ListOffsetsResponse> {
        self.exchange(lane.leader, move |server| async move { server.list_offsets(request) })
    }

    fn close(&self, _: Lane) {}
}
