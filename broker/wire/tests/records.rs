//! Batches that Kafka's own classes wrote (`golden/records/Records.java`) hold what those
//! classes say.

use std::fmt::Write;

use bytes::Bytes;
use ottla_wire::record::{BatchHeader, Record, StoredBatch, TimestampType, crc32c};

const LIMIT: usize = 1 << 24;
const LONGEST_SHOWN: usize = 64;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, b| {
        write!(out, "{b:02x}").expect("a string");
        out
    })
}

fn from_hex(text: &str) -> Bytes {
    let digit = |b: u8| (b as char).to_digit(16).expect("a hex digit") as u8;
    text.as_bytes().chunks(2).map(|p| digit(p[0]) << 4 | digit(p[1])).collect()
}

fn text(bytes: Option<&Bytes>) -> String {
    match bytes {
        None => "null".to_owned(),
        Some(b) if b.len() > LONGEST_SHOWN => format!("{}:{:08x}", b.len(), crc32c(b)),
        Some(b) => format!("\"{}\"", hex(b)),
    }
}

fn describe_record(record: &Record) -> String {
    let headers: Vec<_> = record
        .headers
        .iter()
        .map(|h| format!("{}={}", text(Some(&h.key)), text(h.value.as_ref())))
        .collect();
    let headers = if headers.is_empty() { "none".to_owned() } else { headers.join(",") };
    let (key, value) = (text(record.key.as_ref()), text(record.value.as_ref()));
    format!("record {} {} {key} {value} {headers}", record.offset, record.timestamp)
}

fn time_name(kind: TimestampType) -> &'static str {
    match kind {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    }
}

fn describe_batch(batch: &StoredBatch, records: &[Record]) -> String {
    match batch {
        StoredBatch::Current(batch) => describe_current(&batch.header),
        StoredBatch::Old(m) => {
            let kind = if m.magic == 0 { "NoTimestampType" } else { time_name(m.timestamp_type()) };
            let codec = m.compression().expect("a codec").name();
            let (magic, first) = (m.magic, records[0].offset);
            let (last, time) = (m.offset, m.timestamp);
            format!("batch {magic} {first} {last} {codec} {kind} {time} -1 -1 -1 -")
        }
    }
}

fn describe_current(h: &BatchHeader) -> String {
    let mut flags = "-".to_owned();
    if h.is_transactional() {
        flags.push('t');
    }
    if h.is_control() {
        flags.push('c');
    }
    if let Some(horizon) = h.delete_horizon() {
        write!(flags, "d{horizon}").expect("a string");
    }
    let (base, last, max, sequence) =
        (h.base_offset, h.last_offset(), h.max_timestamp, h.base_sequence);
    let (codec, kind) = (h.compression().expect("a codec").name(), time_name(h.timestamp_type()));
    let (id, epoch) = (h.producer_id, h.producer_epoch);
    format!("batch 2 {base} {last} {codec} {kind} {max} {id} {epoch} {sequence} {flags}")
}

fn describe(mut bytes: Bytes) -> Vec<String> {
    let mut lines = Vec::new();
    while !bytes.is_empty() {
        let batch = StoredBatch::parse(&bytes).expect("a batch");
        batch.check_crc().expect("the right checksum");
        let records = batch.records(LIMIT).expect("readable records");
        lines.push(describe_batch(&batch, &records));
        lines.extend(records.iter().map(describe_record));
        if let StoredBatch::Old(message) = &batch {
            let current = message.to_batch(LIMIT).expect("a batch of the current format");
            assert_eq!(current.decode(LIMIT).expect("readable records"), records);
        }
        bytes = bytes.split_off(batch.bytes().len());
    }
    lines
}

#[test]
fn batches_of_kafkas_classes_hold_what_they_say() {
    let mut lines = include_str!("golden/records/records.txt").lines().peekable();
    let mut cases = 0;
    while let Some(line) = lines.next() {
        let (name, bytes) = line
            .strip_prefix("batches ")
            .and_then(|l| l.split_once(' '))
            .expect("a line that starts a case");
        let found = describe(from_hex(bytes));
        for line in found {
            assert_eq!(Some(line.as_str()), lines.next(), "{name}");
        }
        assert!(lines.peek().is_none_or(|l| l.starts_with("batches ")), "{name}: more expected");
        cases += 1;
    }
    assert_eq!(cases, 69);
}
