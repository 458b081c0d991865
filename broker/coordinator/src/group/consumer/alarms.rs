//! The deadlines of a member of a consumer group.

use std::sync::Arc;

use super::desk::Live;
use crate::group::timers::Alarm;

/// What a deadline of a member is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// It shows that it lives.
    Session,
    /// It gives up what it was told to.
    Rebalance,
    /// One of the classic protocol joins again.
    Join,
    /// One of the classic protocol asks for its assignment.
    Sync,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Session, Self::Rebalance, Self::Join, Self::Sync];
}

/// The deadlines of one member.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    session: Alarm,
    rebalance: Alarm,
    join: Alarm,
    sync: Alarm,
    /// The epoch that the member has to leave before the end of its rebalance.
    pub(crate) rebalance_epoch: i32,
}

impl Alarms {
    pub(crate) fn of(&mut self, kind: Kind) -> &mut Alarm {
        match kind {
            Kind::Session => &mut self.session,
            Kind::Rebalance => &mut self.rebalance,
            Kind::Join => &mut self.join,
            Kind::Sync => &mut self.sync,
        }
    }
}

impl Live {
    /// The deadlines of a member, made where there are none yet, with its id.
    pub(crate) fn alarms_of(&mut self, member: &str) -> (Arc<str>, &mut Alarms) {
        let id = match self.alarms.get_key_value(member) {
            Some((id, _)) => Arc::clone(id),
            None => Arc::from(member),
        };
        let alarms = self.alarms.entry(Arc::clone(&id)).or_default();
        (id, alarms)
    }
}
