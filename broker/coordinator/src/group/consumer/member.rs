//! One member of a consumer group, as the log has it.

use std::collections::{BTreeMap, BTreeSet};

use ottla_wire::Uuid;
use ottla_wire::schema::group::{
    ClassicMemberMetadata, ConsumerGroupCurrentMemberAssignmentTopicPartitions,
    ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataValue,
};

/// Partitions that a member has: of each, the epoch in which it was given.
pub(crate) type Held = BTreeMap<Uuid, BTreeMap<i32, i32>>;

/// The epoch with which a member leaves.
pub(crate) const LEAVE: i32 = -1;
/// The epoch with which a static member leaves for a while.
pub(crate) const LEAVE_FOR_A_WHILE: i32 = -2;

/// Where a member is on its way to the target assignment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum MemberState {
    /// It has what it was told.
    #[default]
    Stable,
    /// It still has partitions that it must give up first.
    Unrevoked,
    /// It waits for partitions that others have not given up yet.
    Unreleased,
    /// Written by a newer broker.
    Unknown,
}

impl MemberState {
    fn id(self) -> i8 {
        match self {
            Self::Stable => 0,
            Self::Unrevoked => 1,
            Self::Unreleased => 2,
            Self::Unknown => 127,
        }
    }

    fn of_id(id: i8) -> Self {
        match id {
            0 => Self::Stable,
            1 => Self::Unrevoked,
            2 => Self::Unreleased,
            _ => Self::Unknown,
        }
    }
}

/// A member: what it said of itself, and what it has.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Member {
    pub(crate) instance_id: Option<String>,
    pub(crate) rack_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) topics: BTreeSet<String>,
    /// The pattern as the member sent it; an empty one is none.
    pub(crate) regex: Option<String>,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) assignor: Option<String>,
    /// Set for a member that speaks the classic protocol.
    pub(crate) classic: Option<ClassicMemberMetadata>,
    pub(crate) epoch: i32,
    pub(crate) previous_epoch: i32,
    pub(crate) state: MemberState,
    pub(crate) assigned: Held,
    /// What it was told to give up, and has not said that it did.
    pub(crate) revoking: Held,
}

impl Default for Member {
    fn default() -> Self {
        Self {
            instance_id: None,
            rack_id: None,
            client_id: String::new(),
            client_host: String::new(),
            topics: BTreeSet::new(),
            regex: None,
            rebalance_timeout_ms: -1,
            assignor: None,
            classic: None,
            epoch: 0,
            previous_epoch: 0,
            state: MemberState::Stable,
            assigned: Held::new(),
            revoking: Held::new(),
        }
    }
}

impl Member {
    /// The pattern it subscribes to, if any.
    pub(crate) fn pattern(&self) -> Option<&str> {
        self.regex.as_deref().filter(|pattern| !pattern.is_empty())
    }

    pub(crate) fn is_classic(&self) -> bool {
        self.classic.is_some()
    }

    /// Whether it has all of the target assignment of this epoch.
    pub(crate) fn is_reconciled_to(&self, epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == epoch
    }

    /// Whether what it said of itself is the same.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        self.instance_id == other.instance_id
            && self.rack_id == other.rack_id
            && self.client_id == other.client_id
            && self.client_host == other.client_host
            && self.topics == other.topics
            && self.regex == other.regex
            && self.rebalance_timeout_ms == other.rebalance_timeout_ms
            && self.assignor == other.assignor
            && self.classic == other.classic
    }

    /// Goes to another epoch.
    pub(crate) fn enter(&mut self, epoch: i32) {
        self.previous_epoch = self.epoch;
        self.epoch = epoch;
    }

    /// Every partition it has or has not given up yet.
    pub(crate) fn holds(&self) -> impl Iterator<Item = (Uuid, i32)> {
        self.assigned.iter().chain(&self.revoking).flat_map(|(topic, partitions)| {
            partitions.keys().map(move |partition| (*topic, *partition))
        })
    }

    /// In which epoch it was given a partition that it has, or is to give up.
    pub(crate) fn given(&self, topic: Uuid, partition: i32) -> Option<i32> {
        let of = |held: &Held| held.get(&topic)?.get(&partition).copied();
        of(&self.assigned).or_else(|| of(&self.revoking))
    }

    /// What it said of itself, for the log.
    pub(crate) fn metadata(&self) -> ConsumerGroupMemberMetadataValue {
        ConsumerGroupMemberMetadataValue {
            instance_id: self.instance_id.clone(),
            rack_id: self.rack_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            subscribed_topic_names: self.topics.iter().cloned().collect(),
            subscribed_topic_regex: self.regex.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            server_assignor: self.assignor.clone(),
            classic_member_metadata: self.classic.clone(),
        }
    }

    /// What it has, for the log.
    pub(crate) fn current(&self) -> ConsumerGroupCurrentMemberAssignmentValue {
        ConsumerGroupCurrentMemberAssignmentValue {
            member_epoch: self.epoch,
            previous_member_epoch: self.previous_epoch,
            state: self.state.id(),
            assigned_partitions: written(&self.assigned),
            partitions_pending_revocation: written(&self.revoking),
        }
    }

    /// Takes over what the log has of what it said.
    pub(crate) fn say(&mut self, value: &ConsumerGroupMemberMetadataValue) {
        self.instance_id.clone_from(&value.instance_id);
        self.rack_id.clone_from(&value.rack_id);
        self.client_id.clone_from(&value.client_id);
        self.client_host.clone_from(&value.client_host);
        self.topics = value.subscribed_topic_names.iter().cloned().collect();
        self.regex.clone_from(&value.subscribed_topic_regex);
        self.rebalance_timeout_ms = value.rebalance_timeout_ms;
        self.assignor.clone_from(&value.server_assignor);
        self.classic.clone_from(&value.classic_member_metadata);
    }

    /// Takes over what the log has of what it has.
    pub(crate) fn have(&mut self, value: &ConsumerGroupCurrentMemberAssignmentValue) {
        self.epoch = value.member_epoch;
        self.previous_epoch = value.previous_member_epoch;
        self.state = MemberState::of_id(value.state);
        self.assigned = read(&value.assigned_partitions, value.member_epoch);
        self.revoking = read(&value.partitions_pending_revocation, value.member_epoch);
    }
}

/// An id for a member that brings none: of these random bits.
pub(crate) fn fresh_id(fresh: u128) -> String {
    let id = |bits: u128| Uuid::from_random(bits.to_be_bytes());
    id(fresh).or_else(|| id(!fresh)).unwrap_or(Uuid::from_u128(fresh)).to_string()
}

fn written(held: &Held) -> Vec<ConsumerGroupCurrentMemberAssignmentTopicPartitions> {
    held.iter()
        .map(|(topic_id, partitions)| ConsumerGroupCurrentMemberAssignmentTopicPartitions {
            topic_id: *topic_id,
            partitions: partitions.keys().copied().collect(),
            assignment_epochs: Some(partitions.values().copied().collect()),
        })
        .collect()
}

/// Partitions as the log has them. Records of before Kafka 4.2 have no epochs of single
/// partitions: the member's holds for all of them.
fn read(topics: &[ConsumerGroupCurrentMemberAssignmentTopicPartitions], member_epoch: i32) -> Held {
    let mut held = Held::new();
    for topic in topics {
        let partitions = topic.partitions.iter().copied();
        let given = match &topic.assignment_epochs {
            Some(epochs) if epochs.len() == topic.partitions.len() => {
                partitions.zip(epochs.iter().copied()).collect()
            }
            _ => partitions.map(|partition| (partition, member_epoch.max(0))).collect(),
        };
        held.insert(topic.topic_id, given);
    }
    held
}
