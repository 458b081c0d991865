//! The file form of all producers' state: version, checksum of the rest, number of entries,
//! entries of 46 bytes.

use super::{BatchMeta, ProducerEntry};

const VERSION: i16 = 1;
const HEADER: usize = 2 + 4 + 4;
const ENTRY: usize = 46;
/// Longest snapshot that is read: some 23 million producers.
pub const MAX_LEN: u64 = 1 << 30;

/// Writes a snapshot.
#[must_use]
pub fn encode(entries: &[ProducerEntry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + entries.len() * ENTRY);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(entries.len() as i32).to_be_bytes());
    for entry in entries {
        let last = entry.last();
        out.extend_from_slice(&entry.producer_id.to_be_bytes());
        out.extend_from_slice(&entry.epoch.to_be_bytes());
        out.extend_from_slice(&entry.last_sequence().to_be_bytes());
        out.extend_from_slice(&last.map_or(-1, |b| b.last_offset).to_be_bytes());
        out.extend_from_slice(&last.map_or(0, |b| b.offset_delta).to_be_bytes());
        out.extend_from_slice(&entry.last_timestamp.to_be_bytes());
        out.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
        out.extend_from_slice(&entry.txn_first_offset().unwrap_or(-1).to_be_bytes());
    }
    let crc = ottla_wire::record::crc32c(&out[6..]);
    out[2..6].copy_from_slice(&crc.to_be_bytes());
    out
}

/// Reads a snapshot; `None` when it is damaged or of an unknown version.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<Vec<ProducerEntry>> {
    let (header, body) = bytes.split_at_checked(HEADER)?;
    let version = i16::from_be_bytes(header.get(..2)?.try_into().ok()?);
    let crc = u32::from_be_bytes(header.get(2..6)?.try_into().ok()?);
    let count = u32::from_be_bytes(header.get(6..)?.try_into().ok()?) as usize;
    if version != VERSION
        || ottla_wire::record::crc32c(&bytes[6..]) != crc
        || body.len() != count * ENTRY
    {
        return None;
    }
    body.chunks_exact(ENTRY).map(entry).collect()
}

fn entry(b: &[u8]) -> Option<ProducerEntry> {
    let i64_at = |at: usize| Some(i64::from_be_bytes(b.get(at..at + 8)?.try_into().ok()?));
    let i32_at = |at: usize| Some(i32::from_be_bytes(b.get(at..at + 4)?.try_into().ok()?));
    let mut entry = ProducerEntry::new(i64_at(0)?);
    entry.epoch = i16::from_be_bytes(b.get(8..10)?.try_into().ok()?);
    entry.last_timestamp = i64_at(26)?;
    entry.coordinator_epoch = i32_at(34)?;
    let last = BatchMeta {
        last_sequence: i32_at(10)?,
        last_offset: i64_at(14)?,
        offset_delta: i32_at(22)?,
        timestamp: entry.last_timestamp,
    };
    let txn_first = Some(i64_at(38)?).filter(|first| *first >= 0);
    Some(entry.with_last((last.last_offset >= 0).then_some(last), txn_first))
}
