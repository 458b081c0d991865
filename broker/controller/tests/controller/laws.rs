//! Laws that hold whatever is asked: nothing but records changes the state, a snapshot is the state, and every
//! partition keeps its shape.

use crate::common::{Rig, dir, registration, topic, with_config};
use ottla_controller::{Command, MAX_RECORDS_PER_BATCH, State, batches};
use ottla_metadata::{Image, NO_LEADER, Recovery};
use ottla_wire::Uuid;
use ottla_wire::api::alter_partition::*;
use ottla_wire::api::alter_partition_reassignments::*;
use ottla_wire::api::broker_heartbeat::BrokerHeartbeatRequest;
use ottla_wire::api::create_partitions::*;
use ottla_wire::api::create_topics::CreateTopicsRequest;
use ottla_wire::api::delete_topics::*;
use ottla_wire::api::elect_leaders::*;
use ottla_wire::api::incremental_alter_configs::*;
use ottla_wire::api::unregister_broker::UnregisterBrokerRequest;
use ottla_wire::api::update_features::*;
use proptest::prelude::*;

/// What happens next, in a small world of brokers and topics.
#[derive(Clone, Debug)]
enum Step {
    Register { id: i32, incarnation: u128, clean: bool },
    Beat { id: i32, stop: bool, fence: bool, offline: bool },
    Unregister(i32),
    Wait(u64),
    Create { name: usize, partitions: i32, replicas: i16 },
    Grow { name: usize, by: i32 },
    Delete(usize),
    MinIsr { name: usize, value: u8 },
    Unclean { name: usize, on: bool },
    Isr { name: usize, partition: i32, mask: u8 },
    Reassign { name: usize, partition: i32, to: Option<Vec<i32>> },
    Elect { unclean: bool },
    Elr(bool),
}

const NAMES: [&str; 4] = ["alpha", "be.ta", "be_ta", "gamma"];

fn step() -> impl Strategy<Value = Step> {
    let id = 1..5i32;
    let name = 0..NAMES.len();
    prop_oneof![
        2 => (id.clone(), 0..4u128, any::<bool>())
            .prop_map(|(id, incarnation, clean)| Step::Register { id, incarnation, clean }),
        8 => (id.clone(), 0..8u8).prop_map(|(id, bits)| Step::Beat {
            id,
            stop: bits == 1,
            fence: bits == 2,
            offline: bits == 3,
        }),
        1 => id.clone().prop_map(Step::Unregister),
        3 => (0..12_000u64).prop_map(Step::Wait),
        4 => (name.clone(), -1..6i32, -1..4i16)
            .prop_map(|(name, partitions, replicas)| Step::Create { name, partitions, replicas }),
        2 => (name.clone(), -1..4i32).prop_map(|(name, by)| Step::Grow { name, by }),
        1 => name.clone().prop_map(Step::Delete),
        1 => (name.clone(), 0..4u8).prop_map(|(name, value)| Step::MinIsr { name, value }),
        1 => (name.clone(), any::<bool>()).prop_map(|(name, on)| Step::Unclean { name, on }),
        5 => (name.clone(), 0..4i32, any::<u8>())
            .prop_map(|(name, partition, mask)| Step::Isr { name, partition, mask }),
        3 => (name, 0..4i32, prop::option::of(prop::collection::vec(id, 0..4)))
            .prop_map(|(name, partition, to)| Step::Reassign { name, partition, to }),
        1 => any::<bool>().prop_map(|unclean| Step::Elect { unclean }),
        1 => any::<bool>().prop_map(Step::Elr),
    ]
}

fn set(name: usize, key: &str, value: String) -> Command {
    let configs =
        vec![AlterableConfig { name: key.into(), config_operation: 0, value: Some(value) }];
    let resource_name = NAMES[name].to_owned();
    let resources = vec![AlterConfigsResource { resource_type: 2, resource_name, configs }];
    Command::IncrementalAlterConfigs(IncrementalAlterConfigsRequest {
        resources,
        validate_only: false,
    })
}

fn command(rig: &Rig, step: &Step) -> Command {
    let epoch = |id| rig.epoch(id);
    match step.clone() {
        Step::Wait(_) => Command::Tick,
        Step::Register { id, incarnation, clean } => {
            let mut request = registration(id, incarnation * 10 + id as u128);
            request.rack = Some(format!("r{}", id % 2));
            request.previous_broker_epoch = if clean { epoch(id) } else { -1 };
            Command::RegisterBroker(request)
        }
        Step::Beat { id, stop, fence, offline } => {
            Command::BrokerHeartbeat(BrokerHeartbeatRequest {
                broker_id: id,
                broker_epoch: epoch(id),
                current_metadata_offset: rig.state.next_offset() - 1,
                want_shut_down: stop,
                want_fence: fence,
                offline_log_dirs: if offline { vec![dir(id)] } else { Vec::new() },
                ..BrokerHeartbeatRequest::default()
            })
        }
        Step::Unregister(broker_id) => {
            Command::UnregisterBroker(UnregisterBrokerRequest { broker_id })
        }
        Step::Create { name, partitions, replicas } => {
            let one = with_config(topic(NAMES[name], partitions, replicas), "flush.ms", Some("9"));
            let topics = vec![one];
            Command::CreateTopics(CreateTopicsRequest { topics, ..Default::default() })
        }
        Step::Grow { name, by } => {
            let present = rig.image().topic_named(NAMES[name]).map_or(0, |t| t.partitions.len());
            let count = present as i32 + by;
            let name = NAMES[name].to_owned();
            let topics = vec![CreatePartitionsTopic { name, count, assignments: None }];
            Command::CreatePartitions(CreatePartitionsRequest { topics, ..Default::default() })
        }
        Step::Delete(name) => {
            let name = Some(NAMES[name].to_owned());
            let topics = vec![DeleteTopicState { name, topic_id: Uuid::ZERO }];
            Command::DeleteTopics(DeleteTopicsRequest { topics, ..Default::default() })
        }
        Step::MinIsr { name, value } => set(name, "min.insync.replicas", value.to_string()),
        Step::Unclean { name, on } => set(name, "unclean.leader.election.enable", on.to_string()),
        Step::Isr { name, partition, mask } => alter_isr(rig, name, partition, mask),
        Step::Reassign { name, partition, to } => {
            let partitions =
                vec![ReassignablePartition { partition_index: partition, replicas: to }];
            let topics = vec![ReassignableTopic { name: NAMES[name].into(), partitions }];
            Command::AlterPartitionReassignments(AlterPartitionReassignmentsRequest {
                topics,
                ..Default::default()
            })
        }
        Step::Elect { unclean } => Command::ElectLeaders(ElectLeadersRequest {
            election_type: i8::from(unclean),
            topic_partitions: None,
            ..Default::default()
        }),
        Step::Elr(on) => Command::UpdateFeatures(UpdateFeaturesRequest {
            feature_updates: vec![FeatureUpdateKey {
                feature: "eligible.leader.replicas.version".into(),
                max_version_level: i16::from(on),
                upgrade_type: if on { 1 } else { 2 },
                ..Default::default()
            }],
            ..Default::default()
        }),
    }
}

/// The leader of a partition says that some of its replicas are in sync.
fn alter_isr(rig: &Rig, name: usize, partition: i32, mask: u8) -> Command {
    let mut request = AlterPartitionRequest::default();
    let found = rig.image().topic_named(NAMES[name]);
    if let Some((topic, p)) = found.and_then(|t| Some((t, t.partition(partition)?))) {
        let chosen = p
            .replicas
            .iter()
            .enumerate()
            .filter(|(n, id)| mask & (1 << (n % 8)) != 0 || **id == p.leader);
        let states =
            chosen.map(|(_, id)| BrokerState { broker_id: *id, broker_epoch: rig.epoch(*id) });
        let data = AlterPartitionRequestPartitionData {
            partition_index: partition,
            leader_epoch: p.leader_epoch,
            new_isr_with_epochs: states.collect(),
            partition_epoch: p.partition_epoch,
            ..Default::default()
        };
        request.broker_id = p.leader;
        request.broker_epoch = rig.epoch(p.leader);
        request.topics =
            vec![AlterPartitionRequestTopicData { topic_id: topic.id, partitions: vec![data] }];
    }
    Command::AlterPartition(request)
}

fn check(before: &Image, after: &Image) -> Result<(), TestCaseError> {
    let mut count = 0;
    for topic in after.topics() {
        prop_assert_eq!(after.topic_id(&topic.name), Some(topic.id));
        for (n, (id, p)) in topic.partitions.iter().enumerate() {
            count += 1;
            prop_assert_eq!(n as i32, id);
            prop_assert!(!p.replicas.is_empty());
            prop_assert_eq!(p.directories.len(), p.replicas.len());
            let within = |ids: &[i32]| ids.iter().all(|r| p.replicas.contains(r));
            let distinct = |ids: &[i32]| {
                let mut sorted = ids.to_vec();
                sorted.sort_unstable();
                sorted.dedup();
                sorted.len() == ids.len()
            };
            prop_assert!(distinct(&p.replicas) && distinct(&p.isr) && distinct(p.elr()));
            prop_assert!(within(&p.isr) && within(p.adding()) && within(p.removing()), "{:?}", p);
            prop_assert!(p.isr.iter().all(|r| !p.elr().contains(r)), "{:?}", p);
            if p.leader != NO_LEADER {
                prop_assert!(p.isr.contains(&p.leader), "the leader is in sync: {:?}", p);
            }
            if p.recovery == Recovery::Recovering {
                prop_assert!(p.isr.len() <= 1, "{:?}", p);
            }
            if let Some(old) = before.partition(topic.id, id) {
                prop_assert!(p.leader_epoch >= old.leader_epoch);
                prop_assert!(p.partition_epoch >= old.partition_epoch);
                if p.leader != old.leader {
                    prop_assert!(p.leader_epoch > old.leader_epoch);
                }
                if p != old {
                    prop_assert!(p.partition_epoch > old.partition_epoch);
                }
            }
        }
    }
    prop_assert_eq!(count, after.partition_count());
    for broker in after.brokers() {
        if let Some(old) = before.broker(broker.id) {
            prop_assert!(broker.epoch >= old.epoch);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_is_asked_the_laws_hold(steps in prop::collection::vec(step(), 1..80)) {
        let mut rig = Rig::with_brokers(&[1, 2, 3]);
        for step in &steps {
            let before = rig.image().clone();
            if let Step::Wait(ms) = step {
                rig.now += ms;
            }
            let command = command(&rig, step);
            // The rig checks that deciding leaves the state alone and that every record fits.
            rig.decide(command);
            check(&before, rig.image())?;
        }
        let replayed = rig.replayed();
        prop_assert_eq!(replayed.image(), rig.image());
        prop_assert_eq!(replayed.next_offset(), rig.state.next_offset());
        let snapshot: Vec<_> = rig.image().snapshot().collect();
        let rebuilt = Image::from_snapshot(&snapshot, 0).expect("a snapshot fits");
        prop_assert_eq!(&rebuilt, rig.image());
        // A machine that goes on from the snapshot decides as the one that never stopped.
        for batch in batches(&rig.log, rig.image().features().version()) {
            prop_assert!(batch.len() <= MAX_RECORDS_PER_BATCH);
        }
        let next = topic("be.ta", 1, 1);
        let mut other = Rig::inactive(rig.waits.settings().clone());
        other.state = State::from_image(rebuilt, rig.state.next_offset());
        other.waits = rig.waits.clone();
        other.now = rig.now;
        let said = (rig.create(next.clone()), other.create(next));
        prop_assert_eq!(said.0.error_message, said.1.error_message);
        prop_assert_eq!(rig.image(), other.image());
    }
}
