//! Reading the recordings.

use bytes::Bytes;
use ottla_wire::{Decoder, Message};

/// The bytes that a word of a recording says; `-` is none.
pub(crate) fn bytes(hex: &str) -> Bytes {
    if hex == "-" {
        return Bytes::new();
    }
    let pairs = hex.as_bytes().chunks(2).map(|pair| {
        let text = std::str::from_utf8(pair).expect("hex is ascii");
        u8::from_str_radix(text, 16).expect("hex")
    });
    pairs.collect()
}

/// The message that the bytes are, all of them.
pub(crate) fn decode<M: Message>(body: &Bytes, version: i16) -> M {
    let mut decoder = Decoder::new(body.clone());
    let message = M::decode(&mut decoder, version).expect("Kafka's own bytes");
    decoder.expect_end().expect("all of them");
    message
}

/// One request of the recording, and what Kafka answered, if it ever did.
pub(crate) struct Asked {
    /// The API's key.
    pub(crate) key: i16,
    /// The request's version.
    pub(crate) version: i16,
    /// The answer's body.
    pub(crate) answer: Option<Bytes>,
}

/// The requests of a recording by number, with their answers.
pub(crate) fn asked(lines: &[Vec<&str>]) -> std::collections::BTreeMap<u64, Asked> {
    let mut asked = std::collections::BTreeMap::new();
    for line in lines {
        let id = || line[1].parse::<u64>().expect("a number");
        match line[0] {
            "send" => {
                let key = line[2].parse().expect("a key");
                let version = line[3].parse().expect("a version");
                asked.insert(id(), Asked { key, version, answer: None });
            }
            "recv" => {
                let asked: &mut Asked = asked.get_mut(&id()).expect("asked before");
                asked.answer = Some(bytes(line[2]));
            }
            _ => {}
        }
    }
    asked
}
