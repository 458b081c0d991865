//! Making version 2 batches.

use bytes::Bytes;

use super::record::write_record;
use super::{
    BATCH_HEADER_SIZE, Batch, BatchHeader, CRC_START, Compressor, EndTxnMarker, HeaderRef,
    LOG_OVERHEAD, NO_TIMESTAMP, Record, RecordError, RecordRef, TimestampType, crc32c,
};

/// Collects records and makes one batch of them.
///
/// Offsets count up from the base offset unless [`BatchBuilder::append_at`] says otherwise.
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    header: BatchHeader,
    compressor: Compressor,
    log_append_time: Option<i64>,
    records: Vec<u8>,
    next_offset: i64,
    /// First fault; [`BatchBuilder::build`] reports it, so that appending needs no checks.
    fault: Option<RecordError>,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::new(0)
    }
}

impl BatchBuilder {
    /// An empty batch whose first record gets `base_offset`.
    pub fn new(base_offset: i64) -> Self {
        Self {
            header: BatchHeader { base_offset, ..BatchHeader::default() },
            compressor: Compressor::NONE,
            log_append_time: None,
            records: Vec::new(),
            next_offset: base_offset,
            fault: None,
        }
    }

    /// Sets the codec and its level.
    #[must_use]
    pub fn compression(mut self, compressor: impl Into<Compressor>) -> Self {
        self.compressor = compressor.into();
        self
    }

    /// Sets the epoch of the leader that appends the batch.
    #[must_use]
    pub fn leader_epoch(mut self, epoch: i32) -> Self {
        self.header.partition_leader_epoch = epoch;
        self
    }

    /// Makes the batch one of an idempotent producer.
    #[must_use]
    pub fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> Self {
        self.header.producer_id = id;
        self.header.producer_epoch = epoch;
        self.header.base_sequence = base_sequence;
        self
    }

    /// Makes the batch part of its producer's transaction.
    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.header.attributes = self.header.attributes.transactional();
        self
    }

    /// Makes the batch a control batch.
    #[must_use]
    pub fn control(mut self) -> Self {
        self.header.attributes = self.header.attributes.control();
        self
    }

    /// Gives all records the time of the append, in milliseconds.
    #[must_use]
    pub fn log_append_time(mut self, millis: i64) -> Self {
        self.log_append_time = Some(millis);
        self
    }

    /// The batch with the marker that ends `producer`'s transaction, given by id and epoch.
    pub fn end_transaction(
        base_offset: i64,
        producer: (i64, i16),
        timestamp: i64,
        marker: EndTxnMarker,
    ) -> Self {
        let (id, epoch) = producer;
        let mut batch = Self::new(base_offset).transactional().control();
        batch.header.producer_id = id;
        batch.header.producer_epoch = epoch;
        batch.append(timestamp, Some(&marker.key()), Some(&marker.value()));
        batch
    }

    /// Appends a record without headers.
    pub fn append(&mut self, timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.append_with_headers(timestamp, key, value, &[]);
    }

    /// Appends a record.
    pub fn append_with_headers(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[HeaderRef<'_>],
    ) {
        let headers = headers.iter().copied();
        self.push(self.next_offset, timestamp, key, value, headers);
    }

    /// Appends a copy of a record at its own offset, which must rise from record to record.
    pub fn append_at(&mut self, record: &RecordRef<'_>) {
        let headers: Vec<_> = record.headers.iter().collect();
        let headers = headers.iter().copied();
        self.push(record.offset, record.timestamp, record.key, record.value, headers);
    }

    /// Appends a copy of a record at its own offset, which must rise from record to record.
    pub fn append_record(&mut self, record: &Record) {
        let headers =
            record.headers.iter().map(|h| HeaderRef { key: &h.key, value: h.value.as_deref() });
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        self.push(record.offset, record.timestamp, key, value, headers);
    }

    fn push<'h>(
        &mut self,
        offset: i64,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = HeaderRef<'h>> + Clone,
    ) {
        let header = &mut self.header;
        let delta = offset.checked_sub(header.base_offset).and_then(|d| i32::try_from(d).ok());
        let Some(delta) = delta.filter(|_| offset >= self.next_offset) else {
            self.fault.get_or_insert(RecordError::DoesNotFit("offsets do not rise within i32"));
            return;
        };
        if header.records_count == 0 {
            header.base_timestamp = timestamp;
            header.max_timestamp = NO_TIMESTAMP;
        }
        header.max_timestamp = header.max_timestamp.max(timestamp);
        let timestamp_delta = timestamp.wrapping_sub(header.base_timestamp);
        write_record(&mut self.records, timestamp_delta, delta, key, value, headers);
        header.records_count = header.records_count.saturating_add(1);
        header.last_offset_delta = delta;
        self.next_offset = offset.saturating_add(1);
    }

    /// Number of records so far.
    pub fn count(&self) -> i32 {
        self.header.records_count
    }

    /// Size of the batch so far without compression, in bytes.
    pub fn uncompressed_size(&self) -> usize {
        BATCH_HEADER_SIZE + self.records.len()
    }

    /// The batch. An empty one is an error, as are offsets which did not rise and a batch
    /// whose length is no i32.
    pub fn build(self) -> Result<Batch, RecordError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.header.records_count == 0 {
            return Err(RecordError::DoesNotFit("a batch without records"));
        }
        let mut header = self.header;
        header.attributes = header.attributes.with_compression(self.compressor.codec());
        if let Some(millis) = self.log_append_time {
            header.attributes = header.attributes.with_timestamp_type(TimestampType::LogAppendTime);
            header.max_timestamp = millis;
        }
        let packed;
        let body = match self.compressor {
            Compressor::NONE => &self.records,
            compressor => {
                packed = compressor.compress(&self.records)?;
                &packed
            }
        };
        assemble(header, body)
    }
}

/// The batch of a header and the section behind it, with length and checksum set.
pub(crate) fn assemble(mut header: BatchHeader, body: &[u8]) -> Result<Batch, RecordError> {
    header.batch_length = i32::try_from(BATCH_HEADER_SIZE - LOG_OVERHEAD + body.len())
        .map_err(|_| RecordError::DoesNotFit("batch of 2 GiB or more"))?;
    let mut bytes = Vec::with_capacity(BATCH_HEADER_SIZE + body.len());
    bytes.extend_from_slice(&header.encode());
    bytes.extend_from_slice(body);
    header.crc = crc32c(bytes.get(CRC_START..).unwrap_or_default());
    if let Some(head) = bytes.first_chunk_mut() {
        *head = header.encode();
    }
    Ok(Batch { header, bytes: Bytes::from(bytes) })
}

#[cfg(test)]
mod tests;
