//! Members that are elsewhere now, until that is written.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::voter::{Member, NodeKey, Voter};

/// Where members are that moved while another change of the members was under way. Only members are noted, so there
/// are never more than the quorum has.
#[derive(Debug, Default)]
pub(crate) struct Moves(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: BTreeMap<NodeKey, Member>,
    /// Somebody writes them.
    has_writer: bool,
}

impl Moves {
    /// Notes where a member is now. Whether nobody writes it yet: then the caller has to.
    #[must_use]
    pub(super) fn note(&self, voter: Voter) -> bool {
        let mut state = self.0.lock();
        state.waiting.insert(voter.key, voter.member);
        !std::mem::replace(&mut state.has_writer, true)
    }

    /// A member is where the log says.
    pub(super) fn forget(&self, key: NodeKey) {
        self.0.lock().waiting.remove(&key);
    }

    /// What is to be written now.
    pub(super) fn take(&self) -> BTreeMap<NodeKey, Member> {
        std::mem::take(&mut self.0.lock().waiting)
    }

    /// Notes a place that could not be written, if no newer one is known.
    pub(super) fn put_back(&self, key: NodeKey, member: Member) {
        self.0.lock().waiting.entry(key).or_insert(member);
    }

    /// Whether there is more to write. If not, the next one to note something has to write it.
    pub(super) fn go_on(&self) -> bool {
        let mut state = self.0.lock();
        state.has_writer = !state.waiting.is_empty();
        state.has_writer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voter::Endpoint;
    use ottla_wire::Uuid;

    fn voter(id: i32, port: u16) -> Voter {
        let endpoint = Endpoint { name: "C".into(), host: "h".into(), port };
        let member = Member { endpoints: vec![endpoint], ..Member::default() };
        Voter { key: NodeKey::new(id, Uuid::ZERO), member }
    }

    #[test]
    fn the_newest_place_is_kept_and_one_writes() {
        let moves = Moves::default();
        assert!(moves.note(voter(1, 10)));
        assert!(!moves.note(voter(2, 20)));
        assert!(!moves.note(voter(1, 11)));
        moves.forget(voter(2, 0).key);
        assert!(moves.go_on());
        let taken = moves.take();
        assert_eq!(taken, BTreeMap::from([(voter(1, 0).key, voter(1, 11).member)]));
        // It moves again while that is written, which fails.
        assert!(!moves.note(voter(1, 12)));
        moves.put_back(voter(1, 0).key, voter(1, 11).member);
        assert!(moves.go_on());
        assert_eq!(moves.take()[&voter(1, 0).key], voter(1, 12).member);
        assert!(!moves.go_on());
        assert!(moves.note(voter(3, 30)));
    }
}
