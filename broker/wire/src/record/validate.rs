//! What a leader checks and sets before it appends a client's batch.
//!
//! The order of the checks and their error codes are Kafka's. One pass over the bytes for the
//! checksum, one over the records' frames; the records themselves are neither copied nor built.

use bytes::Bytes;

use super::builder::assemble;
use super::inspect::{Section, Shape};
use super::record::write_record;
use super::reject::{MAX_RECORD_ERRORS, RecordFault, RejectedRecord, Rejection};
use super::{
    BATCH_HEADER_SIZE, BatchHeader, CRC_START, Compression, Compressor, LOG_OVERHEAD, MAGIC_OFFSET,
    MAGIC_V2, NO_TIMESTAMP, RecordError, RecordIter, TimestampType, Workspace, crc32c, decompress,
};

/// First version of Produce in which batches may be compressed with zstd (KIP-110).
const ZSTD_SINCE: i16 = 7;

/// Smallest length field of any message format.
const MIN_LENGTH: i32 = 14;

/// Whether records need a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keys {
    /// A key may be null.
    #[default]
    Optional,
    /// The topic is compacted: each record needs a key.
    Required,
}

/// The topic's `compression.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TargetCompression {
    /// Batches stay as the producer compressed them.
    #[default]
    Producer,
    /// Batches of another codec are compressed anew.
    Fixed(Compressor),
}

/// Whether the records of a compressed batch are looked at where no rule needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CompressedRecords {
    /// The header is believed. Much cheaper; a producer which writes nonsense under a right
    /// checksum harms the readers of that partition.
    #[default]
    Trusted,
    /// They are decompressed and their structure is checked, as Kafka does.
    Checked,
}

/// What a topic takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendRules {
    /// Greatest size of a batch in bytes (`max.message.bytes`).
    pub max_message_bytes: usize,
    /// Whether records need a key (`cleanup.policy`).
    pub keys: Keys,
    /// Who sets the timestamps (`message.timestamp.type`).
    pub timestamp_type: TimestampType,
    /// How far a timestamp may lie before the broker's time, in milliseconds
    /// (`message.timestamp.before.max.ms`).
    pub before_max_ms: i64,
    /// How far a timestamp may lie after the broker's time, in milliseconds
    /// (`message.timestamp.after.max.ms`).
    pub after_max_ms: i64,
    /// How batches are stored (`compression.type` and the codecs' levels).
    pub compression: TargetCompression,
    /// Whether compressed records are looked at without need.
    pub compressed_records: CompressedRecords,
    /// Most bytes that a batch may decompress to.
    pub max_decompressed_bytes: usize,
}

/// Bound for what one batch decompresses to, unless rules say otherwise: far above what a
/// producer holds in memory, far below what a bomb gives.
pub const DEFAULT_MAX_DECOMPRESSED_BYTES: usize = 512 << 20;

impl Default for AppendRules {
    /// The defaults of Kafka's topic configuration.
    fn default() -> Self {
        Self {
            max_message_bytes: 1_048_588,
            keys: Keys::Optional,
            timestamp_type: TimestampType::CreateTime,
            before_max_ms: i64::MAX,
            after_max_ms: 3_600_000,
            compression: TargetCompression::Producer,
            compressed_records: CompressedRecords::Trusted,
            max_decompressed_bytes: DEFAULT_MAX_DECOMPRESSED_BYTES,
        }
    }
}

/// A client's batch that a leader may append as soon as it has set base offset and leader
/// epoch, which the checksum does not cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatedBatch {
    header: BatchHeader,
    body: Bytes,
    rebuilt: bool,
}

impl ValidatedBatch {
    /// The header as it is to be stored, at offset 0 and without a leader epoch.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The bytes behind the header: the very bytes that were produced, unless the batch had to
    /// be rebuilt.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Whether the records had to be written anew, for another codec or other offsets.
    pub fn is_rebuilt(&self) -> bool {
        self.rebuilt
    }

    /// The bytes of the header and those behind it.
    pub fn into_parts(self) -> ([u8; BATCH_HEADER_SIZE], Bytes) {
        (self.header.encode(), self.body)
    }
}

/// [`validate_in`] for those who have no workspace to keep.
pub fn validate(
    records: &Bytes,
    rules: &AppendRules,
    version: i16,
    now_ms: i64,
) -> Result<ValidatedBatch, Rejection> {
    validate_in(&mut Workspace::default(), records, rules, version, now_ms)
}

/// Checks what a client produced to one partition, and sets what the topic's rules demand.
///
/// `records` holds one batch; a cut-off rest behind it is dropped, as Kafka does. `version` is
/// that of the Produce request and `now_ms` the broker's time. `workspace` belongs to the caller's
/// thread.
pub fn validate_in(
    workspace: &mut Workspace,
    records: &Bytes,
    rules: &AppendRules,
    version: i16,
    now_ms: i64,
) -> Result<ValidatedBatch, Rejection> {
    let bytes = only_batch(records, version)?;
    let mut header = check_batch(bytes, rules)?;
    let codec = header.compression().map_err(Rejection::UnknownCodec)?;
    check_header(&header)?;
    let body = records.slice(BATCH_HEADER_SIZE..bytes.len());
    let mut findings = Findings::new(&header, rules, now_ms);
    let target = match rules.compression {
        TargetCompression::Fixed(target) if target.codec() != codec => Some(target),
        _ => None,
    };
    let limit = rules.max_decompressed_bytes;
    if codec == Compression::None || target.is_some() {
        let section = match codec {
            Compression::None => body.clone(),
            codec => {
                decompress(codec, &body, limit).map(Bytes::from).map_err(Rejection::Records)?
            }
        };
        findings.look(workspace, Section::Plain(&section))?;
        if target.is_some() || !findings.offsets_count_up {
            let compressor = target.unwrap_or(Compressor::NONE);
            return rebuild(header, &section, compressor, &findings);
        }
    } else if findings.need_records() {
        findings.look(workspace, Section::Packed(codec, &body, limit))?;
        if !findings.offsets_count_up {
            return Err(Rejection::Records(RecordError::Malformed("offsets do not count up")));
        }
    }
    let (kind, max_timestamp) = findings.timestamps();
    if (header.timestamp_type(), header.max_timestamp) != (kind, max_timestamp) {
        header.patch(|h| {
            h.attributes = h.attributes.with_timestamp_type(kind);
            h.max_timestamp = max_timestamp;
        });
    }
    Ok(ValidatedBatch { header, body, rebuilt: false })
}

/// Size of the batch at the start of `bytes`; `None` when they end before it does.
fn batch_size(bytes: &[u8]) -> Result<Option<usize>, Rejection> {
    let Some(length) = bytes.get(8..LOG_OVERHEAD).and_then(|b| b.first_chunk()) else {
        return Ok(None);
    };
    let length = i32::from_be_bytes(*length);
    if length < MIN_LENGTH {
        let minimum = MIN_LENGTH;
        return Err(Rejection::NotABatch(RecordError::BadLength { length, minimum }));
    }
    match bytes.get(MAGIC_OFFSET).map(|m| *m as i8) {
        None => Ok(None),
        Some(magic) if !(0..=MAGIC_V2).contains(&magic) => {
            Err(Rejection::NotABatch(RecordError::UnsupportedMagic(magic)))
        }
        Some(_) => {
            let size = LOG_OVERHEAD + length as usize;
            Ok((size <= bytes.len()).then_some(size))
        }
    }
}

/// The one batch that is to be in a partition of a Produce request.
fn only_batch(records: &[u8], version: i16) -> Result<&[u8], Rejection> {
    let size = batch_size(records)?.ok_or(Rejection::NoBatch)?;
    let (batch, rest) = records.split_at_checked(size).ok_or(Rejection::NoBatch)?;
    let magic = batch.get(MAGIC_OFFSET).map_or(0, |m| *m as i8);
    if magic != MAGIC_V2 {
        return Err(Rejection::OldFormat(magic));
    }
    if version < ZSTD_SINCE {
        let codec = batch.get(CRC_START + 1).map_or(0, |low| low & 0b111);
        if codec == Compression::Zstd.id() {
            return Err(Rejection::ZstdTooEarly(version));
        }
    }
    if batch_size(rest)?.is_some() {
        return Err(Rejection::MoreBatches);
    }
    Ok(batch)
}

/// Size, checksum and base offset.
fn check_batch(bytes: &[u8], rules: &AppendRules) -> Result<BatchHeader, Rejection> {
    let header = BatchHeader::parse(bytes).map_err(Rejection::NotABatch)?;
    if header.base_offset != 0 {
        return Err(Rejection::BaseOffset(header.base_offset));
    }
    check_size(bytes.len(), rules)?;
    let computed = crc32c(bytes.get(CRC_START..).unwrap_or_default());
    if computed != header.crc {
        return Err(Rejection::WrongCrc(RecordError::WrongCrc { stored: header.crc, computed }));
    }
    Ok(header)
}

fn check_size(size: usize, rules: &AppendRules) -> Result<(), Rejection> {
    let limit = rules.max_message_bytes;
    if size > limit { Err(Rejection::TooLarge { size, limit }) } else { Ok(()) }
}

/// What the header alone tells.
fn check_header(header: &BatchHeader) -> Result<(), Rejection> {
    let BatchHeader { records_count: count, last_offset_delta, .. } = *header;
    if count <= 0 || last_offset_delta != count - 1 {
        return Err(Rejection::Count { count, last_offset_delta });
    }
    if header.is_control() {
        return Err(Rejection::Control);
    }
    if header.has_producer_id() && header.base_sequence < 0 {
        let (sequence, producer_id) = (header.base_sequence, header.producer_id);
        return Err(Rejection::Sequence { sequence, producer_id });
    }
    Ok(())
}

/// What the records show, as far as they were looked at.
struct Findings<'r> {
    rules: &'r AppendRules,
    now_ms: i64,
    count: i32,
    base_timestamp: i64,
    /// Whether the batch says that a broker set its timestamps. What counts all the same are
    /// the records' own, since a topic with the producer's time takes the mark away.
    by_broker: bool,
    earliest: i64,
    latest: i64,
    max_timestamp: i64,
    offsets_count_up: bool,
}

impl<'r> Findings<'r> {
    /// What the header claims.
    fn new(header: &BatchHeader, rules: &'r AppendRules, now_ms: i64) -> Self {
        Self {
            rules,
            now_ms,
            count: header.records_count,
            base_timestamp: header.base_timestamp,
            by_broker: header.timestamp_type() == TimestampType::LogAppendTime,
            earliest: now_ms.saturating_sub(rules.before_max_ms),
            latest: now_ms.saturating_add(rules.after_max_ms),
            max_timestamp: header.max_timestamp,
            offsets_count_up: true,
        }
    }

    /// Whether a rule cannot be decided by the header of a compressed batch.
    fn need_records(&self) -> bool {
        let by_producer = self.rules.timestamp_type == TimestampType::CreateTime;
        self.rules.compressed_records == CompressedRecords::Checked
            || self.rules.keys == Keys::Required
            || self.by_broker
            || self.max_timestamp < NO_TIMESTAMP
            || by_producer && (self.max_timestamp > self.latest || self.earliest > 0)
    }

    /// Looks at the records, all together first and one by one if that raises doubt.
    fn look(&mut self, workspace: &mut Workspace, section: Section<'_>) -> Result<(), Rejection> {
        let summary = section.summary(workspace, self.count).map_err(Rejection::Records)?;
        self.offsets_count_up = summary.offsets_count_up;
        let first = self.base_timestamp.checked_add(summary.earliest);
        let last = self.base_timestamp.checked_add(summary.latest);
        match (first, last, self.by_broker) {
            (Some(first), Some(last), false)
                if first >= self.earliest
                    && last <= self.latest
                    && !(summary.keyless && self.rules.keys == Keys::Required) =>
            {
                self.max_timestamp = last.max(NO_TIMESTAMP);
                Ok(())
            }
            _ => self.judge_each(workspace, section),
        }
    }

    #[cold]
    fn judge_each(
        &mut self,
        workspace: &mut Workspace,
        section: Section<'_>,
    ) -> Result<(), Rejection> {
        let (mut max_timestamp, mut records, mut total) = (NO_TIMESTAMP, Vec::new(), 0);
        let judge = |index, shape: Shape| {
            let timestamp = self.base_timestamp.wrapping_add(shape.timestamp_delta);
            max_timestamp = max_timestamp.max(timestamp);
            if let Some(fault) = self.judge(timestamp, shape) {
                total += 1;
                if records.len() < MAX_RECORD_ERRORS {
                    records.push(RejectedRecord { index, fault });
                }
            }
        };
        section.each(workspace, self.count, judge).map_err(Rejection::Records)?;
        self.max_timestamp = max_timestamp;
        if total == 0 { Ok(()) } else { Err(Rejection::NotAllowed { records, total }) }
    }

    /// What is wrong with a record, if anything is.
    fn judge(&self, timestamp: i64, shape: Shape) -> Option<RecordFault> {
        let offset = i64::from(shape.offset_delta);
        let by_producer = self.rules.timestamp_type == TimestampType::CreateTime;
        if !shape.has_key && self.rules.keys == Keys::Required {
            Some(RecordFault::NoKey)
        } else if by_producer && timestamp != NO_TIMESTAMP {
            let allowed = (self.earliest..=self.latest).contains(&timestamp);
            let earliest = self.now_ms.wrapping_sub(self.rules.before_max_ms);
            let latest = self.now_ms.wrapping_add(self.rules.after_max_ms);
            (!allowed).then_some(RecordFault::Timestamp { timestamp, offset, earliest, latest })
        } else {
            self.by_broker.then_some(RecordFault::TimestampType { timestamp, offset })
        }
    }

    /// The timestamp type and the greatest timestamp to be stored.
    fn timestamps(&self) -> (TimestampType, i64) {
        match self.rules.timestamp_type {
            TimestampType::LogAppendTime => (TimestampType::LogAppendTime, self.now_ms),
            TimestampType::CreateTime => (TimestampType::CreateTime, self.max_timestamp),
        }
    }
}

/// Writes a batch anew: with another codec, and with offsets that count up.
fn rebuild(
    mut header: BatchHeader,
    section: &Bytes,
    compressor: Compressor,
    findings: &Findings<'_>,
) -> Result<ValidatedBatch, Rejection> {
    let renumbered;
    let section = if findings.offsets_count_up {
        section
    } else {
        renumbered = renumber(&header, section).map_err(Rejection::Records)?;
        &renumbered
    };
    let body = match compressor {
        Compressor::NONE => section.clone(),
        compressor => compressor.compress(section).map(Bytes::from).map_err(Rejection::Records)?,
    };
    let (kind, max_timestamp) = findings.timestamps();
    header.attributes =
        header.attributes.with_compression(compressor.codec()).with_timestamp_type(kind);
    header.max_timestamp = max_timestamp;
    let batch = assemble(header, &body).map_err(Rejection::Records)?;
    check_size(batch.bytes.len(), findings.rules)?;
    Ok(ValidatedBatch {
        header: batch.header,
        body: batch.bytes.slice(BATCH_HEADER_SIZE..),
        rebuilt: true,
    })
}

/// The same records with offsets 0, 1, 2, …
fn renumber(header: &BatchHeader, section: &Bytes) -> Result<Bytes, RecordError> {
    let mut out = Vec::with_capacity(section.len());
    // Timestamps as they stand in the records, whoever set them.
    let attributes = header.attributes.with_timestamp_type(TimestampType::CreateTime);
    let plain = BatchHeader { attributes, ..header.clone() };
    for (delta, record) in (0..).zip(RecordIter::new(&plain, section)) {
        let record = record?;
        let timestamp_delta = record.timestamp.wrapping_sub(header.base_timestamp);
        let headers: Vec<_> = record.headers.iter().collect();
        let headers = headers.iter().copied();
        write_record(&mut out, timestamp_delta, delta, record.key, record.value, headers);
    }
    Ok(Bytes::from(out))
}

#[cfg(test)]
mod tests;
