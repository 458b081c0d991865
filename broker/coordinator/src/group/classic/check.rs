//! What must hold of a classic group after every decision.

use std::collections::BTreeMap;

use ottla_wire::schema::group::GroupMetadataValue;

use super::{ClassicGroup, Phase};
use crate::group::record::GroupRecord;
use crate::group::timers::Timers;

impl ClassicGroup {
    /// Panics when the group contradicts itself, or the record the log has of it.
    pub(crate) fn check(&self, stored: &GroupMetadataValue, timers: &Timers) {
        let sessions = self.members.values().map(|member| member.session);
        let all = sessions.chain(self.pending_join.values().copied());
        for alarm in all.chain([self.join_alarm, self.sync_alarm]) {
            let late = alarm.due().is_some_and(|due| timers.earliest().is_none_or(|at| at > due));
            assert!(!late, "an alarm that rings too late: {alarm:?}");
        }
        let joined = self.members.values().filter(|member| member.join.is_some()).count();
        assert_eq!(self.joined, joined, "members that wait to join");
        let mut supported: BTreeMap<String, usize> = BTreeMap::new();
        for protocol in self.members.values().flat_map(|member| &member.protocols) {
            *supported.entry(protocol.name.clone()).or_default() += 1;
        }
        assert_eq!(self.supported, supported, "members that know each protocol");
        for (instance, id) in &self.statics {
            let member = self.members.get(id).expect("the member of an instance");
            assert_eq!(member.instance_id.as_ref(), Some(instance));
        }
        let statics = self.members.values().filter(|member| member.instance_id.is_some());
        assert_eq!(self.statics.len(), statics.count(), "instances");
        assert!(self.pending_sync.iter().all(|id| self.members.contains_key(id)));
        assert!(self.pending_join.keys().all(|id| !self.members.contains_key(id)));
        assert!(self.pending_join.values().all(|alarm| alarm.due().is_some()));
        let leads = self.leader.as_ref().is_some_and(|id| self.members.contains_key(id));
        assert!(leads || self.members.is_empty(), "a leader that is a member");
        self.check_phase(stored);
    }

    fn check_phase(&self, stored: &GroupMetadataValue) {
        let syncing = self.members.values().filter(|member| member.sync.is_some()).count();
        match self.phase {
            Phase::Empty => assert!(self.members.is_empty()),
            Phase::PreparingRebalance => {
                assert!(self.join_alarm.due().is_some(), "an end of the join phase");
                assert_eq!(syncing, 0);
            }
            Phase::CompletingRebalance => {
                assert!(self.sync_alarm.due().is_some(), "an end of the sync phase");
                assert_eq!(self.joined, 0);
            }
            Phase::Stable => {
                assert_eq!((self.joined, syncing), (0, 0), "nobody waits for a stable group");
                let alive = |member: &super::Member| member.session.due().is_some();
                assert!(self.members.values().all(alive), "every session ends");
            }
        }
        if matches!(self.phase, Phase::Stable | Phase::Empty) {
            let GroupRecord::Group { value: Some(mut ours), .. } = self.record() else {
                panic!("not a group's record");
            };
            // A stable group's record was written as it became stable, a moment before.
            ours.current_state_timestamp = stored.current_state_timestamp;
            assert_eq!(&ours, stored, "what the log has of a group at rest");
        }
    }
}
