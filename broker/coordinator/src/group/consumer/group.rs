//! A consumer group, as the log has it.
//!
//! Invariant: it follows from the records alone; what is counted here is what the members say.
//! Maps are persistent, so that a decision works on a copy of its own that costs next to nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use imbl::OrdMap;
use ottla_wire::Uuid;
use ottla_wire::schema::group::{
    ConsumerGroupMemberMetadataValue, ConsumerGroupRegularExpressionValue,
    ConsumerGroupTargetAssignmentMemberTopicPartition, ConsumerGroupTargetAssignmentMemberValue,
};

use super::member::{LEAVE, Member, MemberState};
use super::record::ConsumerRecord;

/// The epoch of a group before its first change, as in Kafka: a member of it is not one that joins,
/// which says epoch 0.
const FIRST_EPOCH: i32 = 1;

/// The partitions a member shall have, in order.
pub(crate) type Assignment = BTreeMap<Uuid, Arc<[i32]>>;

/// The topics that a pattern stands for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Resolved {
    pub(crate) topics: BTreeSet<String>,
    /// The offset of the metadata that were looked at.
    pub(crate) version: i64,
    pub(crate) timestamp: i64,
}

impl Resolved {
    pub(crate) fn value(&self) -> ConsumerGroupRegularExpressionValue {
        ConsumerGroupRegularExpressionValue {
            topics: self.topics.iter().cloned().collect(),
            version: self.version,
            timestamp: self.timestamp,
        }
    }
}

/// Where a consumer group is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Empty,
    Assigning,
    Reconciling,
    Stable,
}

impl Stage {
    /// Its name, as the protocol writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
        }
    }
}

/// A group of the consumer protocol.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ConsumerGroup {
    /// Grows with every change that asks for another assignment.
    pub(crate) epoch: i32,
    /// What the topics of the group were when the epoch was set.
    pub(crate) metadata_hash: i64,
    /// The epoch that the target assignment is for.
    pub(crate) target_epoch: i32,
    /// When it was made, on the wall clock.
    pub(crate) target_ms: i64,
    pub(crate) members: OrdMap<Arc<str>, Arc<Member>>,
    pub(crate) targets: OrdMap<Arc<str>, Arc<Assignment>>,
    /// The member of each instance id.
    pub(crate) statics: OrdMap<String, Arc<str>>,
    /// Who has a partition, or has not given it up yet.
    pub(crate) owners: OrdMap<(Uuid, i32), Arc<str>>,
    /// How many members subscribe to a topic by its name.
    pub(crate) names: OrdMap<String, usize>,
    /// How many members subscribe to a pattern.
    pub(crate) patterns: OrdMap<String, usize>,
    pub(crate) resolved: OrdMap<String, Arc<Resolved>>,
    /// How many members ask for an assignor.
    pub(crate) assignors: OrdMap<String, usize>,
    /// How many members of the classic protocol know an assignor of theirs.
    pub(crate) protocols: OrdMap<String, usize>,
    /// How many members speak the classic protocol.
    pub(crate) classic_members: usize,
    /// Whether the log has a record of topics, of an older Kafka.
    pub(crate) has_old_topics: bool,
}

impl ConsumerGroup {
    /// A group that nobody has joined yet.
    pub(crate) fn new() -> Self {
        Self { epoch: FIRST_EPOCH, ..Self::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn member(&self, id: &str) -> Option<&Arc<Member>> {
        self.members.get(id)
    }

    pub(crate) fn stage(&self) -> Stage {
        if self.members.is_empty() {
            Stage::Empty
        } else if self.epoch > self.target_epoch {
            Stage::Assigning
        } else if self.members.values().all(|m| m.is_reconciled_to(self.target_epoch)) {
            Stage::Stable
        } else {
            Stage::Reconciling
        }
    }

    pub(crate) fn is_subscribed(&self, topic: &str) -> bool {
        self.names.contains_key(topic)
            || self.resolved.values().any(|resolved| resolved.topics.contains(topic))
    }

    /// All topics that members subscribe to, by name or pattern.
    pub(crate) fn topics(&self) -> BTreeSet<&str> {
        let patterns = self.resolved.values().flat_map(|resolved| &resolved.topics);
        self.names.keys().chain(patterns).map(String::as_str).collect()
    }

    /// Whether a member subscribes to a topic.
    pub(crate) fn subscribes(&self, member: &Member, topic: &str) -> bool {
        member.topics.contains(topic)
            || member
                .pattern()
                .and_then(|pattern| self.resolved.get(pattern))
                .is_some_and(|resolved| resolved.topics.contains(topic))
    }

    /// Whether some other member has the partition.
    pub(crate) fn is_owned_by_another(&self, member: &str, topic: Uuid, partition: i32) -> bool {
        self.owners.get(&(topic, partition)).is_some_and(|owner| &**owner != member)
    }

    /// Whether who speaks the classic protocol and knows these assignors could be a member.
    pub(crate) fn supports<'a>(&self, mut protocols: impl Iterator<Item = &'a str>) -> bool {
        protocols.any(|protocol| {
            self.protocols.get(protocol).copied().unwrap_or(0) == self.classic_members
        })
    }

    pub(crate) fn apply(&mut self, record: &ConsumerRecord) {
        match record {
            ConsumerRecord::Group { value, .. } => {
                self.epoch = value.as_ref().map_or(0, |value| value.epoch);
                self.metadata_hash = value.as_ref().map_or(0, |value| value.metadata_hash);
            }
            ConsumerRecord::Topics { value, .. } => self.has_old_topics = value.is_some(),
            ConsumerRecord::TargetEpoch { value, .. } => {
                self.target_epoch = value.as_ref().map_or(-1, |value| value.assignment_epoch);
                self.target_ms = value.as_ref().map_or(0, |value| value.assignment_timestamp);
            }
            ConsumerRecord::Target { key, value } => match value {
                Some(value) => {
                    let id = self.member_id(&key.member_id);
                    self.targets.insert(id, Arc::new(target(value)));
                }
                None => {
                    self.targets.remove(key.member_id.as_str());
                }
            },
            ConsumerRecord::Member { key, value: Some(value) } => {
                self.change_said(&key.member_id, value);
            }
            ConsumerRecord::Member { key, value: None } => {
                if let Some((id, member)) = self.members.remove_with_key(key.member_id.as_str()) {
                    self.forget_said(&id, &member);
                    self.forget_held(&id, &member);
                }
            }
            ConsumerRecord::Current { key, value: Some(value) } => {
                self.change_held(&key.member_id, |member| member.have(value));
            }
            ConsumerRecord::Current { key, value: None } => {
                if self.members.contains_key(key.member_id.as_str()) {
                    self.change_held(&key.member_id, |member| {
                        (member.epoch, member.previous_epoch) = (LEAVE, LEAVE);
                        member.state = MemberState::Stable;
                        member.assigned.clear();
                        member.revoking.clear();
                    });
                }
            }
            ConsumerRecord::Pattern { key, value } => match value {
                Some(value) => {
                    let resolved = Resolved {
                        topics: value.topics.iter().cloned().collect(),
                        version: value.version,
                        timestamp: value.timestamp,
                    };
                    self.resolved.insert(key.regular_expression.clone(), Arc::new(resolved));
                }
                None => {
                    self.resolved.remove(key.regular_expression.as_str());
                }
            },
        }
    }

    fn member_id(&self, id: &str) -> Arc<str> {
        self.members.get_key_value(id).map_or_else(|| Arc::from(id), |(id, _)| Arc::clone(id))
    }

    /// Changes what a member says; one that is not there is made.
    fn change_said(&mut self, id: &str, value: &ConsumerGroupMemberMetadataValue) {
        let id = self.member_id(id);
        let known = self.members.get(&id).cloned();
        if let Some(known) = &known {
            self.forget_said(&id, known);
        }
        let mut member = known.map_or_else(Member::default, |known| Member::clone(&known));
        member.say(value);
        self.learn_said(&id, &member);
        self.members.insert(id, Arc::new(member));
    }

    /// Changes what a member has.
    fn change_held(&mut self, id: &str, change: impl FnOnce(&mut Member)) {
        let id = self.member_id(id);
        let known = self.members.get(&id).cloned();
        if let Some(known) = &known {
            self.forget_held(&id, known);
        }
        let mut member = known.map_or_else(Member::default, |known| Member::clone(&known));
        change(&mut member);
        for held in member.holds() {
            self.owners.insert(held, Arc::clone(&id));
        }
        self.members.insert(id, Arc::new(member));
    }

    /// Counts in what a member says.
    fn learn_said(&mut self, id: &Arc<str>, member: &Member) {
        for topic in &member.topics {
            count(&mut self.names, topic);
        }
        if let Some(pattern) = member.pattern() {
            count(&mut self.patterns, pattern);
        }
        if let Some(assignor) = &member.assignor {
            count(&mut self.assignors, assignor);
        }
        if let Some(instance) = &member.instance_id {
            self.statics.insert(instance.clone(), Arc::clone(id));
        }
        if let Some(classic) = &member.classic {
            self.classic_members += 1;
            for protocol in &classic.supported_protocols {
                count(&mut self.protocols, &protocol.name);
            }
        }
    }

    /// Takes away what a member said.
    fn forget_said(&mut self, id: &Arc<str>, member: &Member) {
        for topic in &member.topics {
            discount(&mut self.names, topic);
        }
        if let Some(pattern) = member.pattern() {
            discount(&mut self.patterns, pattern);
        }
        if let Some(assignor) = &member.assignor {
            discount(&mut self.assignors, assignor);
        }
        if let Some(instance) = &member.instance_id
            && self.statics.get(instance) == Some(id)
        {
            self.statics.remove(instance);
        }
        if let Some(classic) = &member.classic {
            self.classic_members -= 1;
            for protocol in &classic.supported_protocols {
                discount(&mut self.protocols, &protocol.name);
            }
        }
    }

    /// Takes away what a member had.
    fn forget_held(&mut self, id: &Arc<str>, member: &Member) {
        for held in member.holds() {
            if self.owners.get(&held) == Some(id) {
                self.owners.remove(&held);
            }
        }
    }
}

fn target(value: &ConsumerGroupTargetAssignmentMemberValue) -> Assignment {
    let topic = |topic: &ConsumerGroupTargetAssignmentMemberTopicPartition| {
        let mut partitions = topic.partitions.clone();
        partitions.sort_unstable();
        (topic.topic_id, Arc::from(partitions))
    };
    value.topic_partitions.iter().map(topic).collect()
}

fn count(counts: &mut OrdMap<String, usize>, name: &str) {
    if let Some(count) = counts.get_mut(name) {
        *count += 1;
    } else {
        counts.insert(name.to_owned(), 1);
    }
}

fn discount(counts: &mut OrdMap<String, usize>, name: &str) {
    match counts.get_mut(name) {
        Some(count) if *count > 1 => *count -= 1,
        _ => {
            counts.remove(name);
        }
    }
}
