//! Batches, records and compressed bytes that a hostile or broken peer sends: no panic, no law
//! broken, and no memory beyond what the bytes are worth.
//!
//! The damage is of one seed and so many rounds, the same in every run; `FUZZ_ROUNDS` in the
//! environment asks for more, and `fuzz/` searches on.

#![allow(clippy::disallowed_methods, reason = "the environment may ask for more rounds")]

use std::alloc::System;

use ottla_wire::record::{BatchBuilder, Compression, Compressor, OldMessage, StoredBatch, fuzz};
use ottla_wire::testing::Mutator;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Memory that a call may take, freed again or not. A law is tried in up to eight ways, each with
/// codecs' states and buffers and with output up to the limit, …
const BASE: usize = 4 << 20;

/// … and LZ4 may really make 255 bytes of one.
const FACTOR: usize = 8 * 255;

/// A build without optimisation is many times slower.
const DEFAULT_ROUNDS: usize = if cfg!(debug_assertions) { 2_000 } else { 50_000 };

/// The corpus is taken whole, or one in so many.
const LIES_STEP: usize = if cfg!(debug_assertions) { 8 } else { 1 };

fn rounds() -> usize {
    std::env::var("FUZZ_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(DEFAULT_ROUNDS)
}

fn from_hex(text: &str) -> Vec<u8> {
    let digit = |b: u8| (b as char).to_digit(16).expect("a hex digit") as u8;
    text.as_bytes().chunks(2).map(|p| (digit(p[0]) << 4) | digit(p[1])).collect()
}

/// Batches of Kafka's classes, of our builder, and of the requests that Kafka was asked with.
fn corpus() -> Vec<Vec<u8>> {
    let kafkas = include_str!("golden/records/records.txt").lines();
    let kafkas = kafkas.filter_map(|l| l.strip_prefix("batches ")?.split_once(' '));
    let mut all: Vec<_> = kafkas.map(|(_, hex)| from_hex(hex)).collect();
    let asked = include_str!("golden/records/produce-answers.tsv").lines();
    all.extend(asked.filter_map(|l| l.split('\t').nth(4)).map(from_hex));
    for codec in Compression::ALL {
        let mut builder = BatchBuilder::new(0).compression(codec).producer(1, 0, 0);
        for i in 0..20u8 {
            builder.append(1_700_000_000_000 + i64::from(i), Some(&[i]), Some(&[i; 30]));
        }
        all.push(builder.build().expect("a batch").bytes.to_vec());
    }
    all.retain(|bytes| bytes.len() < 4000);
    all
}

/// Compressed bytes by codec, those of Kafka's classes among them.
fn packed(corpus: &[Vec<u8>]) -> Vec<(Compression, Vec<u8>)> {
    let text = b"to be or not to be, that is the question ".repeat(40);
    let mut all = Vec::new();
    for codec in Compression::ALL {
        all.push((codec, Compressor::new(codec).compress(&text).expect("compressed")));
        all.push((codec, Compressor::new(codec).compress(b"x").expect("compressed")));
    }
    for bytes in corpus {
        match StoredBatch::parse(&bytes.clone().into()) {
            Ok(StoredBatch::Current(batch)) => {
                if let Ok(codec) = batch.header.compression() {
                    all.push((codec, batch.records().to_vec()));
                }
            }
            Ok(StoredBatch::Old(OldMessage { attributes, value: Some(value), .. })) => {
                if let Ok(codec) = Compression::from_id(attributes & 7) {
                    all.push((codec, value.to_vec()));
                }
            }
            _ => {}
        }
    }
    all
}

/// Calls with bytes, and looks at the memory that it takes.
fn bounded(name: &str, bytes: &[u8], call: impl FnOnce(&[u8])) {
    let region = Region::new(ALLOCATOR);
    call(bytes);
    let taken = region.change().bytes_allocated;
    let allowed = BASE + FACTOR * bytes.len();
    assert!(taken <= allowed, "{name}: {taken} bytes taken by {bytes:02x?}");
}

/// One test, because the allocator counts for the whole process.
#[test]
fn hostile_records_neither_panic_nor_take_memory() {
    let corpus = corpus();
    let packed = packed(&corpus);
    for bytes in &corpus {
        all_of(bytes);
    }
    lies(&corpus);
    let mut chance = Mutator::new(47);
    for _ in 0..rounds() {
        let mut bytes = corpus[chance.below(corpus.len())].clone();
        let other = &corpus[chance.below(corpus.len())];
        chance.damage(&mut bytes, other);
        if chance.below(4) != 0 {
            fuzz::mend(&mut bytes);
        }
        all_of(&bytes);
        let (codec, bytes) = &packed[chance.below(packed.len())];
        let mut bytes = bytes.clone();
        let (_, other) = &packed[chance.below(packed.len())];
        chance.damage(&mut bytes, other);
        bounded(codec.name(), &bytes, |b| fuzz::decompression(*codec, b));
    }
}

fn all_of(bytes: &[u8]) {
    bounded("scan", bytes, fuzz::scan);
    bounded("old message", bytes, fuzz::old_message);
    bounded("produce", bytes, fuzz::produce);
}

/// At every place of every small batch, the largest number that a length or a count could be,
/// under a right checksum.
fn lies(corpus: &[Vec<u8>]) {
    let lies: [&[u8]; 4] =
        [&[0x7f, 0xff, 0xff, 0xff], &[0xfe, 0xff, 0xff, 0xff, 0x0f], &[0xff], &[0xfe, 0x7f]];
    for seed in corpus.iter().filter(|seed| seed.len() < 150).step_by(LIES_STEP) {
        for lie in lies {
            for at in 0..seed.len() {
                let mut bytes = seed.clone();
                bytes.splice(at..bytes.len().min(at + lie.len()), lie.iter().copied());
                fuzz::mend(&mut bytes);
                bounded("produce with a lie", &bytes, fuzz::produce);
                bounded("scan with a lie", &bytes, fuzz::scan);
            }
        }
    }
}
