//! A controller with its log in memory, driven as a shell would drive it.

use ottla_controller::{Command, Controller, Reply, Settings, State, Waits, bootstrap_records};
use ottla_machine::{Machine, Mono, Ticket, Time};
use ottla_metadata::{Image, MetadataVersion, features};
use ottla_wire::Uuid;
use ottla_wire::api::alter_partition::*;
use ottla_wire::api::broker_heartbeat::{BrokerHeartbeatRequest, BrokerHeartbeatResponse};
use ottla_wire::api::broker_registration::{
    BrokerRegistrationRequest, BrokerRegistrationResponse, Feature, Listener,
};
use ottla_wire::api::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreatableTopicResult,
    CreateTopicsRequest,
};
use ottla_wire::schema::metadata::MetadataRecord;
use std::collections::BTreeMap;

pub(crate) const CLUSTER: &str = "4L6g3nShT-eMCtK--X86sw";

/// A controller, its log, and the time.
pub(crate) struct Rig {
    pub(crate) state: State,
    pub(crate) waits: Waits,
    pub(crate) log: Vec<MetadataRecord>,
    pub(crate) now: u64,
    pub(crate) wake_at: Option<Mono>,
    tickets: u64,
}

impl Rig {
    /// A controller in power over an empty cluster at the newest version.
    pub(crate) fn new() -> Self {
        Self::at(MetadataVersion::LATEST)
    }

    pub(crate) fn at(version: MetadataVersion) -> Self {
        let mut rig =
            Self::inactive(Settings { cluster_id: CLUSTER.into(), ..Settings::default() });
        let bootstrap = bootstrap_records(version, &BTreeMap::new()).expect("records");
        assert_eq!(rig.ask(Command::Activate { bootstrap }), Reply::Activated);
        rig
    }

    pub(crate) fn inactive(settings: Settings) -> Self {
        Self {
            state: State::default(),
            waits: Waits::new(settings, [1, 2, 3, 4]),
            log: Vec::new(),
            now: 1_000,
            wake_at: None,
            tickets: 0,
        }
    }

    /// With brokers of these ids in service.
    pub(crate) fn with_brokers(ids: &[i32]) -> Self {
        let mut rig = Self::new();
        ids.iter().for_each(|id| rig.start_broker(*id));
        rig
    }

    pub(crate) fn image(&self) -> &Image {
        self.state.image()
    }

    /// Decides a command, writes and applies its records, and gives the reply.
    pub(crate) fn decide(&mut self, command: Command) -> Option<Reply> {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let time = Time { mono: Mono(self.now), wall_ms: self.now as i64 };
        let before = self.state.clone();
        let decision = Controller::decide(&self.state, &mut self.waits, time, ticket, command);
        assert_eq!(before.image(), self.state.image(), "deciding must not change the state");
        for record in &decision.records {
            Controller::apply(&mut self.state, record);
        }
        assert_eq!(self.state.faults().0, 0, "{:?}", self.state.faults());
        self.log.extend(decision.records);
        self.wake_at = decision.wake_at;
        assert!(decision.replies.len() <= 1);
        decision.replies.into_iter().next().map(|(to, reply)| {
            assert_eq!(to, ticket);
            reply
        })
    }

    pub(crate) fn ask(&mut self, command: Command) -> Reply {
        self.decide(command).expect("a reply")
    }

    pub(crate) fn tick(&mut self) {
        assert_eq!(self.decide(Command::Tick), None);
    }

    pub(crate) fn register(
        &mut self,
        request: BrokerRegistrationRequest,
    ) -> BrokerRegistrationResponse {
        match self.ask(Command::RegisterBroker(request)) {
            Reply::RegisterBroker(response) => response,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn heartbeat(&mut self, request: BrokerHeartbeatRequest) -> BrokerHeartbeatResponse {
        match self.ask(Command::BrokerHeartbeat(request)) {
            Reply::BrokerHeartbeat(response) => response,
            other => panic!("{other:?}"),
        }
    }

    /// A heartbeat of a broker that has read everything.
    pub(crate) fn beat(&mut self, id: i32) -> BrokerHeartbeatResponse {
        let broker_epoch = self.epoch(id);
        let current_metadata_offset = self.state.next_offset() - 1;
        self.heartbeat(BrokerHeartbeatRequest {
            broker_id: id,
            broker_epoch,
            current_metadata_offset,
            ..BrokerHeartbeatRequest::default()
        })
    }

    /// A heartbeat of a broker that has read everything and wants to stop.
    pub(crate) fn beat_to_stop(&mut self, id: i32) -> BrokerHeartbeatResponse {
        let broker_epoch = self.epoch(id);
        let current_metadata_offset = self.state.next_offset() - 1;
        self.heartbeat(BrokerHeartbeatRequest {
            broker_id: id,
            broker_epoch,
            current_metadata_offset,
            want_shut_down: true,
            ..BrokerHeartbeatRequest::default()
        })
    }

    pub(crate) fn epoch(&self, id: i32) -> i64 {
        self.image().broker(id).map_or(-1, |b| b.epoch)
    }

    /// Registers a broker and lets it into service.
    pub(crate) fn start_broker(&mut self, id: i32) {
        let response = self.register(registration(id, 1));
        assert!(response.error_code.is_none(), "{response:?}");
        assert!(!self.beat(id).is_fenced);
    }

    pub(crate) fn create(&mut self, topic: CreatableTopic) -> CreatableTopicResult {
        self.create_all(vec![topic]).remove(0)
    }

    pub(crate) fn create_all(&mut self, topics: Vec<CreatableTopic>) -> Vec<CreatableTopicResult> {
        let request = CreateTopicsRequest { topics, ..CreateTopicsRequest::default() };
        match self.ask(Command::CreateTopics(request)) {
            Reply::CreateTopics(response) => response.topics,
            other => panic!("{other:?}"),
        }
    }

    /// The leader of partition 0 of the topic `t` says who is in sync.
    pub(crate) fn say(&mut self, leader: i32, isr: &[i32]) -> AlterPartitionResponsePartitionData {
        self.say_with(leader, isr, |_| {})
    }

    pub(crate) fn say_with(
        &mut self,
        leader: i32,
        isr: &[i32],
        change: impl FnOnce(&mut AlterPartitionRequestPartitionData),
    ) -> AlterPartitionResponsePartitionData {
        let topic = self.image().topic_named("t").expect("the topic");
        let (topic_id, p) = (topic.id, topic.partition(0).expect("the partition").clone());
        let states =
            isr.iter().map(|id| BrokerState { broker_id: *id, broker_epoch: self.epoch(*id) });
        let mut data = AlterPartitionRequestPartitionData {
            partition_index: 0,
            leader_epoch: p.leader_epoch,
            new_isr_with_epochs: states.collect(),
            partition_epoch: p.partition_epoch,
            ..AlterPartitionRequestPartitionData::default()
        };
        change(&mut data);
        let topics = vec![AlterPartitionRequestTopicData { topic_id, partitions: vec![data] }];
        let request =
            AlterPartitionRequest { broker_id: leader, broker_epoch: self.epoch(leader), topics };
        match self.ask(Command::AlterPartition(request)) {
            Reply::AlterPartition(mut r) => r.topics.remove(0).partitions.remove(0),
            other => panic!("{other:?}"),
        }
    }

    /// The state that the log alone makes.
    pub(crate) fn replayed(&self) -> State {
        let mut state = State::default();
        self.log.iter().for_each(|record| Controller::apply(&mut state, record));
        state
    }
}

pub(crate) fn dir(id: i32) -> Uuid {
    Uuid::from_u128(5_000 + id as u128)
}

pub(crate) fn registration(id: i32, incarnation: u128) -> BrokerRegistrationRequest {
    let features = features::supported().into_iter().map(|(name, range)| Feature {
        name,
        min_supported_version: range.min,
        max_supported_version: range.max,
    });
    BrokerRegistrationRequest {
        broker_id: id,
        cluster_id: CLUSTER.into(),
        incarnation_id: Uuid::from_u128(1_000_000 + incarnation),
        listeners: vec![Listener {
            name: "PLAINTEXT".into(),
            host: "localhost".into(),
            port: 9092,
            security_protocol: 0,
        }],
        features: features.collect(),
        log_dirs: vec![dir(id)],
        rack: None,
        ..BrokerRegistrationRequest::default()
    }
}

pub(crate) fn topic(name: &str, partitions: i32, replicas: i16) -> CreatableTopic {
    CreatableTopic {
        name: name.into(),
        num_partitions: partitions,
        replication_factor: replicas,
        ..CreatableTopic::default()
    }
}

pub(crate) fn assigned(name: &str, partitions: &[(i32, &[i32])]) -> CreatableTopic {
    let assignments = partitions.iter().map(|(partition_index, ids)| CreatableReplicaAssignment {
        partition_index: *partition_index,
        broker_ids: ids.to_vec(),
    });
    CreatableTopic { assignments: assignments.collect(), ..topic(name, -1, -1) }
}

pub(crate) fn with_config(
    mut topic: CreatableTopic,
    name: &str,
    value: Option<&str>,
) -> CreatableTopic {
    let value = value.map(str::to_owned);
    topic.configs.push(CreatableTopicConfig { name: name.into(), value });
    topic
}
