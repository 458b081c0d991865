//! What a decision about consumer groups works with, and the copy of a group that it works on.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_machine::{Mono, Time};
use ottla_wire::ErrorCode;
use ottla_wire::schema::group::{
    ConsumerGroupMetadataValue, ConsumerGroupTargetAssignmentMetadataValue,
};

use super::alarms::{Alarms, Kind};
use super::group::{Assignment, ConsumerGroup, Resolved};
use super::member::Member;
use super::record::ConsumerRecord;
use super::topics::Topics;
use crate::group::GroupMachine;
use crate::group::classic::ClassicGroup;
use crate::group::record::GroupRecord;
use crate::group::room::{TOO_LARGE, size};
use crate::group::settings::{ConsumerSettings, GroupOverrides};
use crate::group::state::GroupState;
use crate::group::timers::Topic;
use crate::group::turn::Turn;
use crate::group::waits::GroupWaits;

/// Why a request is refused: the code, and what is said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: ErrorCode,
    pub(crate) message: Option<String>,
}

impl Refused {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: Some(message.into()) }
    }
}

impl From<ErrorCode> for Refused {
    fn from(code: ErrorCode) -> Self {
        Self { code, message: None }
    }
}

/// What a shard keeps of a consumer group in memory only.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// The version of the topics that the group's epoch takes account of; 0 of none.
    pub(crate) topics_seen: u64,
    /// When its patterns were last matched against all topics, and of which version these were.
    pub(crate) matched: Option<(Mono, u64)>,
    pub(crate) alarms: BTreeMap<Arc<str>, Alarms>,
}

/// A copy of a group, with the records that make the group what it is.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) id: Arc<str>,
    pub(crate) group: ConsumerGroup,
    pub(crate) records: Vec<GroupRecord>,
    /// Whether the group was a classic one with members, who are to be told.
    pub(crate) was_classic: bool,
    /// Whether an epoch was begun.
    pub(crate) rebalances: bool,
    /// The version of the topics that was looked at.
    pub(crate) topics_seen: Option<u64>,
    /// When the patterns were matched, and of which version of the topics.
    pub(crate) matched: Option<(Mono, u64)>,
}

impl Draft {
    pub(crate) fn of(id: Arc<str>, group: ConsumerGroup) -> Self {
        Self {
            id,
            group,
            records: Vec::new(),
            was_classic: false,
            rebalances: false,
            topics_seen: None,
            matched: None,
        }
    }

    pub(crate) fn write(&mut self, record: ConsumerRecord) {
        self.group.apply(&record);
        self.records.push(GroupRecord::Consumer(record));
    }

    pub(crate) fn write_member(&mut self, id: &str, member: &Member) {
        self.write(ConsumerRecord::member(&self.id, id, Some(member.metadata())));
    }

    pub(crate) fn write_current(&mut self, id: &str, member: &Member) {
        self.write(ConsumerRecord::current(&self.id, id, Some(member.current())));
    }

    pub(crate) fn write_target(&mut self, id: &str, target: &Assignment) {
        self.write(ConsumerRecord::target(&self.id, id, Some(target)));
    }

    pub(crate) fn write_epoch(&mut self, epoch: i32, metadata_hash: i64) {
        let value = ConsumerGroupMetadataValue { epoch, metadata_hash };
        self.write(ConsumerRecord::group(&self.id, Some(value)));
    }

    pub(crate) fn write_target_epoch(&mut self, assignment_epoch: i32, timestamp: i64) {
        let assignment_timestamp = timestamp;
        let value =
            ConsumerGroupTargetAssignmentMetadataValue { assignment_epoch, assignment_timestamp };
        self.write(ConsumerRecord::target_epoch(&self.id, Some(value)));
    }

    pub(crate) fn write_pattern(&mut self, pattern: &str, resolved: Option<&Resolved>) {
        let value = resolved.map(Resolved::value);
        self.write(ConsumerRecord::pattern(&self.id, pattern, value));
    }

    /// Takes a member out.
    pub(crate) fn remove(&mut self, member: &str) {
        self.write(ConsumerRecord::current(&self.id, member, None));
        self.write(ConsumerRecord::target(&self.id, member, None));
        self.write(ConsumerRecord::member(&self.id, member, None));
    }

    /// Takes out whatever there is of the group.
    pub(crate) fn bury(&mut self) {
        let id = Arc::clone(&self.id);
        let members: Vec<Arc<str>> = self.group.members.keys().cloned().collect();
        for member in &members {
            self.write(ConsumerRecord::current(&id, member, None));
        }
        let targets: Vec<Arc<str>> = self.group.targets.keys().cloned().collect();
        for member in &targets {
            self.write(ConsumerRecord::target(&id, member, None));
        }
        self.write(ConsumerRecord::target_epoch(&id, None));
        for member in &members {
            self.write(ConsumerRecord::member(&id, member, None));
        }
        let patterns: Vec<String> = self.group.resolved.keys().cloned().collect();
        for pattern in &patterns {
            self.write(ConsumerRecord::pattern(&id, pattern, None));
        }
        if self.group.has_old_topics {
            self.write(ConsumerRecord::topics_tombstone(&id));
        }
        self.write(ConsumerRecord::group(&id, None));
    }
}

/// One decision about consumer groups: what is known, and what is decided so far.
pub(crate) struct Desk<'a> {
    pub(crate) state: &'a GroupState,
    pub(crate) topics: &'a mut Topics,
    pub(crate) overrides: &'a BTreeMap<String, GroupOverrides>,
    pub(crate) live: &'a mut BTreeMap<Arc<str>, ClassicGroup>,
    pub(crate) consumers: &'a mut BTreeMap<Arc<str>, Live>,
    pub(crate) turn: Turn<'a>,
}

impl<'a> Desk<'a> {
    pub(crate) fn new(waits: &'a mut GroupWaits, state: &'a GroupState, time: Time) -> Self {
        Self {
            state,
            topics: &mut waits.topics,
            overrides: &waits.overrides,
            live: &mut waits.live,
            consumers: &mut waits.consumers,
            turn: Turn::new(time, &waits.settings, &mut waits.timers),
        }
    }

    pub(crate) fn decided(self) -> ottla_machine::Decision<GroupMachine> {
        self.turn.decision
    }

    pub(crate) fn settings(&self) -> &'a ConsumerSettings {
        &self.turn.settings.consumer
    }

    fn of_group(&self, group: &str) -> GroupOverrides {
        self.overrides.get(group).copied().unwrap_or_default()
    }

    pub(crate) fn session_timeout_ms(&self, group: &str) -> i32 {
        self.settings().session_timeout_ms.of(self.of_group(group).consumer_session_timeout_ms)
    }

    pub(crate) fn heartbeat_interval_ms(&self, group: &str) -> i32 {
        let own = self.of_group(group).consumer_heartbeat_interval_ms;
        self.settings().heartbeat_interval_ms.of(own)
    }

    pub(crate) fn assignment_interval_ms(&self, group: &str) -> i32 {
        let own = self.of_group(group).consumer_assignment_interval_ms;
        self.settings().assignment_interval_ms.of(own)
    }

    /// What is in memory of a group; made where there is nothing yet.
    pub(crate) fn live(&mut self, group: &Arc<str>) -> &mut Live {
        self.consumers.entry(Arc::clone(group)).or_default()
    }

    /// The group as a draft, if it is a consumer group.
    pub(crate) fn draft(&self, id: &str) -> Option<Draft> {
        let (id, group) = self.state.consumer(id)?;
        Some(Draft::of(Arc::clone(id), group.clone()))
    }

    /// Takes the records of a draft over, if they fit one batch with those before.
    pub(crate) fn keep(&mut self, draft: &mut Draft) -> Result<(), Refused> {
        if draft.records.is_empty() {
            return Ok(());
        }
        let limit = self.turn.settings.max_batch_bytes;
        let bytes = size(&draft.records, limit).filter(|bytes| *bytes <= limit);
        if !bytes.is_some_and(|bytes| self.turn.room.take(bytes)) {
            return Err(TOO_LARGE.into());
        }
        self.turn.decision.records.append(&mut draft.records);
        Ok(())
    }

    /// Sets an alarm of a member.
    pub(crate) fn set_alarm(&mut self, group: &Arc<str>, member: &str, kind: Kind, after_ms: i32) {
        let due = self.turn.time.mono.plus_ms(u64::try_from(after_ms).unwrap_or(0));
        let live = self.consumers.entry(Arc::clone(group)).or_default();
        let (member, alarms) = live.alarms_of(member);
        let topic = || Topic::Consumer(Arc::clone(group), member, kind);
        self.turn.timers.set(alarms.of(kind), due, topic);
    }

    /// Sets an alarm of a member unless it is set.
    pub(crate) fn set_alarm_once(
        &mut self,
        group: &Arc<str>,
        member: &str,
        kind: Kind,
        after_ms: i32,
    ) {
        let live = self.consumers.entry(Arc::clone(group)).or_default();
        let (_, alarms) = live.alarms_of(member);
        if !alarms.of(kind).is_set() {
            self.set_alarm(group, member, kind, after_ms);
        }
    }

    /// Stops an alarm of a member.
    pub(crate) fn stop_alarm(&mut self, group: &Arc<str>, member: &str, kind: Kind) {
        let Some(live) = self.consumers.get_mut(group) else { return };
        let Some((member, _)) = live.alarms.get_key_value(member) else { return };
        let member = Arc::clone(member);
        if let Some(alarms) = live.alarms.get_mut(&member) {
            let topic = || Topic::Consumer(Arc::clone(group), member, kind);
            self.turn.timers.cancel(alarms.of(kind), topic);
        }
    }

    /// Stops all alarms of a member that is out.
    pub(crate) fn stop_alarms(&mut self, group: &Arc<str>, member: &str) {
        for kind in Kind::ALL {
            self.stop_alarm(group, member, kind);
        }
        if let Some(live) = self.consumers.get_mut(group) {
            live.alarms.remove(member);
        }
    }

    /// The records that take an empty group away, and all there is of it in memory; `None` when
    /// they fit no batch.
    pub(crate) fn bury(&mut self, id: &str) -> Option<Vec<GroupRecord>> {
        let mut draft = self.draft(id)?;
        draft.bury();
        let limit = self.turn.settings.max_batch_bytes;
        size(&draft.records, limit).filter(|bytes| *bytes <= limit)?;
        self.forget(&draft.id);
        Some(draft.records)
    }

    /// Forgets what is in memory of a group that is no consumer group any more.
    pub(crate) fn forget(&mut self, group: &Arc<str>) {
        let Some(live) = self.consumers.get(group) else { return };
        for member in live.alarms.keys().cloned().collect::<Vec<_>>() {
            self.stop_alarms(group, &member);
        }
        self.consumers.remove(group);
    }
}
