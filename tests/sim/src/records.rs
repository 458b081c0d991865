//! What producers write, and how it is told apart.

use bytes::Bytes;
use ottla_log::Log;
use ottla_log::log::{AppendBatch, AtLeast};
use ottla_wire::record::{Batch, BatchBuilder, Batches, CrcCheck, crc32c};

/// A record's place in its producer's own order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The epoch of the leader that took it.
    pub epoch: i32,
    /// The producer; -1 for a coordinator.
    pub producer: i64,
    /// How many records it wrote to the partition before; of a coordinator's a sum of what it says.
    pub sequence: i32,
}

const EPOCH: i16 = 0;

/// A batch of `count` records of a producer, from `sequence` on.
pub fn batch(producer: i64, partition: i32, sequence: i32, count: i32, at: i64) -> Option<Bytes> {
    let mut builder = BatchBuilder::new(0).producer(producer, EPOCH, sequence);
    for i in 0..count {
        let value = value(producer, partition, sequence + i);
        builder.append(at, None, Some(value.as_bytes()));
    }
    Some(builder.build().ok()?.bytes)
}

fn value(producer: i64, partition: i32, sequence: i32) -> String {
    // Lengths differ, so that a shifted read does not look right.
    let fill = ".".repeat(sequence.rem_euclid(40) as usize);
    format!("{producer}/{partition}/{sequence}/{fill}")
}

/// Splits a batch as a leader appends it.
pub fn split(batch: &Bytes) -> Option<AppendBatch> {
    AppendBatch::split(batch).ok()
}

/// The records of batches, the last of which may be cut short, with their offsets.
pub fn entries(bytes: &Bytes, partition: i32) -> Result<Vec<(i64, Entry)>, String> {
    let mut all = Vec::new();
    for found in Batches::new(bytes.clone(), CrcCheck::Verify) {
        let Ok(found) = found else { break };
        all.extend(of_batch(&found, partition)?);
    }
    Ok(all)
}

fn of_batch(batch: &Batch, partition: i32) -> Result<Vec<(i64, Entry)>, String> {
    let header = &batch.header;
    let records = batch.decode(1 << 20).map_err(|e| format!("a batch: {e}"))?;
    let mut all = Vec::with_capacity(records.len());
    for (i, record) in records.into_iter().enumerate() {
        let epoch = header.partition_leader_epoch;
        if header.producer_id < 0 {
            // A coordinator's. Told apart by what it says.
            let parts = [record.key.unwrap_or_default(), record.value.unwrap_or_default()];
            let sequence = crc32c(&parts.concat()) as i32;
            all.push((record.offset, Entry { epoch, producer: -1, sequence }));
            continue;
        }
        let sequence = header.base_sequence + i as i32;
        let wanted = value(header.producer_id, partition, sequence);
        if record.value.as_deref() != Some(wanted.as_bytes()) {
            return Err(format!(
                "the record at {} is {:?}, not {wanted}",
                record.offset, record.value
            ));
        }
        all.push((record.offset, Entry { epoch, producer: header.producer_id, sequence }));
    }
    Ok(all)
}

/// The records of a log from `from` on, below `to`.
pub fn read(log: &Log, partition: i32, from: i64, to: i64) -> Result<Vec<(i64, Entry)>, String> {
    let mut all: Vec<(i64, Entry)> = Vec::new();
    let mut at = from;
    while at < to {
        let found = log.read(at, 1 << 16, i64::MAX, AtLeast::OneBatch);
        let found = found.map_err(|e| format!("reading at {at}: {e}"))?;
        let Some(slice) = found.slice else { break };
        let bytes = slice.read().map_err(|e| format!("reading at {at}: {e}"))?;
        let got = entries(&Bytes::from(bytes), partition)?;
        let Some((last, _)) = got.last().copied() else { break };
        all.extend(got.into_iter().filter(|(offset, _)| *offset >= at && *offset < to));
        at = last + 1;
    }
    let expected = from..to;
    let offsets = all.iter().map(|(offset, _)| *offset);
    if !offsets.eq(expected) {
        return Err(format!("{} records between {from} and {to}", all.len()));
    }
    Ok(all)
}
