//! A group as it is now, wherever that is known: in memory, or only in the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_wire::api::describe_groups::DescribedGroup;
use ottla_wire::schema::group::GroupMetadataValue;
use ottla_wire::{ErrorCode, Uuid};

use super::classic::{self, CONSUMER_PROTOCOL, ClassicGroup, CommitKind, Committer, Phase};
use super::consumer::ConsumerGroup;
use super::state::{Group, GroupState};

/// What the protocol calls groups of the classic type.
const CLASSIC: &str = "classic";
/// What it calls those of the consumer type.
const CONSUMER: &str = "consumer";

/// A group, read only.
#[derive(Clone, Copy)]
pub(crate) enum View<'a> {
    /// A classic one with a live side.
    Live(&'a ClassicGroup),
    /// A classic one that the log knows, and is empty.
    Stored(&'a GroupMetadataValue),
    /// A consumer group.
    Consumer(&'a ConsumerGroup),
}

impl<'a> View<'a> {
    pub(crate) fn of(
        state: &'a GroupState,
        live: &'a BTreeMap<Arc<str>, ClassicGroup>,
        id: &str,
    ) -> Option<Self> {
        Some(match state.groups.get(id)? {
            Group::Classic(stored) => live.get(id).map_or(Self::Stored(stored), Self::Live),
            Group::Consumer(group) => Self::Consumer(group),
        })
    }

    /// What the protocol calls its type.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Live(_) | Self::Stored(_) => CLASSIC,
            Self::Consumer(_) => CONSUMER,
        }
    }

    /// What the protocol calls the state it is in.
    pub(crate) fn state_name(self) -> &'static str {
        match self {
            Self::Live(group) => group.phase.name(),
            Self::Stored(_) => Phase::Empty.name(),
            Self::Consumer(group) => group.stage().name(),
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        match self {
            Self::Live(group) => group.phase == Phase::Empty,
            Self::Stored(_) => true,
            Self::Consumer(group) => group.is_empty(),
        }
    }

    /// Whether it is between two assignments.
    pub(crate) fn rebalances(self) -> bool {
        match self {
            Self::Live(group) => {
                matches!(group.phase, Phase::PreparingRebalance | Phase::CompletingRebalance)
            }
            Self::Stored(_) | Self::Consumer(_) => false,
        }
    }

    /// The protocol's type; empty when the group has none.
    pub(crate) fn protocol_type(self) -> &'a str {
        match self {
            Self::Live(group) => group.protocol_type.as_deref().unwrap_or_default(),
            Self::Stored(value) => &value.protocol_type,
            Self::Consumer(_) => CONSUMER_PROTOCOL,
        }
    }

    pub(crate) fn uses_consumer_protocol(self) -> bool {
        self.protocol_type() == CONSUMER_PROTOCOL
    }

    /// When the group became what it is, on the wall clock.
    pub(crate) fn changed_ms(self) -> Option<i64> {
        match self {
            Self::Live(group) => group.changed_ms(),
            Self::Stored(value) => Some(value.current_state_timestamp).filter(|ms| *ms != -1),
            Self::Consumer(_) => None,
        }
    }

    pub(crate) fn is_subscribed(self, topic: &str) -> bool {
        match self {
            Self::Live(group) => group.is_subscribed(topic),
            Self::Stored(_) => false,
            Self::Consumer(group) => group.is_subscribed(topic),
        }
    }

    pub(crate) fn knows_subscription(self) -> bool {
        match self {
            Self::Live(group) => group.knows_subscription(),
            Self::Stored(_) => self.uses_consumer_protocol(),
            Self::Consumer(_) => true,
        }
    }

    /// Whether who commits offsets may; of a consumer group, its single partitions are to be looked
    /// at besides.
    pub(crate) fn check_commit(
        self,
        who: Committer<'_>,
        kind: CommitKind,
        version: i16,
    ) -> Result<(), ErrorCode> {
        match self {
            Self::Live(group) => group.check_commit(who, kind),
            Self::Stored(_) if who.generation < 0 => Ok(()),
            Self::Stored(_) => Err(ErrorCode::UNKNOWN_MEMBER_ID),
            Self::Consumer(group) => group.check_commit(who, kind, version),
        }
    }

    /// Whether a member may commit an offset of a partition.
    pub(crate) fn check_partition(
        self,
        who: Committer<'_>,
        topic: Uuid,
        partition: i32,
    ) -> Result<(), ErrorCode> {
        match self {
            Self::Live(_) | Self::Stored(_) => Ok(()),
            Self::Consumer(group) => group.check_partition(who, topic, partition),
        }
    }

    /// Whether who fetches offsets may, when it says who it is.
    pub(crate) fn check_fetch(self, member: Option<&str>, epoch: i32) -> Result<(), ErrorCode> {
        match self {
            Self::Live(_) | Self::Stored(_) => Ok(()),
            Self::Consumer(group) => group.check_fetch(member, epoch),
        }
    }

    pub(crate) fn describe(self, id: &str, version: i16) -> DescribedGroup {
        match self {
            Self::Live(group) => group.describe(),
            Self::Stored(value) => classic::describe(id, value),
            Self::Consumer(_) => classic::describe_missing(
                version,
                id,
                format!("Group {id} is not a classic group."),
            ),
        }
    }
}
