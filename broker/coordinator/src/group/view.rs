//! A group as it is now, wherever that is known: in memory, or only in the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_wire::ErrorCode;
use ottla_wire::api::describe_groups::DescribedGroup;
use ottla_wire::schema::group::GroupMetadataValue;

use super::classic::{self, CONSUMER_PROTOCOL, ClassicGroup, CommitKind, Committer, Phase};
use super::state::GroupState;

/// A classic group, read only.
#[derive(Clone, Copy)]
pub(crate) enum View<'a> {
    /// One with a live side.
    Live(&'a ClassicGroup),
    /// One that the log knows, and is empty.
    Stored(&'a GroupMetadataValue),
}

impl<'a> View<'a> {
    pub(crate) fn of(
        state: &'a GroupState,
        live: &'a BTreeMap<Arc<str>, ClassicGroup>,
        id: &str,
    ) -> Option<Self> {
        let stored = state.classic(id)?;
        Some(live.get(id).map_or(Self::Stored(stored), Self::Live))
    }

    pub(crate) fn phase(self) -> Phase {
        match self {
            Self::Live(group) => group.phase,
            Self::Stored(_) => Phase::Empty,
        }
    }

    /// The protocol's type; empty when the group has none.
    pub(crate) fn protocol_type(self) -> &'a str {
        match self {
            Self::Live(group) => group.protocol_type.as_deref().unwrap_or_default(),
            Self::Stored(value) => &value.protocol_type,
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
        }
    }

    pub(crate) fn is_subscribed(self, topic: &str) -> bool {
        match self {
            Self::Live(group) => group.is_subscribed(topic),
            Self::Stored(_) => false,
        }
    }

    pub(crate) fn knows_subscription(self) -> bool {
        match self {
            Self::Live(group) => group.knows_subscription(),
            Self::Stored(_) => self.uses_consumer_protocol(),
        }
    }

    pub(crate) fn check_commit(
        self,
        who: Committer<'_>,
        kind: CommitKind,
    ) -> Result<(), ErrorCode> {
        match self {
            Self::Live(group) => group.check_commit(who, kind),
            Self::Stored(_) if who.generation < 0 => Ok(()),
            Self::Stored(_) => Err(ErrorCode::UNKNOWN_MEMBER_ID),
        }
    }

    pub(crate) fn describe(self, id: &str) -> DescribedGroup {
        match self {
            Self::Live(group) => group.describe(),
            Self::Stored(value) => classic::describe(id, value),
        }
    }
}
