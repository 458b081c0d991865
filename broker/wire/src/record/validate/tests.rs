use super::*;
use crate::ErrorCode;
use crate::record::{Batch, BatchBuilder, Record};

const NOW: i64 = 1_700_000_000_000;
const HOUR: i64 = 3_600_000;
const LATEST: i16 = 13;

fn sample(codec: Compression) -> Batch {
    let mut builder = BatchBuilder::new(0).compression(codec);
    for i in 0..10 {
        builder.append(NOW + i, Some(b"key"), Some(&[7; 100]));
    }
    builder.build().unwrap()
}

fn check(batch: &Batch, rules: &AppendRules) -> Result<ValidatedBatch, Rejection> {
    validate(&batch.bytes, rules, LATEST, NOW)
}

/// The batch as it would be stored.
fn stored(valid: ValidatedBatch) -> Batch {
    let (header, body) = valid.into_parts();
    let batch = Batch::parse(&Bytes::from([&header[..], &body].concat())).unwrap();
    batch.check_crc().unwrap();
    batch
}

fn decode(batch: &Batch) -> Vec<Record> {
    batch.decode(1 << 20).unwrap()
}

fn hex(text: &str) -> Bytes {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn rules_of(topic: &str) -> AppendRules {
    let rules =
        AppendRules { compressed_records: CompressedRecords::Checked, ..AppendRules::default() };
    let fixed = |codec| TargetCompression::Fixed(Compressor::new(codec));
    match topic {
        "d" => rules,
        "c" => AppendRules { keys: Keys::Required, ..rules },
        "small" => AppendRules { max_message_bytes: 300, ..rules },
        "lat" => AppendRules { timestamp_type: TimestampType::LogAppendTime, ..rules },
        "bef" => AppendRules { before_max_ms: 60_000, ..rules },
        "gz" => AppendRules { compression: fixed(Compression::Gzip), ..rules },
        "unc" => AppendRules { compression: fixed(Compression::None), ..rules },
        other => panic!("unknown topic {other}"),
    }
}

/// What Kafka answered to each of these, as `tests/golden/records/produce_answers.py` saw it.
#[test]
fn answers_as_kafka_does() {
    let answers = include_str!("../../../tests/golden/records/produce-answers.tsv");
    let mut seen = 0;
    for line in answers.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let [name, version, topic, made_at, records, code, rejected, message] = fields[..] else {
            panic!("not eight fields: {line}");
        };
        // Kafka says UNKNOWN_SERVER_ERROR where decompression or rebuilding throws; a client
        // is better told what is wrong.
        let expected = match (name, code) {
            ("codec 5" | "codec 7", "-1") => ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
            (_, "-1") => ErrorCode::INVALID_RECORD,
            (_, code) => ErrorCode(code.parse().unwrap()),
        };
        let (version, now) = (version.parse().unwrap(), made_at.parse().unwrap());
        let answer = validate(&hex(records), &rules_of(topic), version, now);
        let got = answer.as_ref().map_or_else(Rejection::code, |_| ErrorCode::NONE);
        assert_eq!(got, expected, "{name}, version {version}, topic {topic}: {answer:?}");
        match answer {
            Ok(valid) => drop(stored(valid)),
            Err(rejection) => {
                let indexes: Vec<_> =
                    rejection.records().iter().map(|r| r.index.to_string()).collect();
                // Version 8 is the first that tells.
                if version >= 8 {
                    assert_eq!(indexes.join(","), rejected, "{name}");
                }
                // Where whole requests fail Kafka says more than for a partition.
                if code != "2" {
                    let text = rejection.message(format!("{topic}-0")).unwrap_or_default();
                    assert_eq!(text, message, "{name}");
                }
            }
        }
        seen += 1;
    }
    assert_eq!(seen, 125);
}

#[test]
fn messages_of_records_are_kafkas() {
    let text = |fault| RejectedRecord { index: 0, fault }.message("d-0");
    assert_eq!(
        text(RecordFault::Timestamp { timestamp: 5, offset: 1, earliest: 7, latest: 9 }),
        "Timestamp 5 of message with offset 1 is out of range. The timestamp should be within [7, 9]"
    );
    assert_eq!(
        text(RecordFault::NoKey),
        "Compacted topic cannot accept message without key in topic partition d-0"
    );
    assert!(
        text(RecordFault::TimestampType { timestamp: -1, offset: 0 })
            .starts_with("Invalid timestamp type in message DefaultRecord(offset=0, timestamp=-1")
    );
}

#[test]
fn an_ordinary_batch_is_not_touched() {
    for codec in Compression::ALL {
        let batch = sample(codec);
        let valid = check(&batch, &AppendRules::default()).unwrap();
        assert_eq!(valid.header(), &batch.header);
        assert_eq!(valid.body().as_ptr(), batch.records().as_ptr(), "no copy");
        assert!(!valid.is_rebuilt());
        let compressed_records = CompressedRecords::Checked;
        let checked = AppendRules { compressed_records, ..AppendRules::default() };
        assert_eq!(check(&batch, &checked), Ok(valid));
    }
}

#[test]
fn a_cut_off_rest_is_dropped() {
    let batch = sample(Compression::None);
    let more = Bytes::from([&batch.bytes[..], &batch.bytes[..70]].concat());
    let valid = validate(&more, &AppendRules::default(), LATEST, NOW).unwrap();
    assert_eq!(stored(valid).bytes, batch.bytes);
}

#[test]
fn log_append_time_is_set_in_place() {
    let rules =
        AppendRules { timestamp_type: TimestampType::LogAppendTime, ..AppendRules::default() };
    for codec in Compression::ALL {
        let batch = sample(codec);
        let valid = validate(&batch.bytes, &rules, LATEST, NOW + HOUR).unwrap();
        assert_eq!(valid.body().as_ptr(), batch.records().as_ptr(), "no copy");
        let batch = stored(valid);
        assert_eq!(batch.header.timestamp_type(), TimestampType::LogAppendTime);
        assert_eq!(batch.header.max_timestamp, NOW + HOUR);
        assert!(decode(&batch).iter().all(|r| r.timestamp == NOW + HOUR));
    }
}

#[test]
fn a_wrong_greatest_timestamp_is_put_right() {
    let mut header = sample(Compression::None).header;
    header.max_timestamp = NOW + 2 * HOUR;
    for codec in Compression::ALL {
        let mut header = header.clone();
        header.attributes = header.attributes.with_compression(codec);
        let batch = assemble(header, &sample(codec).records()).unwrap();
        let valid = check(&batch, &AppendRules::default()).unwrap();
        assert_eq!(stored(valid).header.max_timestamp, NOW + 9, "{codec:?}");
    }
}

#[test]
fn codecs_are_converted_to_the_topics() {
    for from in Compression::ALL {
        for to in Compression::ALL {
            let target = Compressor::new(to);
            let compression = TargetCompression::Fixed(target);
            let rules = AppendRules { compression, ..AppendRules::default() };
            let batch = sample(from);
            let valid = check(&batch, &rules).unwrap();
            assert_eq!(valid.is_rebuilt(), from != to);
            let converted = stored(valid);
            assert_eq!(converted.header.compression(), Ok(to));
            assert_eq!(decode(&converted), decode(&batch));
        }
    }
}

#[test]
fn a_batch_that_grew_too_large_is_refused() {
    let batch = sample(Compression::Gzip);
    let rules = AppendRules {
        compression: TargetCompression::Fixed(Compressor::NONE),
        max_message_bytes: 500,
        ..AppendRules::default()
    };
    assert!(batch.bytes.len() < 500);
    assert_eq!(check(&batch, &rules).unwrap_err().code(), ErrorCode::MESSAGE_TOO_LARGE);
}

#[test]
fn offsets_are_made_to_count_up() {
    let mut section = Vec::new();
    for delta in [0, 0, 7] {
        write_record(&mut section, 3, delta, Some(b"k"), Some(b"v"), std::iter::empty());
    }
    let header = BatchHeader {
        last_offset_delta: 2,
        records_count: 3,
        base_timestamp: NOW,
        ..BatchHeader::default()
    };
    let batch = assemble(header, &section).unwrap();
    let valid = check(&batch, &AppendRules::default()).unwrap();
    assert!(valid.is_rebuilt());
    let records = decode(&stored(valid));
    assert_eq!(records.iter().map(|r| r.offset).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(records.iter().all(|r| r.timestamp == NOW + 3));
}

#[test]
fn trusted_batches_are_opened_where_a_rule_needs_it() {
    let keyless = |codec| {
        let mut builder = BatchBuilder::new(0).compression(codec);
        builder.append(NOW - HOUR, None, Some(b"v"));
        builder.append(NOW, Some(b"k"), Some(b"v"));
        builder.build().unwrap()
    };
    for codec in Compression::ALL {
        let compacted = AppendRules { keys: Keys::Required, ..AppendRules::default() };
        let rejection = check(&keyless(codec), &compacted).unwrap_err();
        let fault = RecordFault::NoKey;
        assert_eq!(rejection.records(), [RejectedRecord { index: 0, fault }]);
        let fresh = AppendRules { before_max_ms: 60_000, ..AppendRules::default() };
        let rejection = check(&keyless(codec), &fresh).unwrap_err();
        assert_eq!(rejection.code(), ErrorCode::INVALID_TIMESTAMP);
        assert!(check(&keyless(codec), &AppendRules::default()).is_ok());
    }
    // Nonsense under a right checksum: the price of trust.
    let mut header = sample(Compression::None).header;
    header.attributes = header.attributes.with_compression(Compression::Lz4);
    let nonsense = assemble(header, b"nonsense").unwrap();
    assert!(check(&nonsense, &AppendRules::default()).is_ok());
    let compressed_records = CompressedRecords::Checked;
    let checked = AppendRules { compressed_records, ..AppendRules::default() };
    assert_eq!(check(&nonsense, &checked).unwrap_err().code(), ErrorCode::INVALID_RECORD);
}

#[test]
fn large_records_are_checked_across_chunks() {
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let mut builder = BatchBuilder::new(0).compression(codec);
        for i in 0..200usize {
            let value: Vec<u8> = (0..i * i * 3).map(|j| ((j * i) >> 3) as u8).collect();
            let header = super::super::HeaderRef { key: b"h", value: Some(&value) };
            builder.append_with_headers(NOW, Some(&value), Some(&value), &[header; 2]);
        }
        let batch = builder.build().unwrap();
        let rules = AppendRules {
            max_message_bytes: usize::MAX,
            compressed_records: CompressedRecords::Checked,
            ..AppendRules::default()
        };
        assert!(check(&batch, &rules).is_ok(), "{codec:?}");
        let bound = AppendRules { max_decompressed_bytes: 1 << 20, ..rules };
        let error = check(&batch, &bound).unwrap_err();
        let limit = 1 << 20;
        assert_eq!(error, Rejection::Records(RecordError::DecompressedTooLarge { limit }));
    }
}

#[test]
fn rejected_records_are_counted_but_not_all_named() {
    let mut builder = BatchBuilder::new(0);
    for _ in 0..5000 {
        builder.append(NOW, None, None);
    }
    let rules = AppendRules { keys: Keys::Required, ..AppendRules::default() };
    let rejection = check(&builder.build().unwrap(), &rules).unwrap_err();
    assert_eq!(rejection.records().len(), MAX_RECORD_ERRORS);
    let message = rejection.message("t-0").unwrap();
    assert!(message.contains("due to 5000 record errors in total"), "{message}");
}
