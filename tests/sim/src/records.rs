//! What producers write, and how it is told apart.

use bytes::Bytes;
use ottla_log::Log;
use ottla_log::log::{AppendBatch, AtLeast};
use ottla_wire::record::{Batch, BatchBuilder, Batches, CrcCheck, EndTxnMarker, crc32c};

use crate::invariant::transactions::Known;
use crate::message::Mark;

/// A record's place in its producer's own order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The epoch of the leader that took it.
    pub epoch: i32,
    /// The producer; -1 for a coordinator, and for one who writes transactions.
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

/// A batch of `count` records of a producer's transaction, from `sequence` on.
pub fn transactional(
    (producer, epoch): (i64, i16),
    partition: i32,
    sequence: i32,
    count: i32,
    at: i64,
) -> Option<Bytes> {
    let mut builder = BatchBuilder::new(0).producer(producer, epoch, sequence).transactional();
    for i in 0..count {
        let value = format!("{epoch}:{}", value(producer, partition, sequence + i));
        builder.append(at, None, Some(value.as_bytes()));
    }
    Some(builder.build().ok()?.bytes)
}

/// The batch with the marker that ends a transaction.
pub fn marker(mark: &Mark, at: i64) -> Option<AppendBatch> {
    let Mark { producer, result, coordinator_epoch, .. } = *mark;
    let marker = EndTxnMarker { result, coordinator_epoch };
    let batch = BatchBuilder::end_transaction(0, producer, at, marker).build().ok()?;
    split(&batch.bytes)
}

/// What batches, the last of which may be cut short, hold of transactions.
pub fn known(bytes: &Bytes, partition: i32) -> Result<Vec<(i64, Known)>, String> {
    let mut all = Vec::new();
    for found in Batches::new(bytes.clone(), CrcCheck::Verify) {
        let Ok(found) = found else { break };
        let (producer, epoch) = (found.header.producer_id, found.header.producer_epoch);
        for (i, record) in
            found.decode(1 << 20).map_err(|e| format!("a batch: {e}"))?.into_iter().enumerate()
        {
            let (key, said) = (record.key.unwrap_or_default(), record.value.unwrap_or_default());
            let what = if found.header.is_control() {
                let marker = EndTxnMarker::from_record(&key, &said).map_err(|e| e.to_string())?;
                let result = marker.ok_or("a control record that is no marker")?.result;
                Known::End { producer, epoch, result }
            } else if found.header.is_transactional() {
                let sequence = found.header.base_sequence + i as i32;
                let wanted = format!("{epoch}:{}", value(producer, partition, sequence));
                if said != wanted.as_bytes() {
                    return Err(format!(
                        "the record at {} is {said:?}, not {wanted}",
                        record.offset
                    ));
                }
                Known::Data { producer, epoch, sequence }
            } else {
                Known::Other
            };
            all.push((record.offset, what));
        }
    }
    Ok(all)
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
        if header.producer_id < 0 || header.is_transactional() {
            // A coordinator's, or of a transaction. Told apart by what it says.
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
