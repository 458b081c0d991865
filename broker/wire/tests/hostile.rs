//! Decoders on bytes that a hostile or broken peer sends: no panic, and no memory beyond what the
//! bytes are worth.
//!
//! The damage is of one seed and so many rounds, the same in every run; `fuzz/` searches on.

// What was seen, for those who run it with --nocapture.
#![allow(clippy::print_stdout)]

use ottla_wire::testing::{Mutator, Probe, fuzz, probes};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::collections::BTreeMap;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Memory that a message of `n` bytes may take while it is decoded, given that the largest struct
/// is so much larger in memory than on the wire, and that a growing array is copied: this much for
/// each byte, and this much in any case.
const FACTOR: usize = 64;
const BASE: usize = 16 << 10;

/// Damaged messages tried.
const ROUNDS: usize = 100_000;

struct Seed {
    probe: &'static Probe,
    version: i16,
    bytes: Vec<u8>,
}

fn corpus() -> Vec<Seed> {
    let by_name: BTreeMap<_, _> = probes().map(|p| (p.name, p)).collect();
    let lines = include_str!("golden/golden.txt").lines();
    let seeds = lines.map(|line| {
        let words: Vec<_> = line.split(' ').collect();
        let hex = words[3].as_bytes().chunks(2).map(|d| std::str::from_utf8(d).expect("ascii"));
        Seed {
            probe: by_name[words[0]],
            version: words[1].parse().expect("a version"),
            bytes: hex.map(|d| u8::from_str_radix(d, 16).expect("hex")).collect(),
        }
    });
    seeds.collect()
}

/// One test, because the allocator counts for the whole process.
#[test]
fn hostile_bytes_neither_panic_nor_take_memory() {
    let corpus = corpus();
    lying_counts(&corpus);
    long_counts(&corpus);
    large_nonsense();
    damaged_messages(&corpus);
}

/// At every place of every message, the largest number that a count could be, in both forms.
fn lying_counts(corpus: &[Seed]) {
    let lies: [&[u8]; 3] =
        [&[0x7f, 0xff, 0xff, 0xff], &[0xff, 0xff, 0xff, 0xff, 0x07], &[0xff, 0xff, 0x03]];
    let mut worst = (0, String::new());
    for seed in corpus {
        for lie in lies {
            for at in 0..seed.bytes.len() {
                let mut bytes = seed.bytes.clone();
                bytes.splice(at..bytes.len().min(at + lie.len()), lie.iter().copied());
                let len = bytes.len();
                let taken = taken(seed.probe, seed.version, bytes.into());
                let what = || format!("{} v{} with a lie at {at}", seed.probe.name, seed.version);
                assert!(taken <= BASE + FACTOR * len, "{taken} bytes taken by {}", what());
                if taken / len > worst.0 {
                    worst = (taken / len, what());
                }
            }
        }
    }
    println!("at worst {} bytes of memory a byte: {}", worst.0, worst.1);
}

/// At every place of every message a count that the bytes behind it could just hold, but these are
/// nonsense: what is reserved for so many elements must not be more than the bytes are worth.
fn long_counts(corpus: &[Seed]) {
    const NONSENSE: usize = 40_000;
    for seed in corpus.iter().filter(|seed| seed.bytes.len() < 40) {
        for lie in [[0u8, 0, 0x20, 0], [0xff, 0x3f, 0xff, 0xff]] {
            for at in 0..seed.bytes.len() {
                let mut bytes = seed.bytes[..at].to_vec();
                bytes.extend_from_slice(&lie);
                bytes.resize(bytes.len() + NONSENSE, 0xfe);
                let taken = taken(seed.probe, seed.version, bytes.into());
                let what = || format!("{} v{} with {lie:?} at {at}", seed.probe.name, seed.version);
                assert!(taken <= BASE + 4 * NONSENSE, "{taken} bytes taken by {}", what());
            }
        }
    }
}

/// Large frames of one pattern, which pass as long arrays of the smallest elements here and there.
fn large_nonsense() {
    let patterns: [&[u8]; 7] =
        [&[0], &[1], &[2], &[0xff], &[0, 0, 0x10, 0], &[0, 0, 0, 2], &[0x80, 0x80, 1, 1, 1]];
    for pattern in patterns {
        let frame: bytes::Bytes = pattern.iter().copied().cycle().take(200_000).collect();
        for probe in probes() {
            for version in probe.versions.iter() {
                let taken = taken(probe, version, frame.clone());
                let what = format!("{} v{version} of {pattern:?}", probe.name);
                assert!(taken <= BASE + FACTOR * frame.len(), "{taken} bytes taken by {what}");
            }
        }
    }
}

/// The memory taken, freed again or not, while a message is decoded.
fn taken(probe: &Probe, version: i16, bytes: bytes::Bytes) -> usize {
    let region = Region::new(ALLOCATOR);
    let result = (probe.decode)(bytes, version);
    let taken = region.change().bytes_allocated;
    drop(result);
    taken
}

/// Good messages, damaged; and damaged frames and records.
fn damaged_messages(corpus: &[Seed]) {
    let mut chance = Mutator::new(43);
    for _ in 0..ROUNDS {
        let chosen = &corpus[chance.below(corpus.len())];
        let other = &corpus[chance.below(corpus.len())].bytes;
        let mut bytes = chosen.bytes.clone();
        chance.damage(&mut bytes, other);
        fuzz::message(chosen.probe, chosen.version, bytes.clone().into());
        fuzz::any_message(&bytes);
        frames(&mut chance, chosen, &bytes);
    }
}

/// The damaged bytes behind the head that a frame or a record would have.
fn frames(chance: &mut Mutator, seed: &Seed, bytes: &[u8]) {
    let name = seed.probe.name;
    let head = |head: &[u8]| [head, bytes].concat();
    let version = seed.version as u8;
    let key = chance.below(100) as u8;
    if name.ends_with("Request") {
        fuzz::request_frame(&head(&[0, key, 0, version, 0, 0, 0, 1, 0xff, 0xff, 0]));
    } else if name.ends_with("Response") {
        fuzz::response_body(&head(&[key, version]));
    } else if name.ends_with("Record") {
        fuzz::metadata_record(&head(&[1, key % 30, version]));
        fuzz::remote_log_record(&head(&[1, key % 5, version]));
    } else if name.ends_with("Key") || name.ends_with("Value") {
        let split = chance.below(bytes.len() + 1) as u8;
        let head = head(&[split, 0, key % 25]);
        fuzz::group_record(&head);
        fuzz::txn_record(&head);
        fuzz::share_record(&head);
    }
}
