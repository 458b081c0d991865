//! A decision in the making: records, and the image as they will leave it.

use crate::state::State;
use ottla_metadata::{ApplyError, Image};
use ottla_wire::schema::metadata::{
    AbortTransactionRecord, BeginTransactionRecord, EndTransactionRecord, EntityData,
    MetadataRecord,
};

/// The most records of one batch in the log, but for a transaction.
pub const MAX_RECORDS_PER_BATCH: usize = 10_000;

/// The most bytes of a transaction, by estimate: with room to spare below what one batch of the log may have.
const MAX_TRANSACTION_BYTES: usize = 6 << 20;

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

    /// Forgets what was decided, as a request asks that only wants to know whether it could be done.
    pub(crate) fn discard(&mut self) {
        *self = Self { fault: self.fault.take(), ..Self::new(self.state) };
    }

    /// The records of the decision. An error means that what was decided does not fit the state, or is too large for
    /// one batch where it must be one, so that nothing may be written.
    pub(crate) fn finish(self, atomicity: Atomicity) -> Result<Vec<MetadataRecord>, Refused> {
        if let Some(fault) = self.fault {
            return Err(Refused::Misfit(fault));
        }
        if self.records.len() <= MAX_RECORDS_PER_BATCH || atomicity == Atomicity::Each {
            return Ok(self.records);
        }
        let size: usize = self.records.iter().map(size_of_record).sum();
        if size > MAX_TRANSACTION_BYTES {
            return Err(Refused::TooLarge);
        }
        if !self.image.features().version().has_transactions() {
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

/// Whether a reader may see a part of a decision without the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Atomicity {
    /// It must see all or nothing.
    All,
    /// Each record stands for itself, as when many partitions get new leaders.
    Each,
}

/// Why a decision is not written.
#[derive(Debug)]
pub(crate) enum Refused {
    /// A record does not fit: a fault of this software.
    Misfit(ApplyError),
    /// It is more than one request may ask for.
    TooLarge,
}

/// A little more than the bytes a record takes in the log.
fn size_of_record(record: &MetadataRecord) -> usize {
    const FRAME: usize = 48;
    match record {
        MetadataRecord::Config(r) => {
            FRAME + r.resource_name.len() + r.name.len() + r.value.as_ref().map_or(0, String::len)
        }
        MetadataRecord::Partition(r) => {
            FRAME + 32 + 4 * (r.replicas.len() + r.isr.len()) + 16 * r.directories.len()
        }
        MetadataRecord::Topic(r) => FRAME + r.name.len(),
        MetadataRecord::AccessControlEntry(r) => {
            FRAME + r.resource_name.len() + r.principal.len() + r.host.len()
        }
        MetadataRecord::ClientQuota(r) => {
            let part = |e: &EntityData| {
                e.entity_type.len() + e.entity_name.as_ref().map_or(0, String::len)
            };
            FRAME + r.key.len() + r.entity.iter().map(part).sum::<usize>()
        }
        MetadataRecord::UserScramCredential(r) => FRAME + 160 + r.name.len() + r.salt.len(),
        _ => 4 * FRAME,
    }
}

/// Cuts the records of a decision into the batches to write, in this order. A transaction is one batch whatever its
/// length, so that no log ends within one.
pub fn batches(records: &[MetadataRecord]) -> impl Iterator<Item = &[MetadataRecord]> {
    let whole = matches!(records.first(), Some(MetadataRecord::BeginTransaction(_)));
    records.chunks(if whole { records.len() } else { MAX_RECORDS_PER_BATCH })
}
