//! What the metadata log makes of the controller.

use imbl::{OrdMap, OrdSet};
use ottla_metadata::{Acl, ApplyError, Image, Provenance};
use ottla_wire::Uuid;
use ottla_wire::schema::metadata::MetadataRecord;
use std::sync::Arc;

/// The controller's state: the image with everything decided so far, and indexes over it.
#[derive(Clone, Debug, Default)]
pub struct State {
    now: Content,
    next_offset: i64,
    /// The content before the transaction under way, to go back to when it is aborted.
    before: Option<Box<Content>>,
    faults: u64,
    last_fault: Option<ApplyError>,
}

/// What a transaction's abort takes back.
#[derive(Clone, Debug, Default)]
struct Content {
    image: Image,
    /// Names with a `.` or `_` by their form with every `.` made `_`: two such names in one place collide in the
    /// names of metrics.
    colliding: OrdMap<Arc<str>, OrdSet<Arc<str>>>,
    /// The access rules without their ids, which say whether a rule is there already.
    acls: OrdSet<Arc<Acl>>,
}

impl State {
    /// The cluster's metadata with all that was decided, committed or not.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.now.image
    }

    /// The metadata as they would be if the transaction under way, if any, were aborted.
    #[must_use]
    pub(crate) fn committed_image(&self) -> &Image {
        self.before.as_ref().map_or(&self.now.image, |before| &before.image)
    }

    /// The offset that the next record will have.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Says which offset the next record will have, where the log holds more than this machine's records, or after
    /// a snapshot was read.
    pub fn set_next_offset(&mut self, offset: i64) {
        self.next_offset = offset;
    }

    /// The state that goes on from an image, such as one of a snapshot.
    #[must_use]
    pub fn from_image(image: Image, next_offset: i64) -> Self {
        let acls = image.acls().map(|(_, acl)| acl.clone()).collect();
        let mut now = Content { image, acls, ..Content::default() };
        let names: Vec<Arc<str>> = now.image.topics().map(|t| t.name.clone()).collect();
        names.into_iter().for_each(|name| now.add_name(name));
        Self { now, next_offset, ..Self::default() }
    }

    /// Whether a transaction was begun and neither ended nor aborted.
    #[must_use]
    pub fn in_transaction(&self) -> bool {
        self.before.is_some()
    }

    /// Records that did not fit: how many, and the last one's error. Each is a fault of this software or of the log.
    #[must_use]
    pub fn faults(&self) -> (u64, Option<&ApplyError>) {
        (self.faults, self.last_fault.as_ref())
    }

    /// A topic whose name differs from `name` at most in `.` for `_` or the reverse.
    #[must_use]
    pub(crate) fn collision(&self, name: &str) -> Option<&Arc<str>> {
        let key = unified(name)?;
        self.now.colliding.get(key.as_str())?.iter().next()
    }

    /// Whether there is such an access rule.
    #[must_use]
    pub(crate) fn has_acl(&self, acl: &Acl) -> bool {
        self.now.acls.contains(acl)
    }

    /// Applies one record at the next offset.
    pub fn apply(&mut self, record: &MetadataRecord) {
        if let Err(fault) = self.step(record) {
            self.faults += 1;
            self.last_fault = Some(fault);
        }
        let epoch = self.now.image.provenance().epoch;
        let offset = self.next_offset;
        self.now.image.set_provenance(Provenance { offset, epoch, timestamp_ms: -1 });
        self.next_offset = self.next_offset.saturating_add(1);
    }

    fn step(&mut self, record: &MetadataRecord) -> Result<(), ApplyError> {
        match record {
            MetadataRecord::BeginTransaction(_) => {
                if self.before.is_some() {
                    return Err(ApplyError::Transaction("BeginTransaction"));
                }
                self.before = Some(Box::new(self.now.clone()));
            }
            MetadataRecord::EndTransaction(_) => {
                self.before.take().ok_or(ApplyError::Transaction("EndTransaction"))?;
            }
            MetadataRecord::AbortTransaction(_) => {
                let before = self.before.take();
                self.now = *before.ok_or(ApplyError::Transaction("AbortTransaction"))?;
            }
            MetadataRecord::Topic(r) => {
                self.now.image.apply(record, self.next_offset)?;
                self.now.add_name(r.name.as_str().into());
                return Ok(());
            }
            MetadataRecord::RemoveTopic(r) => {
                if let Some(topic) = self.now.image.topic(r.topic_id) {
                    let name = topic.name.clone();
                    self.now.remove_name(&name);
                }
            }
            MetadataRecord::AccessControlEntry(r) => {
                self.now.forget_acl(r.id);
                self.now.image.apply(record, self.next_offset)?;
                self.now.acls.extend(self.now.image.acl(r.id).cloned());
                return Ok(());
            }
            MetadataRecord::RemoveAccessControlEntry(r) => self.now.forget_acl(r.id),
            _ => {}
        }
        self.now.image.apply(record, self.next_offset)
    }
}

impl Content {
    fn forget_acl(&mut self, id: Uuid) {
        if let Some(acl) = self.image.acl(id) {
            self.acls.remove(acl);
        }
    }

    fn add_name(&mut self, name: Arc<str>) {
        if let Some(key) = unified(&name) {
            self.colliding.entry(key.into()).or_default().insert(name);
        }
    }

    fn remove_name(&mut self, name: &str) {
        let Some(key) = unified(name) else { return };
        if let Some(names) = self.colliding.get_mut(key.as_str()) {
            names.remove(name);
            if names.is_empty() {
                self.colliding.remove(key.as_str());
            }
        }
    }
}

/// The name with every `.` made `_`; `None` if it has neither.
fn unified(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_wire::schema::metadata::*;

    fn topic(name: &str, id: u128) -> MetadataRecord {
        TopicRecord { name: name.into(), topic_id: Uuid::from_u128(id) }.into()
    }

    #[test]
    fn collisions_come_and_go_with_topics() {
        let mut state = State::default();
        state.apply(&topic("a.b", 200));
        assert_eq!(state.collision("a_b").map(|n| n.as_ref()), Some("a.b"));
        assert_eq!(state.collision("a-b"), None);
        assert_eq!(state.collision("ab"), None);
        state.apply(&RemoveTopicRecord { topic_id: Uuid::from_u128(200) }.into());
        assert_eq!(state.collision("a_b"), None);
    }

    #[test]
    fn an_abort_takes_back_names_and_image() {
        let mut state = State::default();
        state.apply(&BeginTransactionRecord::default().into());
        state.apply(&topic("a.b", 200));
        assert!(state.in_transaction());
        state.apply(&AbortTransactionRecord::default().into());
        assert_eq!(state.collision("a_b"), None);
        assert_eq!(state.image().topic_count(), 0);
        assert_eq!(state.next_offset(), 3);
        assert_eq!(state.faults().0, 0);
        state.apply(&EndTransactionRecord {}.into());
        assert_eq!(state.faults().0, 1);
    }
}
