//! Batches that compaction leaves: some of another batch's records, or none.

use super::builder::assemble;
use super::record::write_record;
use super::{
    Batch, BatchHeader, Compression, Compressor, NO_TIMESTAMP, RecordError, RecordRef,
    TimestampType,
};

/// A batch with the given records of `original`, and else all that `original` says: offsets,
/// sequence numbers, codec and marks stay. `horizon` is the time from which on its tombstones or
/// marker may go (KIP-534); it takes the base timestamp's place.
pub fn rewrite(
    original: &BatchHeader,
    kept: &[RecordRef<'_>],
    horizon: Option<i64>,
) -> Result<Batch, RecordError> {
    let Some(first) = kept.first() else { return emptied(original) };
    let mut header = original.clone();
    header.base_timestamp = horizon.unwrap_or(first.timestamp);
    if horizon.is_some() {
        header.attributes = header.attributes.delete_horizon();
    }
    if original.timestamp_type() == TimestampType::CreateTime {
        header.max_timestamp = kept.iter().map(|r| r.timestamp).max().unwrap_or(NO_TIMESTAMP);
    }
    const FAULT: RecordError = RecordError::DoesNotFit("record outside of its batch");
    let mut section = Vec::new();
    for record in kept {
        let delta = record.offset.checked_sub(header.base_offset);
        let Some(delta) = delta.and_then(|d| i32::try_from(d).ok()) else { return Err(FAULT) };
        let since = record.timestamp.wrapping_sub(header.base_timestamp);
        let headers: Vec<_> = record.headers.iter().collect();
        let headers = headers.iter().copied();
        write_record(&mut section, since, delta, record.key, record.value, headers);
    }
    header.records_count = i32::try_from(kept.len()).map_err(|_| FAULT)?;
    let compressor = Compressor::new(header.compression()?);
    match compressor.codec() {
        Compression::None => assemble(header, &section),
        _ => assemble(header, &compressor.compress(&section)?),
    }
}

/// A batch without records that keeps the place of `original`: its offsets and its producer's
/// sequence numbers.
pub fn emptied(original: &BatchHeader) -> Result<Batch, RecordError> {
    let mut header = original.clone();
    header.attributes =
        header.attributes.without_delete_horizon().with_compression(Compression::None);
    header.base_timestamp = original.max_timestamp;
    header.records_count = 0;
    assemble(header, &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, RecordIter};

    fn batch(codec: Compression) -> Batch {
        let mut builder = BatchBuilder::new(10).compression(codec).producer(5, 1, 100);
        for i in 0..4u8 {
            builder.append(1000 + i64::from(i), Some(&[i]), Some(b"value"));
        }
        builder.build().expect("batch")
    }

    #[test]
    fn keeps_offsets_and_times() {
        for codec in Compression::ALL {
            let original = batch(codec);
            let section = original.uncompressed(1000).expect("section");
            let all: Vec<_> = RecordIter::new(&original.header, &section).flatten().collect();
            for horizon in [None, Some(500)] {
                let less = rewrite(&original.header, &[all[1], all[2]], horizon).expect("rewrite");
                less.check_crc().expect("checksum");
                assert_eq!(less.header.base_offset, 10);
                assert_eq!(less.header.last_offset(), 13);
                assert_eq!(less.header.last_sequence(), 103);
                assert_eq!(less.header.delete_horizon(), horizon);
                assert_eq!(less.header.max_timestamp, 1002);
                let section = less.uncompressed(1000).expect("section");
                let kept: Vec<_> = RecordIter::new(&less.header, &section).flatten().collect();
                assert_eq!(kept, [all[1], all[2]]);
            }
        }
    }

    #[test]
    fn keeps_the_place_of_nothing() {
        let original = batch(Compression::Zstd);
        let empty = emptied(&original.header).expect("empty");
        empty.check_crc().expect("checksum");
        assert_eq!(empty.bytes.len(), 61);
        assert_eq!((empty.header.base_offset, empty.header.last_offset()), (10, 13));
        assert_eq!(empty.header.last_sequence(), 103);
        assert_eq!(empty.header.records_count, 0);
    }
}
