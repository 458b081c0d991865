//! What a node runs with that was given no file: one combined node on this machine alone.

use crate::value::split_list;

/// The settings, as a file would have them. `controller.quorum.bootstrap.servers` is left out: it
/// is whatever the controller's listener turns out to be.
pub const EMBEDDED: &str = "\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs=./ottla-data
num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
";

/// The address of the controller's listener, for a node that finds its quorum in itself.
pub(crate) fn own_controller(listeners: &str, controller_names: &str) -> Option<String> {
    let names = split_list(controller_names);
    split_list(listeners).into_iter().find_map(|entry| {
        let (name, address) = entry.split_once("://")?;
        if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return None;
        }
        let local = if address.starts_with(':') { "127.0.0.1" } else { "" };
        Some(format!("{local}{address}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_controller_is_found_by_name() {
        let listeners = "PLAINTEXT://:1,controller://:2";
        assert_eq!(own_controller(listeners, "CONTROLLER").as_deref(), Some("127.0.0.1:2"));
        assert_eq!(own_controller("A://h:1", "A").as_deref(), Some("h:1"));
        assert_eq!(own_controller("A://h:1", "B"), None);
    }
}
