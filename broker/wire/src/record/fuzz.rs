//! What a fuzzer calls: each function takes any bytes, and panics if a law does not hold.

use bytes::Bytes;

use super::inspect::Section;
use super::{
    AppendRules, Batch, BatchHeader, Batches, CRC_START, CompressedRecords, Compression, CrcCheck,
    Keys, LOG_OVERHEAD, MAGIC_OFFSET, MAGIC_V2, OldMessage, RecordIter, StoredBatch,
    TargetCompression, TimestampType, Workspace, crc32c, decompress, validate, validate_in,
};

/// The most that anything here may decompress to, in bytes.
pub const LIMIT: usize = 64 << 10;

/// The broker's time where one is needed.
const NOW: i64 = 1_700_000_000_000;

/// Makes length and checksum of the one batch or message in `bytes` right, so that what stands
/// behind them is looked at.
pub fn mend(bytes: &mut [u8]) {
    let Ok(length) = i32::try_from(bytes.len().saturating_sub(LOG_OVERHEAD)) else { return };
    if bytes.len() < CRC_START {
        return;
    }
    bytes[8..LOG_OVERHEAD].copy_from_slice(&length.to_be_bytes());
    if bytes[MAGIC_OFFSET] as i8 == MAGIC_V2 {
        let sum = crc32c(&bytes[CRC_START..]);
        bytes[17..CRC_START].copy_from_slice(&sum.to_be_bytes());
    } else {
        let sum = crc32fast::hash(&bytes[MAGIC_OFFSET..]);
        bytes[LOG_OVERHEAD..MAGIC_OFFSET].copy_from_slice(&sum.to_be_bytes());
    }
}

/// A walk over batches ends, yields what lies in the buffer, and a header is what its bytes say.
pub fn scan(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let mut position = 0;
    for batch in Batches::new(bytes.clone(), CrcCheck::Skip).map_while(Result::ok) {
        assert_eq!(batch.bytes, bytes[position..position + batch.header.size_in_bytes()]);
        assert_eq!(BatchHeader::parse(&batch.header.encode()), Ok(batch.header.clone()));
        position += batch.bytes.len();
        records(&batch);
    }
    let mut rest = bytes;
    while let Ok(batch) = StoredBatch::parse(&rest) {
        let _ = (batch.check_crc(), batch.records(LIMIT));
        rest = rest.split_off(batch.bytes().len());
    }
}

/// Both ways of reading records find the same faults, in a buffer as in a stream.
fn records(batch: &Batch) {
    let count = batch.header.records_count;
    let Ok(codec) = batch.header.compression() else { return };
    let body = batch.records();
    let Ok(section) = batch.uncompressed(LIMIT) else {
        let seen =
            Section::Packed(codec, &body, LIMIT).summary(&mut Workspace::default(), i32::MAX);
        assert!(seen.is_err(), "what cannot be decompressed has no records");
        return;
    };
    let read: Result<Vec<_>, _> = RecordIter::new(&batch.header, &section).collect();
    if count > 0 {
        let seen = Section::Plain(&section).summary(&mut Workspace::default(), count);
        assert_eq!(read.is_ok(), seen.is_ok(), "{read:?} and {seen:?}");
        let streamed =
            Section::Packed(codec, &body, LIMIT).summary(&mut Workspace::default(), count);
        assert_eq!(read.is_ok(), streamed.is_ok(), "{read:?} and {streamed:?}");
    }
    if let Ok(read) = read {
        assert!(read.len() * 7 <= section.len(), "a record takes at least seven bytes");
    }
}

/// What decompresses keeps to the limit.
pub fn decompression(codec: Compression, data: &[u8]) {
    for limit in [0, 100, LIMIT] {
        if let Ok(out) = decompress(codec, data, limit) {
            assert!(out.len() <= limit);
        }
    }
}

/// An old message's records are those of the batch made from it.
pub fn old_message(data: &[u8]) {
    let Ok(message) = OldMessage::parse(&Bytes::copy_from_slice(data)) else { return };
    let _ = message.check_crc();
    let Ok(records) = message.records(LIMIT) else { return };
    // Offsets that do not rise, or not within an i32, fit no batch.
    if let Ok(batch) = message.to_batch(LIMIT) {
        assert_eq!(batch.check_crc(), Ok(()));
        assert_eq!(batch.decode(2 * LIMIT), Ok(records));
    }
}

/// What is accepted can be read, has the offsets that were promised, and is accepted again as it
/// is.
pub fn produce(data: &[u8]) {
    let records = Bytes::copy_from_slice(data);
    let checked = AppendRules {
        compressed_records: CompressedRecords::Checked,
        max_decompressed_bytes: LIMIT,
        ..AppendRules::default()
    };
    let to = |codec: Compression| TargetCompression::Fixed(codec.into());
    let all = [
        AppendRules { compressed_records: CompressedRecords::Trusted, ..checked.clone() },
        AppendRules { keys: Keys::Required, before_max_ms: 60_000, ..checked.clone() },
        AppendRules { timestamp_type: TimestampType::LogAppendTime, ..checked.clone() },
        AppendRules { compression: to(Compression::Lz4), ..checked.clone() },
        AppendRules { compression: to(Compression::None), ..checked.clone() },
        checked,
    ];
    let mut workspace = Workspace::default();
    for rules in &all {
        let answer = validate_in(&mut workspace, &records, rules, 13, NOW);
        // What was read before, perhaps to its middle, must not show.
        assert_eq!(answer, validate(&records, rules, 13, NOW));
        let Ok(valid) = answer else { continue };
        let (header, body) = valid.clone().into_parts();
        let bytes = Bytes::from([&header[..], &body].concat());
        let batch = Batch::parse(&bytes).expect("an accepted batch is one");
        assert_eq!(batch.bytes.len(), bytes.len());
        assert_eq!(batch.check_crc(), Ok(()));
        if rules.compressed_records == CompressedRecords::Trusted {
            continue;
        }
        let read = batch.decode(2 * LIMIT).expect("an accepted batch can be read");
        assert!(read.iter().map(|r| r.offset).eq(0..=batch.header.last_offset()));
        if rules.timestamp_type == TimestampType::CreateTime {
            let max = read.iter().map(|r| r.timestamp).max().unwrap_or(-1).max(-1);
            assert_eq!(batch.header.max_timestamp, max);
            let larger = AppendRules { max_decompressed_bytes: 2 * LIMIT, ..rules.clone() };
            let again = validate(&bytes, &larger, 13, NOW).expect("accepted again");
            assert_eq!(again.into_parts(), valid.into_parts());
        }
    }
}
