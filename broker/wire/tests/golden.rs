//! Bytes of Kafka's own classes, read and written again.
//!
//! A line of `golden/golden.txt` is: message, version, CRC-32C of the text of its fields, bytes in
//! hex. There are up to four of each version: the defaults, all fields set to something else, all
//! null that may be, and a mixture with extreme numbers and long strings. The text has all fields
//! in order with their names and values, so that a field under a wrong name, with a wrong default
//! or of a wrong type of the same size is found too. `golden/make-golden` writes the file.

use ottla_wire::testing::{Probe, probes};
use std::collections::{BTreeMap, BTreeSet};

const GOLDEN: &str = include_str!("golden/golden.txt");

/// Lines in the file; a file cut short must not pass.
const LINES: usize = 2845;

struct Line<'a> {
    message: &'a str,
    version: i16,
    crc: u32,
    bytes: Vec<u8>,
}

fn lines() -> impl Iterator<Item = Line<'static>> {
    GOLDEN.lines().map(|line| {
        let mut words = line.split(' ');
        let mut word = || words.next().unwrap_or_else(|| panic!("{line}"));
        Line {
            message: word(),
            version: word().parse().expect("a version"),
            crc: u32::from_str_radix(word(), 16).expect("a crc"),
            bytes: unhex(word()),
        }
    })
}

fn unhex(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("ascii"));
    digits.map(|pair| u8::from_str_radix(pair, 16).expect("hex")).collect()
}

fn by_name() -> BTreeMap<&'static str, &'static Probe> {
    probes().map(|p| (p.name, p)).collect()
}

#[test]
fn every_message_of_kafka_reads_the_same_and_writes_the_same_bytes() {
    let probes = by_name();
    let mut wrong = Vec::new();
    for line in lines() {
        let what = format!("{} v{}", line.message, line.version);
        let probe = probes.get(line.message).unwrap_or_else(|| panic!("no {what}"));
        let bytes = bytes::Bytes::from(line.bytes);
        match (probe.recode)(bytes.clone(), line.version) {
            Err(e) => wrong.push(format!("{what}: {e}")),
            Ok(r) if r.left != 0 => wrong.push(format!("{what}: {} bytes left", r.left)),
            Ok(r) if r.bytes != Ok(bytes.clone()) => wrong.push(format!("{what}: {:?}", r.bytes)),
            Ok(r) if crc32c::crc32c(r.dump.as_bytes()) != line.crc => {
                wrong.push(format!("{what}: fields differ: {}", r.dump));
            }
            Ok(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(lines().count(), LINES);
}

/// The first line of each version is the default message.
#[test]
fn every_default_is_kafkas() {
    let probes = by_name();
    let mut last = ("", 0);
    for line in lines() {
        let this = (line.message, line.version);
        if std::mem::replace(&mut last, this) == this {
            continue;
        }
        let ours = (probes[line.message].default)(line.version);
        assert_eq!(ours.bytes.as_deref(), Ok(&line.bytes[..]), "bytes of {this:?}: {}", ours.dump);
        assert_eq!(crc32c::crc32c(ours.dump.as_bytes()), line.crc, "{this:?}: {}", ours.dump);
    }
}

#[test]
fn every_version_of_every_message_has_golden_bytes() {
    let golden: BTreeSet<_> = lines().map(|l| (l.message, l.version)).collect();
    let ours: BTreeSet<_> =
        probes().flat_map(|p| p.versions.iter().map(|version| (p.name, version))).collect();
    assert_eq!(golden, ours);
    assert_eq!(probes().count(), by_name().len(), "a message stands in the list twice");
    assert_eq!(by_name().len(), 272);
}
