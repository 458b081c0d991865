//! What validating a produced batch costs, beside its checksum alone.
//!
//! usage: cargo run --release -p ottla-wire --example validate_cost
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement for people")]

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use ottla_wire::record::{
    AppendRules, Batch, BatchBuilder, CompressedRecords, Compression, Compressor, RecordIter,
    TargetCompression, TimestampType, Workspace, crc32c, validate_in,
};

const NOW: i64 = 1_700_000_000_000;
const LIMIT: usize = 1 << 30;

/// Best of many short rounds, in nanoseconds a call: long rounds would measure what else runs.
fn measure(mut call: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    let mut n = 1;
    for _ in 0..400 {
        let start = Instant::now();
        for _ in 0..n {
            call();
        }
        let took = start.elapsed().as_nanos() as f64;
        best = best.min(took / f64::from(n));
        n = ((3e5 / best) as u32).clamp(1, 100_000);
    }
    best
}

fn batch(records: usize, size: usize, codec: Compression) -> Batch {
    let words = b"the quick brown fox jumps over the lazy dog and runs ";
    let mut builder = BatchBuilder::new(0).compression(codec);
    let mut seed = 1u32;
    for i in 0..records {
        let value: Vec<u8> = (0..size)
            .map(|j| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if seed >> 29 == 0 { (seed >> 20) as u8 } else { words[(j + i) % words.len()] }
            })
            .collect();
        builder.append(NOW + i as i64, Some(&(i as u32).to_be_bytes()), Some(&value));
    }
    builder.build().expect("a batch that fits")
}

fn report(name: &str, batch: &Batch) {
    let bytes: Bytes = batch.bytes.clone();
    let rules = AppendRules { max_message_bytes: LIMIT, ..AppendRules::default() };
    let checked = AppendRules { compressed_records: CompressedRecords::Checked, ..rules.clone() };
    let append_time = AppendRules { timestamp_type: TimestampType::LogAppendTime, ..rules.clone() };
    let to_lz4 = AppendRules {
        compression: TargetCompression::Fixed(Compressor::new(Compression::Lz4)),
        ..rules.clone()
    };
    let run = |rules: &AppendRules| {
        let mut workspace = Workspace::default();
        measure(|| {
            let bytes = black_box(&bytes);
            let valid = validate_in(&mut workspace, bytes, rules, 13, NOW).expect("a valid batch");
            black_box(valid);
        })
    };
    let crc = measure(|| {
        black_box(crc32c(black_box(&bytes)));
    });
    let section = batch.uncompressed(LIMIT).expect("readable");
    let scan = measure(|| {
        for record in RecordIter::new(&batch.header, black_box(&section)) {
            black_box(record.expect("a record"));
        }
    });
    let (validate, append_time, checked) = (run(&rules), run(&append_time), run(&checked));
    let convert = run(&to_lz4);
    println!(
        "{name:<26} {:>8} {:>8} {crc:>9.0} {validate:>9.0} {append_time:>12.0} {checked:>9.0} \
         {convert:>9.0} {scan:>9.0}",
        bytes.len(),
        batch.header.records_count,
    );
}

fn main() {
    println!(
        "{:<26} {:>8} {:>8} {:>9} {:>9} {:>12} {:>9} {:>9} {:>9}   (ns a batch)",
        "batch",
        "bytes",
        "records",
        "crc",
        "validate",
        "+appendtime",
        "checked",
        "to lz4",
        "iterate"
    );
    report("1 x 100 B", &batch(1, 100, Compression::None));
    report("16 x 1 kB", &batch(16, 1000, Compression::None));
    report("140 x 100 B", &batch(140, 100, Compression::None));
    report("960 x 1 kB", &batch(960, 1000, Compression::None));
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        report(&format!("10 x 100 B {}", codec.name()), &batch(10, 100, codec));
        report(&format!("128 x 1 kB {}", codec.name()), &batch(128, 1000, codec));
    }
}
