//! Writes what fuzzing begins with: `fuzz_seeds FOLDER` makes a folder for each target of `broker/wire/fuzz`, with every
//! message in its oldest and newest version, frames of every API, and batches of every codec.

use std::io;
use std::path::Path;

use ottla_wire::ApiKey;
use ottla_wire::record::{BatchBuilder, Compression, Compressor};
use ottla_wire::testing::{Mutator, Probe, probes};

/// Random bytes a sample is made of: enough for a few elements in each array.
const ENTROPY: usize = 400;

fn main() -> io::Result<()> {
    let folder = std::env::args_os().nth(1).ok_or(io::ErrorKind::InvalidInput)?;
    let folder = Path::new(&folder);
    let mut chance = Mutator::new(7);
    let entropy: Vec<u8> = (0..ENTROPY).map(|_| chance.below(256) as u8).collect();
    let all: Vec<_> = probes().collect();
    let (mut messages, mut frames) = (Vec::new(), Vec::new());
    for (index, probe) in (0u16..).zip(&all) {
        let span = (probe.versions.max - probe.versions.min) as u8;
        for step in [0, span] {
            for entropy in [&[][..], &entropy[..]] {
                let version = probe.versions.min + i16::from(step);
                let Ok(sample) = (probe.sample)(entropy, version) else { continue };
                messages.push([&index.to_be_bytes()[..], &[step], &sample.bytes].concat());
                frames.extend(framed(probe, version, &sample.bytes));
            }
        }
    }
    write(&folder.join("messages"), &messages)?;
    write(&folder.join("frames"), &frames)?;
    write(&folder.join("records"), &batches())
}

/// A message as the target `frames` wants it: what is it, and the head it would have.
fn framed(probe: &Probe, version: i16, body: &[u8]) -> Vec<Vec<u8>> {
    let name = probe.name;
    let low = version as u8;
    let key = |suffix: &str| {
        let api = name.strip_suffix(suffix)?;
        (0..i16::from(u8::MAX)).filter_map(ApiKey::from_code).find(|key| key.name() == api)
    };
    let with = |head: &[u8]| [head, body].concat();
    if let Some(key) = key("Request") {
        let [high, key] = key.code().to_be_bytes();
        let head = [0, high, key, 0, low, 0, 0, 0, 1, 0, 1, b'c'];
        return vec![with(&head), [&head[..], &[0], body].concat()];
    }
    if let Some(key) = key("Response") {
        return vec![with(&[1, key.code() as u8, low])];
    }
    if name.ends_with("Record") {
        // Which number a record has, the fuzzer finds out.
        return vec![with(&[2, 1, low % 30, low]), with(&[3, 1, low % 5, low])];
    }
    if name.ends_with("Key") {
        let length = body.len().saturating_add(2).min(255) as u8;
        return (4..7).map(|family| with(&[family, length, 0, low])).collect();
    }
    Vec::new()
}

fn batches() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (number, codec) in (0u8..).zip(Compression::ALL) {
        let mut builder = BatchBuilder::new(0).compression(codec).producer(1, 0, 0);
        for i in 0..20u8 {
            builder.append(1_700_000_000_000 + i64::from(i), Some(&[i]), Some(&[i; 30]));
        }
        if let Ok(batch) = builder.build() {
            for target in [0, 1, 4] {
                all.push([&[target], &batch.bytes[..]].concat());
            }
        }
        let text = b"to be or not to be, that is the question ".repeat(40);
        if let Ok(packed) = Compressor::new(codec).compress(&text) {
            all.push([&[5 + number], &packed[..]].concat());
        }
    }
    // A message of format 1, whose checksum the target mends.
    let old =
        [&[3][..], &[0; 12], &[0, 0, 0, 0, 1, 0], &[0; 8], &[0, 0, 0, 1, b'k', 0, 0, 0, 1, b'v']];
    all.push(old.concat());
    all
}

// The room is pure; a tool that makes files for its tests cannot be.
#[allow(clippy::disallowed_methods)]
fn write(folder: &Path, seeds: &[Vec<u8>]) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (number, bytes) in seeds.iter().enumerate() {
        std::fs::write(folder.join(format!("{number:05}")), bytes)?;
    }
    Ok(())
}
