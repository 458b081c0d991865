//! What a restart of a shard may lose: rebalances under way, sessions, parked requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_machine::{Mono, Time};

use super::classic::ClassicGroup;
use super::consumer::desk::Live;
use super::consumer::topics::Topics;
use super::settings::{GroupOverrides, GroupSettings};
use super::timers::Timers;

/// The part of a shard that is in memory only.
#[derive(Debug, Default)]
pub struct GroupWaits {
    pub(crate) settings: GroupSettings,
    /// The classic groups that have, or had since the restart, more than the log says. A group
    /// that is absent here is empty.
    pub(crate) live: BTreeMap<Arc<str>, ClassicGroup>,
    /// What there is of consumer groups in memory only.
    pub(crate) consumers: BTreeMap<Arc<str>, Live>,
    /// The groups that have settings of their own.
    pub(crate) overrides: BTreeMap<String, GroupOverrides>,
    pub(crate) topics: Topics,
    pub(crate) timers: Timers,
    /// Whether what the log says was taken up: sessions begun.
    pub(crate) awake: bool,
    pub(crate) cleanup: Cleanup,
}

/// Where the search for expired offsets is.
#[derive(Debug, Default)]
pub(crate) struct Cleanup {
    /// When to look next.
    pub(crate) due: Mono,
    /// The group to go on with; `None` between two searches.
    pub(crate) next: Option<Arc<str>>,
}

impl GroupWaits {
    /// What a shard begins with that just became leader.
    #[must_use]
    pub fn new(settings: GroupSettings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Says how many bytes a batch may have from here on. A decision writes no more.
    pub fn set_max_batch_bytes(&mut self, bytes: usize) {
        self.settings.max_batch_bytes = bytes;
    }

    /// Takes what is set on one group.
    pub(super) fn configure_group(&mut self, group: String, overrides: GroupOverrides) {
        if overrides == GroupOverrides::default() {
            self.overrides.remove(&group);
        } else {
            self.overrides.insert(group, overrides);
        }
    }

    /// Takes new settings; a search for expired offsets that would now come sooner, does.
    pub(super) fn configure(&mut self, settings: GroupSettings, time: Time) {
        let next = time.mono.plus_ms(settings.offsets_retention_check_interval_ms);
        self.cleanup.due = self.cleanup.due.min(next);
        let max_batch_bytes = self.settings.max_batch_bytes;
        self.settings = GroupSettings { max_batch_bytes, ..settings };
    }
}
