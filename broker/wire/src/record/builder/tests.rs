use proptest::prelude::*;

use super::*;
use crate::record::{
    Batches, Compression, ControlType, CrcCheck, Record, RecordHeader, RecordIter,
    TransactionResult,
};

const LIMIT: usize = 1 << 24;

fn bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from)
}

fn header() -> impl Strategy<Value = RecordHeader> {
    (bytes(), prop::option::of(bytes())).prop_map(|(key, value)| RecordHeader { key, value })
}

/// Records without offsets; timestamps reach from the ordinary to the absurd.
fn records() -> impl Strategy<Value = Vec<Record>> {
    let timestamp = prop_oneof![0..2_000_000_000_000i64, Just(-1), any::<i64>()];
    let headers = prop::collection::vec(header(), 0..4);
    let record =
        (timestamp, prop::option::of(bytes()), prop::option::of(bytes()), headers).prop_map(
            |(timestamp, key, value, headers)| Record { offset: 0, timestamp, key, value, headers },
        );
    prop::collection::vec(record, 1..30)
}

fn build(builder: BatchBuilder, records: &[Record]) -> Batch {
    let mut builder = builder;
    for r in records {
        let headers: Vec<_> = r
            .headers
            .iter()
            .map(|h| HeaderRef { key: &h.key, value: h.value.as_deref() })
            .collect();
        builder.append_with_headers(r.timestamp, r.key.as_deref(), r.value.as_deref(), &headers);
    }
    builder.build().unwrap()
}

proptest! {
    #[test]
    fn records_survive_every_codec(mut records in records(), base in 0..1i64 << 60) {
        for (i, r) in records.iter_mut().enumerate() {
            r.offset = base + i as i64;
        }
        for codec in Compression::ALL {
            let batch = build(BatchBuilder::new(base).compression(codec), &records);
            prop_assert_eq!(batch.check_crc(), Ok(()));
            prop_assert_eq!(batch.header.size_in_bytes(), batch.bytes.len());
            prop_assert_eq!(batch.header.last_offset(), base + records.len() as i64 - 1);
            let max = records.iter().map(|r| r.timestamp).max().unwrap_or(-1).max(-1);
            prop_assert_eq!(batch.header.max_timestamp, max);
            prop_assert_eq!(batch.decode(LIMIT).unwrap(), records.clone());
        }
    }

    #[test]
    fn batches_in_a_row_are_found_again(parts in prop::collection::vec(records(), 1..5)) {
        let mut next = 0;
        let mut all = Vec::new();
        for part in &parts {
            let batch = build(BatchBuilder::new(next), part);
            next = batch.header.next_offset();
            all.extend_from_slice(&batch.bytes);
        }
        let read: Result<Vec<_>, _> = Batches::new(all.into(), CrcCheck::Verify).collect();
        let read = read.unwrap();
        prop_assert_eq!(read.len(), parts.len());
        prop_assert_eq!(read.last().unwrap().header.next_offset(), next);
    }
}

#[test]
fn fields_of_the_producer_stand_in_the_header() {
    let mut builder =
        BatchBuilder::new(10).leader_epoch(4).producer(77, 3, i32::MAX).transactional();
    builder.append(5, Some(b"k"), None);
    builder.append(3, None, Some(b"v"));
    assert_eq!((builder.count(), builder.uncompressed_size()), (2, 61 + 16));
    let header = builder.build().unwrap().header;
    assert_eq!(header.partition_leader_epoch, 4);
    assert_eq!((header.producer_id, header.producer_epoch), (77, 3));
    assert_eq!((header.base_sequence, header.last_sequence()), (i32::MAX, 0));
    assert!(header.is_transactional() && !header.is_control());
    assert_eq!((header.base_timestamp, header.max_timestamp), (5, 5));
}

#[test]
fn log_append_time_holds_for_every_record() {
    let mut builder = BatchBuilder::new(0).log_append_time(99);
    builder.append(5, None, None);
    builder.append(7, None, None);
    let batch = builder.build().unwrap();
    assert_eq!(batch.header.timestamp_type(), TimestampType::LogAppendTime);
    assert!(batch.decode(LIMIT).unwrap().iter().all(|r| r.timestamp == 99));
}

#[test]
fn offsets_may_have_gaps_but_must_rise() {
    let mut source = BatchBuilder::new(100);
    for i in 0..5 {
        source.append(i, Some(b"k"), Some(b"v"));
    }
    let source = source.build().unwrap();
    let section = source.records();
    let records: Vec<_> =
        RecordIter::new(&source.header, &section).collect::<Result<_, _>>().unwrap();
    let mut thinned = BatchBuilder::new(100);
    thinned.append_at(&records[1]);
    thinned.append_at(&records[4]);
    let thinned = thinned.build().unwrap();
    let offsets: Vec<_> = thinned.decode(LIMIT).unwrap().iter().map(|r| r.offset).collect();
    assert_eq!(offsets, [101, 104]);
    assert_eq!(thinned.header.last_offset(), 104);

    let mut falling = BatchBuilder::new(100);
    falling.append_at(&records[3]);
    falling.append_at(&records[1]);
    assert!(matches!(falling.build(), Err(RecordError::DoesNotFit(_))));
    let mut far = BatchBuilder::new(-1 << 40);
    far.append_at(&records[0]);
    assert!(matches!(far.build(), Err(RecordError::DoesNotFit(_))));
    assert!(matches!(BatchBuilder::new(0).build(), Err(RecordError::DoesNotFit(_))));
}

#[test]
fn transaction_markers_are_control_batches() {
    let marker = EndTxnMarker { result: TransactionResult::Commit, coordinator_epoch: 9 };
    let batch = BatchBuilder::end_transaction(50, (7, 2), 1234, marker).build().unwrap();
    let header = &batch.header;
    assert!(header.is_control() && header.is_transactional());
    assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (7, 2, -1));
    let record = batch.decode(LIMIT).unwrap().remove(0);
    let (key, value) = (record.key.unwrap(), record.value.unwrap());
    assert_eq!(ControlType::from_key(&key).unwrap(), ControlType::Commit);
    assert_eq!(EndTxnMarker::from_record(&key, &value).unwrap(), Some(marker));
}

#[test]
fn a_section_that_lies_is_an_error() {
    let mut builder = BatchBuilder::new(0);
    builder.append(0, Some(b"key"), Some(b"value"));
    builder.append(0, Some(b"key"), Some(b"value"));
    let batch = builder.build().unwrap();
    let section = batch.records();
    let read = |count: i32, section: &[u8]| {
        let header = BatchHeader { records_count: count, ..batch.header.clone() };
        RecordIter::new(&header, section).collect::<Result<Vec<_>, _>>().map(|r| r.len())
    };
    assert_eq!(read(2, &section), Ok(2));
    for count in [i32::MIN, -1, 1, 3, i32::MAX] {
        assert!(read(count, &section).is_err(), "count {count}");
    }
    for n in 0..section.len() {
        assert!(read(2, &section[..n]).is_err(), "cut at {n}");
    }
    // A length of -1; headers: -1, and more than there are; a header key of length -1.
    for bad in [
        &[1u8][..],
        &[12, 0, 0, 0, 1, 1, 1],
        &[12, 0, 0, 0, 1, 1, 8],
        &[16, 0, 0, 0, 1, 1, 2, 1, 1],
    ] {
        assert!(read(1, bad).is_err(), "{bad:?}");
    }
    assert_eq!(read(1, &[12, 0, 0, 0, 1, 1, 0]), Ok(1));
    assert!(read(1, &[14, 0, 0, 0, 1, 1, 0, 0]).is_err(), "a byte too many in the record");
}
