//! Prints batches built here, in the form that `tests/golden/records/Records.java` checks: with
//! Kafka's own classes it finds out whether they hold what they should.
//!
//! usage: tests/golden/records/check-ours LIBS
#![allow(clippy::print_stdout, reason = "a program for a pipe")]

use std::fmt::Write;

use ottla_wire::record::{
    Batch, BatchBuilder, Compression, Compressor, EndTxnMarker, HeaderRef, Record, TimestampType,
    TransactionResult, crc32c,
};

const TIME: i64 = 1_700_000_000_000;
const LIMIT: usize = 1 << 24;
const LONGEST_SHOWN: usize = 64;

/// A record as it is put in.
struct Put {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(&'static str, Option<&'static [u8]>)>,
}

fn put(timestamp: i64, key: Option<&str>, value: Option<&str>) -> Put {
    let own = |s: &str| s.as_bytes().to_vec();
    Put { timestamp, key: key.map(own), value: value.map(own), headers: Vec::new() }
}

fn few() -> Vec<Put> {
    let mut headers = put(-1, Some("with"), Some("headers"));
    headers.headers =
        vec![("a", Some(b"1")), ("a", None), ("", Some(b"")), ("ключ", Some(&[0, 255, 127]))];
    vec![
        put(TIME + 2000, Some("key"), Some("value")),
        put(TIME, None, Some("without key")),
        put(TIME + 9000, Some("tombstone"), None),
        put(0, Some(""), Some("")),
        headers,
        put(TIME, None, None),
    ]
}

/// More than one block of every framing.
fn many() -> Vec<Put> {
    let mut seed = 1u32;
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    (0..120)
        .map(|i| Put {
            timestamp: TIME + i,
            key: Some(i.to_be_bytes().to_vec()),
            value: Some((0..2500).map(|_| if i % 3 == 0 { next() } else { b'x' }).collect()),
            headers: Vec::new(),
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

fn text(bytes: Option<&[u8]>) -> String {
    match bytes {
        None => "null".to_owned(),
        Some(b) if b.len() > LONGEST_SHOWN => format!("{}:{:08x}", b.len(), crc32c(b)),
        Some(b) => format!("\"{}\"", hex(b)),
    }
}

fn print(name: &str, batch: &Batch, records: &[String]) {
    let h = &batch.header;
    let kind = match h.timestamp_type() {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    };
    let codec = h.compression().map_or("unknown", Compression::name);
    let transactional = if h.is_transactional() { "t" } else { "" };
    let control = if h.is_control() { "c" } else { "" };
    println!("batches {name} {}", hex(&batch.bytes));
    println!(
        "batch 2 {} {} {codec} {kind} {} {} {} {} -{transactional}{control}",
        h.base_offset,
        h.last_offset(),
        h.max_timestamp,
        h.producer_id,
        h.producer_epoch,
        h.base_sequence
    );
    for record in records {
        println!("{record}");
    }
}

/// The lines that a reader has to find, made from what is put in, not from the batch.
fn show(name: &str, builder: BatchBuilder, base: i64, time: Option<i64>, records: &[Put]) {
    let mut builder = builder;
    let mut lines = Vec::new();
    for (offset, r) in (base..).zip(records) {
        let headers: Vec<_> = r
            .headers
            .iter()
            .map(|(key, value)| HeaderRef { key: key.as_bytes(), value: *value })
            .collect();
        let (key, value) = (r.key.as_deref(), r.value.as_deref());
        builder.append_with_headers(r.timestamp, key, value, &headers);
        let shown: Vec<_> =
            headers.iter().map(|h| format!("{}={}", text(Some(h.key)), text(h.value))).collect();
        let shown = if shown.is_empty() { "none".to_owned() } else { shown.join(",") };
        let timestamp = time.unwrap_or(r.timestamp);
        lines.push(format!("record {offset} {timestamp} {} {} {shown}", text(key), text(value)));
    }
    print(name, &builder.build().expect("a batch that fits"), &lines);
}

fn show_read(name: &str, batch: &Batch) {
    let line = |r: Record| {
        let (key, value) = (text(r.key.as_deref()), text(r.value.as_deref()));
        format!("record {} {} {key} {value} none", r.offset, r.timestamp)
    };
    let lines: Vec<_> =
        batch.decode(LIMIT).expect("readable records").into_iter().map(line).collect();
    print(name, batch, &lines);
}

fn main() {
    for codec in Compression::ALL {
        let name = codec.name();
        for base in [0, 1 << 40] {
            let builder = BatchBuilder::new(base).compression(codec).leader_epoch(7);
            show(&format!("{name}-at-{base}"), builder, base, None, &few());
        }
        let builder = BatchBuilder::new(5).compression(codec).log_append_time(TIME + 77);
        show(&format!("{name}-append-time"), builder, 5, Some(TIME + 77), &few());
        show(&format!("{name}-large"), BatchBuilder::new(0).compression(codec), 0, None, &many());
    }
    let levels = [
        (Compression::Gzip, 1),
        (Compression::Gzip, 9),
        (Compression::Lz4, 1),
        (Compression::Lz4, 17),
        (Compression::Zstd, -50),
        (Compression::Zstd, 22),
    ];
    for (codec, level) in levels {
        let builder = BatchBuilder::new(0).compression(Compressor::with_level(codec, level));
        show(&format!("{}-level-{level}", codec.name()), builder, 0, None, &many());
    }
    let idempotent = BatchBuilder::new(100).producer(4711, 3, i32::MAX - 1);
    show("idempotent", idempotent.clone(), 100, None, &few());
    show("transactional", idempotent.transactional(), 100, None, &few());
    for result in [TransactionResult::Abort, TransactionResult::Commit] {
        let marker = EndTxnMarker { result, coordinator_epoch: 258 };
        let batch = BatchBuilder::end_transaction(50, (4711, 3), TIME, marker).build();
        show_read(&format!("marker-{result:?}"), &batch.expect("a batch that fits"));
    }
}
