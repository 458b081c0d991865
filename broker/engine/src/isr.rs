//! Keeping the in-sync replicas right: what leaders propose goes to the controller, many partitions
//! in one request; and followers that lag are looked for.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use ottla_controller::{Command, Reply};
use ottla_replica::{IsrAnswer, IsrProposal};
use ottla_wire::ErrorCode;
use ottla_wire::api::alter_partition::{
    AlterPartitionRequest, AlterPartitionRequestPartitionData, AlterPartitionRequestTopicData,
    AlterPartitionResponse, BrokerState,
};
use tracing::{debug, info, warn};

use crate::channel::ControllerChannel;
use crate::core::Core;
use crate::ids::PartitionId;
use crate::lifecycle::Lifecycle;
use crate::partition::Partition;
use crate::wishes::Wishes;

/// Partitions in one request at most.
const MOST_AT_ONCE: usize = 2_000;

/// The rest between tries while no controller takes what is proposed.
const AGAIN: Duration = Duration::from_millis(50);

/// Partitions checked before others get their turn on the thread.
const CHECKED_AT_ONCE: usize = 500;

/// A leader that was once elected uncleanly has recovered when it leads (KIP-704).
const RECOVERED: i8 = 0;

struct Wish {
    partition: Weak<Partition>,
    proposal: IsrProposal,
}

/// What the controller is to be asked for.
#[derive(Default)]
pub(crate) struct IsrChanges(Wishes<Wish>);

impl IsrChanges {
    pub(crate) fn propose(&self, partition: &Arc<Partition>, proposal: IsrProposal) {
        let wish = Wish { partition: Arc::downgrade(partition), proposal };
        self.0.put(partition.id(), wish);
    }
}

/// Asks the controller for what leaders on this node propose, and looks for followers that lag, for
/// ever. Sleeps while there is nothing of either.
pub async fn keep_in_sync(
    core: Arc<Core>,
    broker_id: i32,
    controller: ControllerChannel,
    lifecycle: Arc<Lifecycle>,
) {
    lifecycle.registered().await;
    tokio::join!(tell(&core, broker_id, &controller, &lifecycle), check(&core));
}

async fn tell(core: &Core, me: i32, controller: &ControllerChannel, lifecycle: &Lifecycle) {
    let IsrChanges(wishes) = core.cluster().changes();
    loop {
        let some = wishes.next(MOST_AT_ONCE).await;
        let request = request(me, lifecycle.epoch(), &some);
        let reply = controller.submit(Command::AlterPartition(request)).await;
        let unanswered = match reply {
            Ok(Reply::AlterPartition(response)) if response.error_code == ErrorCode::NONE => {
                settle(some, &response)
            }
            other => {
                debug!(?other, "in-sync replicas are not told yet");
                some
            }
        };
        if !unanswered.is_empty() {
            wishes.put_back(unanswered);
            tokio::time::sleep(AGAIN).await;
        }
    }
}

fn request(
    me: i32,
    broker_epoch: i64,
    some: &BTreeMap<PartitionId, Wish>,
) -> AlterPartitionRequest {
    let mut topics: Vec<AlterPartitionRequestTopicData> = Vec::new();
    for (id, Wish { proposal, .. }) in some {
        let state = |(broker_id, epoch): &(i32, i64)| {
            let broker_epoch = if *broker_id == me { broker_epoch } else { *epoch };
            BrokerState { broker_id: *broker_id, broker_epoch }
        };
        let data = AlterPartitionRequestPartitionData {
            partition_index: id.partition,
            leader_epoch: proposal.leader_epoch,
            new_isr: Vec::new(),
            new_isr_with_epochs: proposal.isr.iter().map(state).collect(),
            leader_recovery_state: RECOVERED,
            partition_epoch: proposal.partition_epoch,
        };
        match topics.last_mut() {
            Some(topic) if topic.topic_id == id.topic => topic.partitions.push(data),
            _ => topics.push(AlterPartitionRequestTopicData {
                topic_id: id.topic,
                partitions: vec![data],
            }),
        }
    }
    AlterPartitionRequest { broker_id: me, broker_epoch, topics }
}

/// Hands the answers to the leaders. Returns what was not answered.
fn settle(
    mut some: BTreeMap<PartitionId, Wish>,
    response: &AlterPartitionResponse,
) -> BTreeMap<PartitionId, Wish> {
    for topic in &response.topics {
        for data in &topic.partitions {
            let id = PartitionId::new(topic.topic_id, data.partition_index);
            let Some(answer) = IsrAnswer::of(data) else {
                debug!(%id, error = %data.error_code, "in-sync replicas are proposed again");
                continue;
            };
            let Some(Wish { partition, proposal }) = some.remove(&id) else { continue };
            // One that is gone needs no answer.
            let Some(partition) = partition.upgrade() else { continue };
            tell_of(&partition, &proposal, &answer, data.error_code);
            partition.isr_answered(&proposal, answer);
        }
    }
    some
}

fn tell_of(partition: &Partition, proposal: &IsrProposal, answer: &IsrAnswer, code: ErrorCode) {
    let (topic, partition) = (partition.topic(), partition.id().partition);
    match answer {
        IsrAnswer::Committed { isr, partition_epoch, .. } => {
            info!(%topic, partition, ?isr, partition_epoch, "in-sync replicas changed");
        }
        IsrAnswer::Refused if code == ErrorCode::INVALID_REQUEST => {
            warn!(%topic, partition, wanted = ?proposal, "the controller refuses in-sync replicas");
        }
        IsrAnswer::Refused | IsrAnswer::Outdated => {
            info!(%topic, partition, wanted = ?proposal.isr, %code, "in-sync replicas do not change");
        }
    }
}

/// Looks for followers that lag, every half of the time that they may.
async fn check(core: &Core) {
    let cluster = core.cluster();
    loop {
        cluster.until_watched().await;
        let interval = (ottla_replica::World::lag_ms(&**cluster) / 2).max(1);
        let before = core.clock().mono();
        tokio::time::sleep(Duration::from_millis(interval)).await;
        // This process was stopped, or had no processor: followers could not fetch either.
        let stalled = core.clock().mono().since(before) > interval + interval / 2;
        for (at, partition) in cluster.watched().iter().enumerate() {
            if stalled {
                partition.reconsider()
            } else {
                partition.check_in_sync()
            }
            if at % CHECKED_AT_ONCE == CHECKED_AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ottla_wire::Uuid;
    use ottla_wire::api::alter_partition::AlterPartitionResponsePartitionData;

    use super::*;

    fn data(error_code: ErrorCode) -> AlterPartitionResponsePartitionData {
        AlterPartitionResponsePartitionData {
            partition_index: 1,
            error_code,
            leader_epoch: 5,
            partition_epoch: 9,
            isr: vec![1, 2],
            ..Default::default()
        }
    }

    #[test]
    fn requests_are_bounded_and_name_our_own_epoch() {
        let wishes = Wishes::default();
        let topic = Uuid::from_u128(7);
        let most = i32::try_from(MOST_AT_ONCE).unwrap();
        for partition in 0..most + 3 {
            let isr = vec![(1, -1), (2, 22)];
            let proposal = IsrProposal { leader_epoch: 4, partition_epoch: 8, isr };
            let wish = Wish { partition: Weak::new(), proposal };
            wishes.put(PartitionId::new(topic, partition), wish);
        }
        let some = wishes.take(MOST_AT_ONCE);
        assert_eq!((some.len(), wishes.len()), (MOST_AT_ONCE, 3));
        let request = request(1, 11, &some);
        assert_eq!(request.topics.len(), 1);
        let first = &request.topics[0].partitions[0];
        let epochs: Vec<_> =
            first.new_isr_with_epochs.iter().map(|b| (b.broker_id, b.broker_epoch)).collect();
        assert_eq!(epochs, [(1, 11), (2, 22)]);
        let partitions = vec![data(ErrorCode::NONE), data(ErrorCode::NOT_CONTROLLER)];
        let topics = vec![ottla_wire::api::alter_partition::AlterPartitionResponseTopicData {
            topic_id: topic,
            partitions,
        }];
        let left = settle(some, &AlterPartitionResponse { topics, ..Default::default() });
        assert_eq!(left.len(), MOST_AT_ONCE - 1);
        wishes.put_back(left);
        assert_eq!(wishes.len(), MOST_AT_ONCE + 2);
    }
}
