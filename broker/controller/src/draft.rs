//! A decision in the making: records, and the image as they will leave it.

use crate::state::State;
use ottla_metadata::{ApplyError, Image, MetadataVersion, record_version};
use ottla_wire::EncodeError;
use ottla_wire::schema::metadata::{
    AbortTransactionRecord, BeginTransactionRecord, EndTransactionRecord, MetadataRecord,
};

/// The most records of one batch in the log, but for a transaction.
pub const MAX_RECORDS_PER_BATCH: usize = 10_000;

/// The most bytes of one batch in the log, a transaction's too. It is what KRaft allows.
pub const MAX_BATCH_BYTES: usize = 8 << 20;

/// No less than the header of a batch takes.
const HEADER_BYTES: usize = 64;

/// No less than what stands around a record in its batch.
const FRAME_BYTES: usize = 24;

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

    /// The records of the decision. An error means that what was decided does not fit the state, or no log: it is
    /// too large for one batch where it must be one, or cannot be encoded. Then nothing may be written.
    ///
    /// Whatever passes here, the log takes: a refusal there would come after other decisions were built on this one.
    pub(crate) fn finish(self, atomicity: Atomicity) -> Result<Vec<MetadataRecord>, Refused> {
        if let Some(fault) = self.fault {
            return Err(Refused::Misfit(fault));
        }
        let version = self.image.features().version();
        let mut bytes = HEADER_BYTES;
        for record in &self.records {
            let size = size_in_batch(record, version).map_err(Refused::Unwritable)?;
            if size > MAX_BATCH_BYTES - HEADER_BYTES {
                return Err(Refused::TooLarge);
            }
            bytes = bytes.saturating_add(size);
        }
        let fits = bytes <= MAX_BATCH_BYTES && self.records.len() <= MAX_RECORDS_PER_BATCH;
        if fits || atomicity == Atomicity::Each {
            return Ok(self.records);
        }
        // The two records of a transaction take no more than this.
        if bytes + 2 * HEADER_BYTES > MAX_BATCH_BYTES || !version.has_transactions() {
            return Err(Refused::TooLarge);
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
    /// A record has no form in the log: a fault of this software, which let too long a text pass.
    Unwritable(EncodeError),
}

/// The bytes a record takes in a batch, or a few more.
fn size_in_batch(record: &MetadataRecord, version: MetadataVersion) -> Result<usize, EncodeError> {
    Ok(FRAME_BYTES + record.encode(record_version(record, version))?.len())
}

/// Cuts the records of a decision into the batches to write, in this order, by their number and by the bytes they
/// take at this version. A transaction is one batch whatever its length, so that no log ends within one.
pub fn batches(
    records: &[MetadataRecord],
    version: MetadataVersion,
) -> impl Iterator<Item = &[MetadataRecord]> {
    let whole = matches!(records.first(), Some(MetadataRecord::BeginTransaction(_)));
    let mut rest = records;
    std::iter::from_fn(move || {
        let n = if whole { rest.len() } else { first_batch(rest, version) };
        let (batch, after) = rest.split_at_checked(n).filter(|(batch, _)| !batch.is_empty())?;
        rest = after;
        Some(batch)
    })
}

/// How many of the records the first batch takes: at least one, if there is one.
fn first_batch(records: &[MetadataRecord], version: MetadataVersion) -> usize {
    let mut bytes = HEADER_BYTES;
    let fitting = records.iter().take(MAX_RECORDS_PER_BATCH).take_while(|record| {
        // One that cannot be encoded was refused before; the log would say so again.
        bytes = bytes.saturating_add(size_in_batch(record, version).unwrap_or(FRAME_BYTES));
        bytes <= MAX_BATCH_BYTES
    });
    fitting.count().max(records.len().min(1))
}
