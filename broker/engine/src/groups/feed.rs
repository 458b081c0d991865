//! What groups are told of the cluster's metadata: topics, and what is set on single groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_coordinator::group::GroupOverrides;
use ottla_coordinator::{Command, Request};
use ottla_metadata::{ConfigResource, ConfigValues, Delta, Image, ResourceType};

use super::OFFSETS_TOPIC;

/// How many partitions the offsets' topic has; 0 when it is not there.
pub(super) fn partitions(image: &Image) -> i32 {
    let topic = image.topic_named(OFFSETS_TOPIC);
    topic.map_or(0, |t| i32::try_from(t.partitions.len()).unwrap_or(i32::MAX))
}

/// Tells a shard what is set on one of its groups.
pub(super) fn configure_group(group: &str, overrides: GroupOverrides) -> Command {
    Command::internal(Request::ConfigureGroup { group: group.to_owned(), overrides })
}

/// What is set on each group that something is set on.
pub(super) fn all_overrides(image: &Image) -> BTreeMap<Arc<str>, GroupOverrides> {
    let groups = image.config_resources().filter(|(resource, _)| of_group(resource));
    groups
        .map(|(resource, values)| (Arc::clone(&resource.name), overrides(values)))
        .filter(|(_, overrides)| *overrides != GroupOverrides::default())
        .collect()
}

/// What is set now on each group of which that changed.
pub(super) fn changed_overrides(
    image: &Image,
    delta: &Delta,
) -> impl Iterator<Item = (Arc<str>, GroupOverrides)> {
    let changed = delta.configs.iter().filter(|resource| of_group(resource));
    changed.map(|resource| {
        let now = image.configs(resource).map(|values| overrides(values));
        (Arc::clone(&resource.name), now.unwrap_or_default())
    })
}

fn of_group(resource: &ConfigResource) -> bool {
    resource.kind == ResourceType::Group
}

/// The controller let nothing in that is no number.
fn overrides(values: &ConfigValues) -> GroupOverrides {
    let number = |key: &str| values.get(key).and_then(|value| value.trim().parse().ok());
    GroupOverrides {
        consumer_session_timeout_ms: number("consumer.session.timeout.ms"),
        consumer_heartbeat_interval_ms: number("consumer.heartbeat.interval.ms"),
        consumer_assignment_interval_ms: number("consumer.assignment.interval.ms"),
    }
}

/// Whether an image says other things than the one before of what assignments follow from: which
/// topics there are, how many partitions they have, and in which racks these are. Looks at what
/// changed alone; who leads and who is in sync, of which most changes are, does not count.
pub(super) fn concerns_groups(before: &Image, after: &Image, delta: &Delta) -> bool {
    let rack = |image: &Image, id| image.broker(id).and_then(|broker| broker.rack.clone());
    !delta.deleted.is_empty()
        || delta.brokers.iter().any(|id| rack(before, *id) != rack(after, *id))
        || delta.topics.iter().any(|(id, changed)| {
            changed.created
                || changed.partitions.iter().any(|partition| {
                    let replicas = |image: &Image| {
                        let found = image.partition(*id, *partition);
                        found.map(|found| found.replicas.clone())
                    };
                    replicas(before) != replicas(after)
                })
        })
}

#[cfg(test)]
mod tests {
    use ottla_wire::Uuid;
    use ottla_wire::schema::metadata::{
        ConfigRecord, MetadataRecord, PartitionChangeRecord, PartitionRecord, RegisterBrokerRecord,
        RemoveTopicRecord, TopicRecord,
    };

    use super::*;

    const TOPIC: Uuid = Uuid::from_u128(7);

    fn topic() -> MetadataRecord {
        TopicRecord { name: "t".to_owned(), topic_id: TOPIC }.into()
    }

    fn partition(partition_id: i32) -> MetadataRecord {
        PartitionRecord {
            partition_id,
            topic_id: TOPIC,
            replicas: vec![1, 2],
            isr: vec![1, 2],
            leader: 1,
            ..Default::default()
        }
        .into()
    }

    fn changed(change: PartitionChangeRecord) -> MetadataRecord {
        PartitionChangeRecord { topic_id: TOPIC, partition_id: 0, ..change }.into()
    }

    fn broker(rack: Option<&str>) -> MetadataRecord {
        RegisterBrokerRecord { broker_id: 1, rack: rack.map(str::to_owned), ..Default::default() }
            .into()
    }

    fn set(kind: ResourceType, name: &str, value: Option<&str>) -> MetadataRecord {
        ConfigRecord {
            resource_type: kind.code(),
            resource_name: "g".to_owned(),
            name: name.to_owned(),
            value: value.map(str::to_owned),
        }
        .into()
    }

    /// Applies records, and says what they changed.
    fn apply(image: &mut Image, records: Vec<MetadataRecord>) -> Delta {
        let mut delta = Delta::default();
        for record in records {
            image.apply_noting(&record, 0, &mut |change| delta.add(change)).unwrap();
        }
        delta
    }

    #[test]
    fn groups_hear_of_what_their_assignments_follow_from() {
        let mut image = Image::default();
        let mut hears = |records: Vec<MetadataRecord>| {
            let before = image.clone();
            let delta = apply(&mut image, records);
            concerns_groups(&before, &image, &delta)
        };
        assert!(hears(vec![topic(), partition(0)]), "a topic");
        assert!(hears(vec![partition(1)]), "a partition more");
        let isr = PartitionChangeRecord { isr: Some(vec![2]), leader: 2, ..Default::default() };
        assert!(!hears(vec![changed(isr)]), "its leader");
        let moved = PartitionChangeRecord { replicas: Some(vec![1, 3]), ..Default::default() };
        assert!(hears(vec![changed(moved)]), "its replicas");
        assert!(hears(vec![broker(Some("a"))]), "a broker in a rack");
        assert!(!hears(vec![broker(Some("a"))]), "the same again");
        assert!(hears(vec![broker(None)]), "in none");
        assert!(!hears(vec![set(ResourceType::Topic, "retention.ms", Some("1"))]), "settings");
        assert!(hears(vec![RemoveTopicRecord { topic_id: TOPIC }.into()]), "its end");
    }

    #[test]
    fn what_is_set_on_a_group_is_told_until_it_is_taken_away() {
        let mut image = Image::default();
        let (key, kind) = ("consumer.session.timeout.ms", ResourceType::Group);
        let delta = apply(&mut image, vec![set(kind, key, Some("50000"))]);
        let wanted =
            GroupOverrides { consumer_session_timeout_ms: Some(50_000), ..Default::default() };
        let told: Vec<_> = changed_overrides(&image, &delta).collect();
        assert_eq!(told, [("g".into(), wanted)]);
        assert_eq!(all_overrides(&image), BTreeMap::from([("g".into(), wanted)]));
        apply(&mut image, vec![set(kind, "share.session.timeout.ms", Some("50000"))]);
        let delta = apply(&mut image, vec![set(kind, key, None)]);
        let told: Vec<_> = changed_overrides(&image, &delta).collect();
        assert_eq!(told, [("g".into(), GroupOverrides::default())]);
        assert_eq!(all_overrides(&image), BTreeMap::new());
    }
}
