//! What controllers answered. Each answer is judged as it is given: what it says is done stands in the committed metadata of
//! the node that says so, and nothing that there is once is given to two.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ottla_controller::{Command, Reply};
use ottla_engine::Answered;
use ottla_metadata::Image;
use ottla_quorum::{Committed, Quorum, RaftQuorum};
use ottla_wire::api::broker_registration::BrokerRegistrationRequest;
use ottla_wire::{ErrorCode, Uuid};

use super::host::Part;
use super::load::Load;
use super::wires::{Wires, sum};
use crate::{Verdict, Violation, violated};

#[derive(Debug, Default)]
struct State {
    /// The ids of topics that were ever made, and their names.
    topics: BTreeMap<Uuid, String>,
    /// The blocks of producer ids, by the first of each.
    blocks: BTreeMap<i64, i32>,
    /// The brokers' epochs, and which life of which broker has each.
    epochs: BTreeMap<i64, (i32, Uuid)>,
    /// The topics that somebody wanted deleted, by name.
    going: BTreeSet<String>,
    /// The topics that are said to be deleted.
    gone: BTreeSet<Uuid>,
    violation: Option<Violation>,
}

/// What was answered so far.
#[derive(Debug)]
pub struct Ledger {
    wires: Arc<Wires>,
    load: Arc<Load>,
    state: Mutex<State>,
}

/// An answer that is not so.
fn wrong(what: impl std::fmt::Display) -> Violation {
    violated("answers", what)
}

impl Ledger {
    /// Nothing was answered yet.
    pub fn new(wires: Arc<Wires>, load: Arc<Load>) -> Arc<Self> {
        Arc::new(Self { wires, load, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the controller of a node, and judges what it answers.
    pub async fn ask(&self, id: i32, part: Part, command: Command) -> Answered {
        let Some((quorum, controller)) = part.controller() else {
            return Err(ErrorCode::NOT_CONTROLLER);
        };
        self.wants(&command);
        let answer = controller.submit(command.clone()).await;
        self.wires.step(sum(format!("{answer:?}").as_bytes()));
        if let Ok(reply) = &answer
            && let Err(violation) = self.judge(id, quorum, &command, reply)
        {
            self.wires.say(format_args!("{id} answers {reply:?}"));
            self.state().violation.get_or_insert(violation);
        }
        answer
    }

    /// Whether all answers were right.
    pub fn verdict(&self) -> Verdict {
        self.state().violation.clone().map_or(Ok(()), Err)
    }

    /// The topics that somebody wanted deleted, by name.
    pub fn going(&self) -> BTreeSet<String> {
        self.state().going.clone()
    }

    /// The topics that are deleted for ever.
    pub fn gone(&self) -> BTreeSet<Uuid> {
        self.state().gone.clone()
    }

    /// Somebody wants something of a controller.
    pub fn wants(&self, command: &Command) {
        if let Command::DeleteTopics(request) = command {
            let names = request.topics.iter().filter_map(|topic| topic.name.clone());
            self.state().going.extend(names);
        }
    }

    fn judge(&self, id: i32, quorum: &RaftQuorum, command: &Command, reply: &Reply) -> Verdict {
        let image = quorum.updates().image();
        let state = &mut *self.state();
        match (command, reply) {
            (_, Reply::CreateTopics(answer)) => {
                for topic in answer.topics.iter().filter(|topic| topic.error_code.is_none()) {
                    self.wires.say(format_args!("{id} made {}", topic.name));
                    state.made(&image, &topic.name, topic.topic_id)?;
                    let now = image.provenance();
                    let at = Committed { offset: now.offset, epoch: now.epoch };
                    self.load.acked_by_controller(&topic.name, at);
                }
                Ok(())
            }
            (_, Reply::DeleteTopics(answer)) => {
                for topic in answer.responses.iter().filter(|topic| topic.error_code.is_none()) {
                    self.wires.say(format_args!("{id} deleted {:?}", topic.name));
                    if image.topic(topic.topic_id).is_some() {
                        return Err(wrong(format!("{topic:?} is there still")));
                    }
                    state.gone.insert(topic.topic_id);
                }
                Ok(())
            }
            (_, Reply::AllocateProducerIds(answer)) if answer.error_code.is_none() => {
                self.wires.say(format_args!("{id} gave ids from {}", answer.producer_id_start));
                state.gave(&image, answer.producer_id_start, answer.producer_id_len)
            }
            (Command::RegisterBroker(request), Reply::RegisterBroker(answer))
                if answer.error_code.is_none() =>
            {
                let (broker, epoch) = (request.broker_id, answer.broker_epoch);
                self.wires.say(format_args!("{id} took broker {broker} as {epoch}"));
                state.took(&image, request, epoch)
            }
            (_, Reply::AlterPartition(answer)) if answer.error_code.is_none() => {
                let all =
                    answer.topics.iter().flat_map(|t| t.partitions.iter().map(move |p| (t, p)));
                for (topic, told) in all.filter(|(_, told)| told.error_code.is_none()) {
                    let known = image.partition(topic.topic_id, told.partition_index);
                    if known.is_some_and(|known| known.partition_epoch < told.partition_epoch) {
                        return Err(wrong(format!("{told:?}, committed is {known:?}")));
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl State {
    /// A topic was made.
    fn made(&mut self, image: &Image, name: &str, id: Uuid) -> Verdict {
        let there = image.topic(id).is_some_and(|topic| *topic.name == *name);
        if !there && !self.going.contains(name) {
            return Err(wrong(format!("{name} is made, and not committed")));
        }
        match self.topics.insert(id, name.to_owned()) {
            Some(other) => Err(wrong(format!("{name} and {other} have one id"))),
            None => Ok(()),
        }
    }

    /// A broker got producer ids.
    fn gave(&mut self, image: &Image, start: i64, len: i32) -> Verdict {
        let end = start + i64::from(len);
        if image.next_producer_id() < end {
            return Err(wrong(format!("producer ids up to {end} are given, and not committed")));
        }
        let before = self.blocks.range(..end).next_back();
        if before.is_some_and(|(first, count)| first + i64::from(*count) > start) {
            return Err(wrong(format!("producer ids from {start} are given twice")));
        }
        self.blocks.insert(start, len);
        Ok(())
    }

    /// A broker was registered.
    fn took(&mut self, image: &Image, request: &BrokerRegistrationRequest, epoch: i64) -> Verdict {
        let (id, life) = (request.broker_id, request.incarnation_id);
        if image.broker(id).is_none_or(|broker| broker.epoch < epoch) {
            return Err(wrong(format!("broker {id} has epoch {epoch}, which is not committed")));
        }
        let known = *self.epochs.entry(epoch).or_insert((id, life));
        if known != (id, life) {
            return Err(wrong(format!("broker {id} and broker {} have epoch {epoch}", known.0)));
        }
        Ok(())
    }
}
