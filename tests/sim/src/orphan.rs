//! A topic whose one replica in sync is on a broker that is gone for good. The metadata alone know of it: no broker of
//! this world has a log of it. Nobody may lead it, until it is allowed that one leads who lacks records; then one must.

use ottla_controller::Command;
use ottla_metadata::{ConfigResource, Image, Partition, Topic};
use ottla_wire::Uuid;
use ottla_wire::api::alter_partition::{
    AlterPartitionRequest, AlterPartitionRequestPartitionData, AlterPartitionRequestTopicData,
    BrokerState,
};
use ottla_wire::api::broker_heartbeat::BrokerHeartbeatRequest;
use ottla_wire::api::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreateTopicsRequest,
};
use ottla_wire::api::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

use crate::process::registration;
use crate::world::World;
use crate::{Verdict, Violation};

/// The topic. It has one partition.
const ORPHAN: &str = "orphan";

/// The broker that is gone.
const GONE: i32 = 99;

/// The others that hold a replica.
const HEIRS: [i32; 2] = [1, 2];

const UNCLEAN: &str = "unclean.leader.election.enable";

/// Whether a topic may be led by one that lacks records.
#[must_use]
pub fn may_be_inherited(image: &Image, topic: &str) -> bool {
    image.config(&ConfigResource::topic(topic), UNCLEAN) == Some("true")
}

/// Whether there is the topic, and it may be led.
#[must_use]
pub fn is_free(image: &Image) -> bool {
    may_be_inherited(image, ORPHAN)
}

/// Who leads the topic, if anybody does.
#[must_use]
pub fn leader(image: &Image) -> Option<i32> {
    let p = image.topic_named(ORPHAN)?.partition(0)?;
    p.has_leader().then_some(p.leader)
}

fn topic() -> Command {
    let broker_ids = [GONE].into_iter().chain(HEIRS).collect();
    let topic = CreatableTopic {
        name: ORPHAN.into(),
        num_partitions: -1,
        replication_factor: -1,
        assignments: vec![CreatableReplicaAssignment { partition_index: 0, broker_ids }],
        configs: Vec::new(),
    };
    Command::CreateTopics(CreateTopicsRequest { topics: vec![topic], ..Default::default() })
}

/// The broker that will be gone says that nobody else is in sync.
fn alone(topic: &Topic, p: &Partition, broker_epoch: i64) -> Command {
    let data = AlterPartitionRequestPartitionData {
        partition_index: 0,
        leader_epoch: p.leader_epoch,
        new_isr_with_epochs: vec![BrokerState { broker_id: GONE, broker_epoch }],
        partition_epoch: p.partition_epoch,
        ..Default::default()
    };
    let topic = AlterPartitionRequestTopicData { topic_id: topic.id, partitions: vec![data] };
    Command::AlterPartition(AlterPartitionRequest {
        broker_id: GONE,
        broker_epoch,
        topics: vec![topic],
    })
}

impl World {
    /// Takes the next step to the topic being an orphan. Says whether it is.
    pub fn bereave(&mut self) -> Result<bool, Violation> {
        let image = self.quorum.image();
        let next = match (image.broker(GONE), image.topic_named(ORPHAN)) {
            (None, _) => {
                let (life, dir) = (Uuid::from_u128(1), Uuid::from_u128(6_999));
                Command::RegisterBroker(registration(GONE, life, dir, -1))
            }
            (Some(broker), None) if broker.fenced => {
                Command::BrokerHeartbeat(BrokerHeartbeatRequest {
                    broker_id: GONE,
                    broker_epoch: broker.epoch,
                    current_metadata_offset: broker.epoch,
                    ..Default::default()
                })
            }
            (Some(_), None) => topic(),
            (Some(broker), Some(topic)) => match topic.partition(0) {
                Some(p) if p.isr.len() > 1 => alone(topic, p, broker.epoch),
                // It is silent from now on.
                p => return Ok(p.is_some_and(|p| !p.has_leader())),
            },
        };
        self.admin(next)?;
        Ok(false)
    }

    /// Asks that the topic may be led by one that lacks records.
    pub fn free_orphan(&mut self) -> Verdict {
        self.hub.trace.say(self.hub.now, "the orphan may be led by one that lacks records");
        let config = AlterableConfig {
            name: UNCLEAN.into(),
            config_operation: 0,
            value: Some("true".into()),
        };
        let resource = AlterConfigsResource {
            resource_type: 2,
            resource_name: ORPHAN.into(),
            configs: vec![config],
        };
        self.admin(Command::IncrementalAlterConfigs(IncrementalAlterConfigsRequest {
            resources: vec![resource],
            validate_only: false,
        }))
    }
}
