//! What several APIs say of topics.

use ottla_metadata::{Image, Partition};
use ottla_wire::ErrorCode;

/// The topics that the broker keeps for itself; clients are told that they are internal.
pub(crate) const INTERNAL: [&str; 3] =
    ["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// Whether a topic is the broker's own.
pub(crate) fn is_internal(name: &str) -> bool {
    INTERNAL.contains(&name)
}

/// How many partitions a topic has; 0 when it is not there.
pub(crate) fn partitions(image: &Image, name: &str) -> i32 {
    let topic = image.topic_named(name);
    topic.map_or(0, |t| i32::try_from(t.partitions.len()).unwrap_or(i32::MAX))
}

/// Whether a topic may have this name.
pub(crate) fn is_valid(name: &str) -> bool {
    ottla_controller::check_topic_name(name).is_ok()
}

/// Who serves a partition, as clients of one listener may know it.
pub(crate) struct Served {
    /// Why there is no leader to go to.
    pub(crate) error: ErrorCode,
    /// The leader; -1 when there is none to go to.
    pub(crate) leader: i32,
    /// The replicas on brokers that are not there, or have no such listener.
    pub(crate) offline: Vec<i32>,
}

/// Looks up who serves a partition on a listener.
pub(crate) fn served(image: &Image, partition: &Partition, listener: &str) -> Served {
    let reachable = |id: i32| image.endpoint(id, listener).is_some();
    let offline = |id: &i32| {
        let directory = partition.directory_of(*id);
        let broker = image.broker(*id);
        let lost = broker.zip(directory).is_some_and(|(b, dir)| !b.has_online_directory(dir));
        !reachable(*id) || lost
    };
    let offline = partition.replicas.as_slice().iter().copied().filter(|id| offline(id)).collect();
    let (error, leader) = match partition.leader {
        leader if partition.has_leader() && reachable(leader) => (ErrorCode::NONE, leader),
        leader if partition.has_leader() && image.is_active(leader) => {
            (ErrorCode::LISTENER_NOT_FOUND, -1)
        }
        _ => (ErrorCode::LEADER_NOT_AVAILABLE, -1),
    };
    Served { error, leader, offline }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_topics() {
        for good in ["a", "a.b_c-D9", "...", &"x".repeat(249)] {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["", ".", "..", "a b", "a/b", "ä", &"x".repeat(250)] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}
