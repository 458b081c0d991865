//! Telling the controller into which directories this node's replicas were put (KIP-858).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ottla_controller::{Command, Reply};
use ottla_wire::api::assign_replicas_to_dirs::{
    AssignReplicasToDirsRequest, AssignReplicasToDirsRequestDirectoryData,
    AssignReplicasToDirsRequestPartitionData, AssignReplicasToDirsRequestTopicData,
};
use ottla_wire::{ErrorCode, Uuid};
use tracing::{debug, warn};

use crate::channel::ControllerChannel;
use crate::ids::PartitionId;
use crate::lifecycle::Lifecycle;
use crate::publish::Assignment;
use crate::wishes::Wishes;

/// Replicas told of in one request, as many as Kafka's brokers tell.
const MOST_AT_ONCE: usize = 2250;

/// The rest between tries while no controller takes what is told.
const AGAIN: Duration = Duration::from_millis(100);

type Then = Box<dyn FnOnce() + Send>;

struct Wish {
    dir: Uuid,
    then: Option<Then>,
}

/// What the controller is to be told.
#[derive(Default)]
pub struct Assignments {
    wishes: Wishes<Wish>,
}

impl fmt::Debug for Assignments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Assignments({} to tell)", self.wishes.len())
    }
}

impl Assignments {
    /// Nothing to tell yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Has the controller told, in place of what it was to be told of this replica before.
    pub fn tell(&self, assignment: Assignment) {
        self.wish(assignment, None);
    }

    /// The same, and calls `then` when the metadata say so. It is not called when the replica is
    /// no longer this node's, or something newer is told of it.
    pub(crate) fn tell_then(&self, assignment: Assignment, then: impl FnOnce() + Send + 'static) {
        self.wish(assignment, Some(Box::new(then)));
    }

    fn wish(&self, Assignment { id, dir }: Assignment, then: Option<Then>) {
        self.wishes.put(id, Wish { dir, then });
    }

    /// Tells the controller, for ever; sleeps while there is nothing to tell.
    pub async fn run(
        self: Arc<Self>,
        broker_id: i32,
        controller: ControllerChannel,
        lifecycle: Arc<Lifecycle>,
    ) {
        lifecycle.registered().await;
        loop {
            let some = self.wishes.next(MOST_AT_ONCE).await;
            let request = request(broker_id, lifecycle.epoch(), &some);
            let reply = controller.submit(Command::AssignReplicasToDirs(request)).await;
            let refused = match reply {
                Ok(Reply::AssignReplicasToDirs(response))
                    if response.error_code == ErrorCode::NONE =>
                {
                    let all = response.directories.iter().flat_map(|d| &d.topics);
                    let rows = all.flat_map(|t| {
                        let id = |p| PartitionId::new(t.topic_id, p);
                        t.partitions.iter().map(move |p| (id(p.partition_index), p.error_code))
                    });
                    rows.filter(|(_, code)| *code != ErrorCode::NONE).collect()
                }
                // Metadata of this version know no directories: nothing needs to be told.
                Ok(Reply::AssignReplicasToDirs(response))
                    if response.error_code == ErrorCode::UNSUPPORTED_VERSION =>
                {
                    BTreeMap::new()
                }
                other => {
                    debug!(?other, "replicas' directories are not told yet");
                    self.wishes.put_back(some);
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
            };
            settle(some, &refused);
        }
    }

    /// Does as the controller does that agrees with everything. Returns what was told.
    #[cfg(test)]
    pub(crate) fn agree(&self) -> Vec<Assignment> {
        let some = self.wishes.take(MOST_AT_ONCE);
        let told = some.iter().map(|(id, wish)| Assignment { id: *id, dir: wish.dir }).collect();
        settle(some, &BTreeMap::new());
        told
    }
}

fn settle(some: BTreeMap<PartitionId, Wish>, refused: &BTreeMap<PartitionId, ErrorCode>) {
    for (id, wish) in some {
        match refused.get(&id) {
            None => wish.then.into_iter().for_each(|then| then()),
            // Deleted or moved to other brokers meanwhile: the metadata tell this node in turn.
            Some(code) => warn!(?id, %code, "the controller refused a replica's directory"),
        }
    }
}

fn request(
    broker_id: i32,
    broker_epoch: i64,
    some: &BTreeMap<PartitionId, Wish>,
) -> AssignReplicasToDirsRequest {
    let mut by_dir: BTreeMap<Uuid, BTreeMap<Uuid, Vec<i32>>> = BTreeMap::new();
    for (id, wish) in some {
        by_dir.entry(wish.dir).or_default().entry(id.topic).or_default().push(id.partition);
    }
    let partition = |partition_index| AssignReplicasToDirsRequestPartitionData { partition_index };
    let topic = |(topic_id, partitions): (Uuid, Vec<i32>)| AssignReplicasToDirsRequestTopicData {
        topic_id,
        partitions: partitions.into_iter().map(partition).collect(),
    };
    let directories = by_dir.into_iter().map(|(id, topics)| {
        let topics = topics.into_iter().map(topic).collect();
        AssignReplicasToDirsRequestDirectoryData { id, topics }
    });
    AssignReplicasToDirsRequest { broker_id, broker_epoch, directories: directories.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_wish_holds_and_requests_are_bounded() {
        let assignments = Assignments::default();
        let (topic, a, b) = (Uuid::from_u128(7), Uuid::from_u128(0xA), Uuid::from_u128(0xB));
        let id = |p| PartitionId::new(topic, p);
        let most = i32::try_from(MOST_AT_ONCE).unwrap();
        (0..most + 5).for_each(|p| assignments.tell(Assignment { id: id(p), dir: a }));
        assignments.tell(Assignment { id: id(3), dir: b });
        let some = assignments.wishes.take(MOST_AT_ONCE);
        assert_eq!(some.len(), MOST_AT_ONCE);
        let request = request(1, 9, &some);
        assert_eq!(request.directories.len(), 2);
        assert_eq!(request.directories[1].topics[0].partitions[0].partition_index, 3);
        assignments.tell(Assignment { id: id(3), dir: a });
        assignments.wishes.put_back(some);
        assert_eq!(assignments.wishes.len(), MOST_AT_ONCE + 5);
        let all = assignments.wishes.take(usize::MAX);
        assert_eq!(all[&id(3)].dir, a, "what is newer was not undone");
    }
}
