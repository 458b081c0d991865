//! Who wants something of controllers, through any node: topics made and deleted, replicas moved, and producer ids.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ottla_controller::{Command, Reply};
use ottla_engine::Answered;
use ottla_metadata::Image;
use ottla_quorum::BoxFuture;
use ottla_wire::ErrorCode;
use ottla_wire::api::allocate_producer_ids::AllocateProducerIdsRequest;
use ottla_wire::api::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use ottla_wire::api::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use ottla_wire::api::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use tokio::time::{sleep, timeout};

use super::carriers;
use super::host::Part;
use super::ledger::Ledger;
use super::load::Load;
use super::wires::Wires;

/// Who asks is no node: nothing cuts it off.
pub const CLIENT: i32 = 0;

/// How long an answer is waited for: longer than a broker waits for its controller.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// The longest pause between two wishes of one.
const PAUSE_MS: u64 = 250;

/// The pause before the same is wanted again.
const AGAIN: Duration = Duration::from_millis(60);

/// Topics that are there at a time, at most, of those that come and go.
const MOST: usize = 8;

/// Clients of the cluster.
#[derive(Debug)]
pub struct Admins {
    wires: Arc<Wires>,
    load: Arc<Load>,
    ledger: Arc<Ledger>,
    /// The topics that were made, and that nobody wanted deleted yet.
    there: Mutex<Vec<String>>,
}

/// A topic that is to be made.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Its partitions.
    pub partitions: i32,
    /// The replicas of each.
    pub replicas: i16,
    /// `min.insync.replicas`.
    pub min_in_sync: i16,
}

fn creation(name: &str, shape: Shape) -> Command {
    let least = CreatableTopicConfig {
        name: "min.insync.replicas".to_owned(),
        value: Some(shape.min_in_sync.to_string()),
    };
    let topic = CreatableTopic {
        name: name.to_owned(),
        num_partitions: shape.partitions,
        replication_factor: shape.replicas,
        configs: vec![least],
        ..CreatableTopic::default()
    };
    Command::CreateTopics(CreateTopicsRequest { topics: vec![topic], ..Default::default() })
}

impl Admins {
    /// Clients that want nothing yet.
    pub fn new(wires: Arc<Wires>, load: Arc<Load>, ledger: Arc<Ledger>) -> Arc<Self> {
        Arc::new(Self { wires, load, ledger, there: Mutex::default() })
    }

    /// Has a node do something, as its clients do.
    pub async fn ask<T: Send + 'static>(
        &self,
        to: i32,
        what: &str,
        job: impl Fn(Part) -> BoxFuture<'static, Result<T, ErrorCode>> + Send + Sync + 'static,
    ) -> Result<T, ErrorCode> {
        self.ask_within(PATIENCE, to, what, job).await
    }

    /// The same, with patience of its own.
    pub async fn ask_within<T: Send + 'static>(
        &self,
        patience: Duration,
        to: i32,
        what: &str,
        job: impl Fn(Part) -> BoxFuture<'static, Result<T, ErrorCode>> + Send + Sync + 'static,
    ) -> Result<T, ErrorCode> {
        let carried = self.wires.carry((CLIENT, to), what.to_owned(), patience, None, job);
        match timeout(patience, carried).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(ErrorCode::NETWORK_EXCEPTION),
            Err(_) => Err(ErrorCode::REQUEST_TIMED_OUT),
        }
    }

    /// Asks the active controller by way of a node.
    async fn command(&self, to: i32, what: &str, command: Command) -> Answered {
        let ledger = self.ledger.clone();
        let job = move |part: Part| -> BoxFuture<'static, Answered> {
            let (ledger, command) = (ledger.clone(), command.clone());
            Box::pin(async move {
                match part {
                    Part::Broker(broker) => {
                        // A controller in the same process is asked by no wire.
                        ledger.wants(&command);
                        broker.channel.submit(command).await
                    }
                    member => ledger.ask(to, member, command).await,
                }
            })
        };
        self.ask(to, what, job).await
    }

    /// Makes a topic by way of a node. Says what the controller says.
    pub async fn create(&self, to: i32, name: &str, shape: Shape) -> Result<(), ErrorCode> {
        match self.command(to, &format!("create {name}"), creation(name, shape)).await? {
            Reply::CreateTopics(answer) => match answer.topics.first().map(|t| t.error_code) {
                Some(ErrorCode::NONE) => Ok(()),
                Some(code) => Err(code),
                None => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
            },
            Reply::Failed(error) => Err(error.code),
            _ => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
        }
    }

    /// Makes a topic by way of a node, however long it takes. One that is there was made by an earlier try.
    pub async fn insist(&self, to: impl Fn() -> Option<i32>, name: &str, shape: Shape) {
        loop {
            if let Some(to) = to()
                && let Ok(()) | Err(ErrorCode::TOPIC_ALREADY_EXISTS) =
                    self.create(to, name, shape).await
            {
                return;
            }
            sleep(AGAIN).await;
        }
    }

    /// Has a broker get producer ids; gives the first of them.
    pub async fn allocate(&self, to: i32) -> Option<i64> {
        let job = move |part: Part| -> BoxFuture<'static, Answered> {
            Box::pin(async move {
                let Part::Broker(broker) = part else { return Err(ErrorCode::NOT_CONTROLLER) };
                let engine = broker.engine().ok_or(ErrorCode::BROKER_NOT_AVAILABLE)?;
                let broker_epoch = engine.life.epoch();
                let request = AllocateProducerIdsRequest { broker_id: to, broker_epoch };
                broker.channel.submit(Command::AllocateProducerIds(request)).await
            })
        };
        match self.ask(to, "allocate", job).await {
            Ok(Reply::AllocateProducerIds(answer)) if answer.error_code.is_none() => {
                Some(answer.producer_id_start)
            }
            _ => None,
        }
    }

    /// One of the brokers that listen, if there is any.
    pub fn broker(&self) -> Option<i32> {
        let mut all = self.wires.listening();
        all.retain(|(_, part)| matches!(part, Part::Broker(_)));
        let at = self.wires.below(all.len().max(1) as u64) as usize;
        all.get(at).map(|(id, _)| *id)
    }

    /// One of all who listen: a broker, most of the time.
    fn anybody(&self) -> Option<i32> {
        if self.wires.below(5) > 0 {
            return self.broker();
        }
        let all = self.wires.listening();
        let at = self.wires.below(all.len().max(1) as u64) as usize;
        all.get(at).map(|(id, _)| *id)
    }

    /// The metadata that one of the brokers goes by.
    pub fn image(&self) -> Option<Image> {
        let parts = self.wires.listening();
        let engines = parts.iter().filter_map(|(_, part)| match part {
            Part::Broker(broker) => broker.engine(),
            Part::Member(..) | Part::Observer(_) => None,
        });
        let engines: Vec<_> = engines.collect();
        let at = self.wires.below(engines.len().max(1) as u64) as usize;
        engines.get(at).map(|engine| engine.image())
    }

    /// Has topics made and deleted, one after the other; and the replicas of those that stay moved.
    pub async fn run(self: Arc<Self>, stay: [String; 2]) {
        loop {
            sleep(Duration::from_millis(1 + self.wires.below(PAUSE_MS))).await;
            if self.load.is_over() {
                return;
            }
            let Some(to) = self.anybody() else { continue };
            match self.wires.below(10) {
                0 | 1 => {
                    let first = self.allocate(to).await;
                    self.wires.say(format_args!("a client of {to} got ids from {first:?}"));
                }
                2..=4 => self.delete(to).await,
                5 => {
                    let [one, other] = &stay;
                    let topic = if self.wires.below(2) == 0 { one } else { other };
                    self.reassign(to, topic).await;
                }
                _ => self.make(to).await,
            }
        }
    }

    fn there(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.there.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn make(&self, to: i32) {
        if self.there().len() >= MOST {
            return;
        }
        let name = self.load.name();
        let replicas = 1 + self.wires.below(3) as i16;
        let partitions = 1 + self.wires.below(2) as i32;
        let shape = Shape { partitions, replicas, min_in_sync: 1 };
        let told = self.create(to, &name, shape).await;
        self.wires.say(format_args!("a client of {to}: {name} made: {told:?}"));
        if told.is_ok() {
            self.there().push(name);
        }
    }

    /// Moves the replicas of a partition, or ends that.
    async fn reassign(&self, to: i32, topic: &str) {
        let Some(image) = self.image() else { return };
        let Some(found) = image.topic_named(topic) else { return };
        let partition = self.wires.below(found.partitions.len().max(1) as u64) as i32;
        let mut brokers: Vec<i32> = image.brokers().map(|broker| broker.id).collect();
        let count = 2 + self.wires.below(2) as usize;
        let mut replicas = Vec::new();
        while replicas.len() < count && !brokers.is_empty() {
            let at = self.wires.below(brokers.len() as u64) as usize;
            replicas.push(brokers.swap_remove(at));
        }
        // As many as must be in sync, or none, which ends what is under way.
        let goes_on = self.wires.below(4) > 0 && replicas.len() > 1;
        let replicas = goes_on.then_some(replicas);
        let what = format!("move {topic}-{partition} to {replicas:?}");
        let partition = ReassignablePartition { partition_index: partition, replicas };
        let topic = ReassignableTopic { name: topic.to_owned(), partitions: vec![partition] };
        let request =
            AlterPartitionReassignmentsRequest { topics: vec![topic], ..Default::default() };
        let told = self.command(to, &what, Command::AlterPartitionReassignments(request)).await;
        let code = match told {
            Ok(Reply::AlterPartitionReassignments(answer)) => {
                let first = answer.responses.first().and_then(|t| t.partitions.first());
                first.map(|p| p.error_code)
            }
            Ok(_) => None,
            Err(code) => Some(code),
        };
        self.wires.say(format_args!("a client of {to}: {what}: {code:?}"));
    }

    async fn delete(&self, to: i32) {
        let Some(name) = ({
            let mut there = self.there();
            let at = self.wires.below(there.len().max(1) as u64) as usize;
            (at < there.len()).then(|| there.swap_remove(at))
        }) else {
            return;
        };
        let topic = DeleteTopicState { name: Some(name.clone()), ..Default::default() };
        let request = DeleteTopicsRequest { topics: vec![topic], ..Default::default() };
        let what = format!("delete {name}");
        let told = self.command(to, &what, Command::DeleteTopics(request)).await;
        let code = match told {
            Ok(Reply::DeleteTopics(answer)) => answer.responses.first().map(|r| r.error_code),
            Ok(_) => None,
            Err(code) => Some(code),
        };
        self.wires.say(format_args!("a client of {to}: {name} deleted: {code:?}"));
    }
}

/// What a broker waits for its controller is over before its client's patience.
const _: () = assert!(carriers::PATIENCE.as_millis() < PATIENCE.as_millis());
