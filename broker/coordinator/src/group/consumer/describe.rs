//! How consumer groups look from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_wire::Uuid;
use ottla_wire::api::consumer_group_describe::{
    Assignment as Described, DescribedGroup, Member as DescribedMember, TopicPartitions,
};

use super::desk::{Desk, Draft};
use super::member::Member;
use super::topics::Topics;

/// The operations the caller may do, when they were not asked for.
const NO_OPERATIONS: i32 = i32::MIN;
/// What the protocol calls a member of the classic protocol.
const CLASSIC: i8 = 0;
/// What it calls one of the consumer protocol.
const CONSUMER: i8 = 1;

impl Desk<'_> {
    /// The groups, in the order asked.
    pub(crate) fn describe(&self, groups: &[String]) -> Vec<DescribedGroup> {
        groups
            .iter()
            .map(|id| match self.draft(id) {
                Some(draft) => self.describe_group(&draft),
                None => {
                    let refused = self.no_group(id);
                    DescribedGroup {
                        group_id: id.clone(),
                        error_code: refused.code,
                        error_message: refused.message,
                        authorized_operations: NO_OPERATIONS,
                        ..Default::default()
                    }
                }
            })
            .collect()
    }

    fn describe_group(&self, draft: &Draft) -> DescribedGroup {
        let group = &draft.group;
        let members = group.members.iter().map(|(id, member)| {
            let target = group.targets.get(id).cloned().unwrap_or_default();
            let target = target.iter().map(|(topic, partitions)| (*topic, partitions.to_vec()));
            let has = held(member).into_iter();
            let has = has.map(|(topic, held)| (topic, held.into_iter().collect()));
            DescribedMember {
                assignment: of(self.topics, has),
                target_assignment: of(self.topics, target),
                ..describe_member(id, member)
            }
        });
        DescribedGroup {
            group_id: draft.id.to_string(),
            group_state: group.stage().name().to_owned(),
            group_epoch: group.epoch,
            assignment_epoch: group.target_epoch,
            assignor_name: self.preferred(draft).name().to_owned(),
            members: members.collect(),
            authorized_operations: NO_OPERATIONS,
            ..Default::default()
        }
    }
}

/// What a member has, with what it is to give up and has not yet.
fn held(member: &Member) -> BTreeMap<Uuid, BTreeSet<i32>> {
    let mut held: BTreeMap<Uuid, BTreeSet<i32>> = BTreeMap::new();
    for (topic, partitions) in member.assigned.iter().chain(&member.revoking) {
        held.entry(*topic).or_default().extend(partitions.keys());
    }
    held
}

/// A member, but for its partitions.
fn describe_member(id: &Arc<str>, member: &Member) -> DescribedMember {
    DescribedMember {
        member_id: id.to_string(),
        instance_id: member.instance_id.clone(),
        rack_id: member.rack_id.clone(),
        member_epoch: member.epoch,
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        subscribed_topic_names: member.topics.iter().cloned().collect(),
        // None is told as an empty one, as Kafka does.
        subscribed_topic_regex: Some(member.regex.clone().unwrap_or_default()),
        member_type: if member.is_classic() { CLASSIC } else { CONSUMER },
        ..Default::default()
    }
}

/// Partitions with the names of their topics; of topics that are gone there are none.
fn of(topics: &Topics, partitions: impl Iterator<Item = (Uuid, Vec<i32>)>) -> Described {
    let topic_partitions = partitions
        .filter_map(|(topic_id, partitions)| {
            let topic_name = topics.name(topic_id)?.to_string();
            Some(TopicPartitions { topic_id, topic_name, partitions })
        })
        .collect();
    Described { topic_partitions }
}
