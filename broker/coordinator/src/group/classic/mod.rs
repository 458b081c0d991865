//! Classic consumer groups: the members choose a leader, and the leader assigns.
//!
//! Invariant: a group in `Stable` or `Empty` is what its last record says. In between, in
//! `PreparingRebalance` and `CompletingRebalance`, it lives in memory only; while it is there, an
//! alarm is set that ends the phase, so every parked join and sync is answered.

#[cfg(test)]
mod check;
mod describe;
mod heartbeat;
mod join;
mod leave;
mod member;
mod migrate;
mod rebalance;
mod record;
mod replies;
mod subscription;
mod sync;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_wire::ErrorCode;
use ottla_wire::api::join_group::JoinGroupRequestProtocol;

use self::member::Member;
use super::timers::{Alarm, Timers, Topic};

pub(crate) use self::describe::{describe, describe_missing};
pub(crate) use self::heartbeat::{CommitKind, Committer};
pub(crate) use self::join::{Join, MEMBER_ID_REQUIRED_SINCE};
pub(crate) use self::member::{ParkedJoin, own_protocols};
pub(crate) use self::replies::{join_error, sync_error};

/// The type of protocol that consumers name.
pub(crate) const CONSUMER_PROTOCOL: &str = "consumer";

/// Where a classic group is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
}

impl Phase {
    /// Its name, as the protocol writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// A classic group with all that is in memory only.
#[derive(Debug)]
pub(crate) struct ClassicGroup {
    pub(crate) id: Arc<str>,
    pub(crate) phase: Phase,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    leader: Option<Arc<str>>,
    members: BTreeMap<Arc<str>, Member>,
    /// The member of each instance id (KIP-345).
    statics: BTreeMap<String, Arc<str>>,
    /// Members that were given an id and have not come back with it (KIP-394).
    pending_join: BTreeMap<Arc<str>, Alarm>,
    /// Members whose SyncGroup of this generation has not come.
    pending_sync: BTreeSet<Arc<str>>,
    /// How many members have a parked join.
    joined: usize,
    /// How many members know each protocol.
    supported: BTreeMap<String, usize>,
    /// The topics all members subscribe to; `None` when the group's protocol does not tell.
    subscribed: Option<BTreeSet<String>>,
    /// When the phase was entered, on the wall clock.
    changed_ms: Option<i64>,
    /// Set while the group forms for the first time since it was empty.
    initial: Option<InitialDelay>,
    join_alarm: Alarm,
    sync_alarm: Alarm,
}

/// The wait for more members of a group that was empty.
#[derive(Clone, Copy, Debug)]
struct InitialDelay {
    /// The delay that runs.
    running_ms: u64,
    /// What may still be waited after it.
    remaining_ms: u64,
    /// Whether a member came while it ran.
    member_added: bool,
}

impl ClassicGroup {
    /// An empty group that does not exist in the log yet.
    pub(crate) fn new(id: Arc<str>, now_ms: i64) -> Self {
        Self {
            id,
            phase: Phase::Empty,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            pending_join: BTreeMap::new(),
            pending_sync: BTreeSet::new(),
            joined: 0,
            supported: BTreeMap::new(),
            subscribed: None,
            changed_ms: Some(now_ms),
            initial: None,
            join_alarm: Alarm::default(),
            sync_alarm: Alarm::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn is_leader(&self, member: &str) -> bool {
        self.leader.as_deref() == Some(member)
    }

    fn leader_name(&self) -> String {
        self.leader.as_deref().unwrap_or_default().to_owned()
    }

    /// Whether the whole group is in its join phase and has answered nobody yet.
    fn all_joined(&self) -> bool {
        self.joined == self.members.len() && self.pending_join.is_empty()
    }

    /// Whether the member is who it says (KIP-345), and of the group.
    pub(crate) fn check_member(
        &self,
        member: &str,
        instance: Option<&str>,
    ) -> Result<(), ErrorCode> {
        if let Some(instance) = instance {
            match self.statics.get(instance) {
                None => return Err(ErrorCode::UNKNOWN_MEMBER_ID),
                Some(known) if &**known != member => return Err(ErrorCode::FENCED_INSTANCE_ID),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member) { Ok(()) } else { Err(ErrorCode::UNKNOWN_MEMBER_ID) }
    }

    /// Whether a member that knows these protocols could be in the group.
    fn supports(&self, protocol_type: &str, protocols: &[JoinGroupRequestProtocol]) -> bool {
        if self.phase == Phase::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|protocol| {
                self.supported.get(&protocol.name).copied().unwrap_or(0) == self.members.len()
            })
    }

    /// Whether offsets of the topic belong to an active subscription of the group.
    pub(crate) fn is_subscribed(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL),
        }
    }

    pub(crate) fn knows_subscription(&self) -> bool {
        self.subscribed.is_some()
    }

    /// When the phase was entered, on the wall clock.
    pub(crate) fn changed_ms(&self) -> Option<i64> {
        self.changed_ms
    }

    /// Stops all alarms of a group that is deleted. It is empty, so nobody waits.
    pub(crate) fn dismiss(mut self, timers: &mut Timers) {
        for id in self.pending_join.keys().cloned().collect::<Vec<_>>() {
            self.drop_pending(&id, timers);
        }
        timers.cancel(&mut self.join_alarm, || Topic::Join(Arc::clone(&self.id)));
        timers.cancel(&mut self.sync_alarm, || Topic::Sync(Arc::clone(&self.id)));
    }

    fn insert(&mut self, id: Arc<str>, member: Member, protocol_type: &str) {
        if let Some(instance) = &member.instance_id {
            self.statics.insert(instance.clone(), Arc::clone(&id));
        }
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.to_owned());
        }
        if self.leader.is_none() {
            self.leader = Some(Arc::clone(&id));
        }
        self.count_protocols(&member.protocols, 1);
        self.joined += usize::from(member.join.is_some());
        self.members.insert(id, member);
    }

    /// Takes a member out, with its alarm and its place as leader. Who it leaves waiting is the
    /// caller's to answer.
    fn remove(&mut self, id: &str, timers: &mut Timers) -> Option<Member> {
        self.drop_pending(id, timers);
        self.pending_sync.remove(id);
        let (id, mut member) = self.members.remove_entry(id)?;
        let key = || Topic::Member(Arc::clone(&self.id), Arc::clone(&id));
        timers.cancel(&mut member.session, key);
        self.count_protocols(&member.protocols, -1);
        self.joined -= usize::from(member.join.is_some());
        if let Some(instance) = &member.instance_id {
            self.statics.remove(instance);
        }
        if self.is_leader(&id) {
            self.leader = self.members.keys().next().cloned();
        }
        Some(member)
    }

    /// Forgets an id that was handed out; says whether it was.
    fn drop_pending(&mut self, id: &str, timers: &mut Timers) -> bool {
        let Some((id, mut alarm)) = self.pending_join.remove_entry(id) else { return false };
        timers.cancel(&mut alarm, || Topic::Member(Arc::clone(&self.id), id));
        true
    }

    fn count_protocols(&mut self, protocols: &[JoinGroupRequestProtocol], by: isize) {
        for protocol in protocols {
            let known = self.supported.get(&protocol.name).copied().unwrap_or(0);
            match known.saturating_add_signed(by) {
                0 => self.supported.remove(&protocol.name),
                count => self.supported.insert(protocol.name.clone(), count),
            };
        }
    }

    /// The protocol that all members know and most prefer; of equals, the first by name.
    fn elect_protocol(&self) -> Option<String> {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let choice = member
                .protocols
                .iter()
                .find(|protocol| self.supported.get(&protocol.name) == Some(&self.members.len()));
            if let Some(choice) = choice {
                *votes.entry(choice.name.as_str()).or_default() += 1;
            }
        }
        let most = votes.values().copied().max()?;
        votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name.to_owned())
    }

    /// The longest rebalance timeout of any member.
    fn rebalance_timeout_ms(&self) -> u64 {
        let longest = self.members.values().map(|member| member.rebalance_timeout_ms).max();
        u64::try_from(longest.unwrap_or(0)).unwrap_or(0)
    }
}
