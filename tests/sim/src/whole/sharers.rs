//! The members of a group that share partitions out among themselves, over the wires.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ottla_coordinator::{Reply, Request};
use ottla_quorum::BoxFuture;
use ottla_wire::ErrorCode;
use tokio::time::sleep;

use super::admins::Admins;
use super::clock;
use super::committers::coordinator;
use super::host::Part;
use super::load::Load;
use super::wires::Wires;
use crate::invariant::groups::{self, Groups};
use crate::rng::Rng;
use crate::sharer::{GROUP, Next, Sharer, TURN_MS};
use crate::{Verdict, Violation};

#[derive(Debug, Default)]
struct State {
    members: BTreeMap<usize, Sharer>,
    /// What they were told.
    groups: Groups,
    violation: Option<Violation>,
}

/// All members of the group.
#[derive(Debug)]
pub struct Sharers {
    admins: Arc<Admins>,
    wires: Arc<Wires>,
    load: Arc<Load>,
    state: Mutex<State>,
}

impl Sharers {
    /// Nobody yet.
    pub fn new(admins: Arc<Admins>, wires: Arc<Wires>, load: Arc<Load>) -> Arc<Self> {
        Arc::new(Self { admins, wires, load, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What all were told was right so far.
    pub fn verdict(&self) -> Verdict {
        self.state().violation.clone().map_or(Ok(()), Err)
    }

    /// What is not well with the group, when nobody goes any more; `None` when all is.
    pub fn ailing(&self) -> Option<String> {
        if !self.load.is_over() {
            return Some("its members come and go still".to_owned());
        }
        groups::ailing(self.state().members.values())
    }

    /// Lets so many begin.
    pub fn begin(self: &Arc<Self>, count: u64) {
        for who in 0..usize::try_from(count).unwrap_or_default() {
            self.state().members.insert(who, Sharer::default());
            tokio::spawn(self.clone().run(who));
        }
    }

    async fn run(self: Arc<Self>, who: usize) {
        let mut rng = Rng::new(self.wires.below(u64::MAX));
        loop {
            sleep(Duration::from_millis(1 + rng.below(TURN_MS))).await;
            let Some(leader) = coordinator(&self.admins, GROUP) else { continue };
            let Some(next) = self.next(who, &mut rng) else { continue };
            let (request, asked) = match next {
                Next::Ask(request, asked) => (*request, asked),
                Next::Gone(id) => {
                    self.wires.say(format_args!("{id} of {GROUP} is gone"));
                    continue;
                }
                Next::Nothing => continue,
            };
            let patience = Duration::from_millis(asked.patience_ms());
            let told = self.ask(leader, request, patience).await;
            let now = clock::now();
            let state = &mut *self.state();
            let Some(member) = state.members.get_mut(&who) else { return };
            match told {
                Ok((epoch, reply)) => {
                    let learned = member.told(now, asked, epoch, reply);
                    if let Some(learned) = learned {
                        self.wires.say(format_args!("member {who} learned {learned:?}"));
                        if let Err(violation) = state.groups.told(learned) {
                            state.violation.get_or_insert(violation);
                        }
                    }
                }
                // Somebody said so; or nobody knows what became of it.
                Err(ErrorCode::REQUEST_TIMED_OUT | ErrorCode::NETWORK_EXCEPTION) => {
                    member.lost(&asked);
                }
                Err(_) => member.refused(now),
            }
        }
    }

    /// What a member does next, if it is time.
    fn next(&self, who: usize, rng: &mut Rng) -> Option<Next> {
        let (now, is_over) = (clock::now(), self.load.is_over());
        let State { members, groups, .. } = &mut *self.state();
        let member = members.get_mut(&who)?;
        member.writing = !is_over;
        (!member.rests(now)).then(|| member.next(now, rng, groups))
    }

    async fn ask(
        &self,
        leader: i32,
        request: Request,
        patience: Duration,
    ) -> Result<(i32, Reply), ErrorCode> {
        let job = move |part: Part| -> BoxFuture<'static, Result<(i32, Reply), ErrorCode>> {
            let request = request.clone();
            Box::pin(async move {
                let Part::Broker(broker) = part else { return Err(ErrorCode::NOT_COORDINATOR) };
                let engine = broker.engine().ok_or(ErrorCode::BROKER_NOT_AVAILABLE)?;
                engine.coordinate(GROUP, request).await
            })
        };
        self.admins.ask_within(patience, leader, &format!("{GROUP} asks"), job).await
    }
}
