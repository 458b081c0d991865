//! A decision in the making: records, and the image as they will leave it.

use crate::state::State;
use ottla_metadata::{ApplyError, Image};
use ottla_wire::schema::metadata::{
    AbortTransactionRecord, BeginTransactionRecord, EndTransactionRecord, MetadataRecord,
};

/// The most records of one batch in the log. A decision with more is written as a transaction of several.
pub const MAX_RECORDS_PER_BATCH: usize = 10_000;

/// Records decided so far for one command. Each is applied to an image of the draft's own at once, so that later
/// parts of the same command see it.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    state: &'a State,
    image: Image,
    next_offset: i64,
    records: Vec<MetadataRecord>,
    fault: Option<ApplyError>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(state: &'a State) -> Self {
        Self {
            state,
            image: state.image().clone(),
            next_offset: state.next_offset(),
            records: Vec::new(),
            fault: None,
        }
    }

    /// The state before the command.
    pub(crate) fn state(&self) -> &'a State {
        self.state
    }

    /// The image with the records of this draft.
    pub(crate) fn image(&self) -> &Image {
        &self.image
    }

    /// The offset of the record that is pushed next, if this decision takes no transaction of its own.
    pub(crate) fn next_offset(&self) -> i64 {
        self.next_offset
    }

    pub(crate) fn push(&mut self, record: impl Into<MetadataRecord>) {
        let record = record.into();
        if let Err(fault) = self.image.apply(&record, self.next_offset) {
            self.fault.get_or_insert(fault);
        }
        self.next_offset = self.next_offset.saturating_add(1);
        self.records.push(record);
    }

    pub(crate) fn extend(&mut self, records: impl IntoIterator<Item = MetadataRecord>) {
        records.into_iter().for_each(|record| self.push(record));
    }

    /// Takes back a transaction which a controller before this one left open.
    pub(crate) fn abort_transaction(&mut self, reason: &str) {
        self.push(AbortTransactionRecord { reason: Some(reason.to_owned()) });
        self.image = self.state.committed_image().clone();
    }

    /// Whether nothing was decided yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Forgets what was decided, as a request asks that only wants to know whether it could be done.
    pub(crate) fn discard(&mut self) {
        *self = Self { fault: self.fault.take(), ..Self::new(self.state) };
    }

    /// The records; a transaction when they are more than one batch holds. An error means that what was decided
    /// does not fit the state, so that nothing may be written.
    pub(crate) fn finish(self) -> Result<Vec<MetadataRecord>, ApplyError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let can = self.image.features().version().has_transactions();
        if self.records.len() <= MAX_RECORDS_PER_BATCH || !can {
            return Ok(self.records);
        }
        let begin = BeginTransactionRecord { name: None };
        let mut all: Vec<MetadataRecord> = Vec::with_capacity(self.records.len() + 2);
        all.push(begin.into());
        all.extend(self.records);
        all.push(EndTransactionRecord {}.into());
        Ok(all)
    }
}

/// Cuts the records of a decision into batches as the log takes them.
pub fn batches(records: &[MetadataRecord]) -> impl Iterator<Item = &[MetadataRecord]> {
    records.chunks(MAX_RECORDS_PER_BATCH)
}
