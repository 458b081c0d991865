use super::*;
use crate::record::Compressor;

const LIMIT: usize = 1 << 20;

fn message(
    offset: i64,
    magic: i8,
    attributes: u8,
    timestamp: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Bytes {
    let mut body = vec![magic as u8, attributes];
    if magic > 0 {
        body.extend_from_slice(&timestamp.to_be_bytes());
    }
    for part in [key, value] {
        let length = part.map_or(-1, |p| p.len() as i32);
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(part.unwrap_or_default());
    }
    let mut out = offset.to_be_bytes().to_vec();
    out.extend_from_slice(&(body.len() as i32 + 4).to_be_bytes());
    out.extend_from_slice(&crc32fast::hash(&body).to_be_bytes());
    out.extend_from_slice(&body);
    Bytes::from(out)
}

fn wrapper(offset: i64, magic: i8, codec: Compression, inner: &[Bytes]) -> OldMessage {
    let set = Compressor::new(codec).compress(&inner.concat()).unwrap();
    OldMessage::parse(&message(offset, magic, codec.id(), 77, None, Some(&set))).unwrap()
}

fn offsets(message: &OldMessage) -> Result<Vec<i64>, RecordError> {
    message.records(LIMIT).map(|records| records.iter().map(|r| r.offset).collect())
}

#[test]
fn every_cut_is_truncated_and_every_flip_is_seen() {
    let bytes = message(5, 1, 0, 1000, Some(b"key"), Some(b"value"));
    let parsed = OldMessage::parse(&bytes).unwrap();
    assert_eq!(parsed.check_crc(), Ok(()));
    for n in 0..bytes.len() {
        let error = OldMessage::parse(&bytes.slice(..n)).unwrap_err();
        assert!(matches!(error, RecordError::Truncated { .. }), "cut at {n}: {error}");
    }
    for at in 12..bytes.len() {
        let mut bad = bytes.to_vec();
        bad[at] ^= 0x40;
        let seen = OldMessage::parse(&bad.into()).and_then(|m| m.check_crc());
        assert!(seen.is_err(), "flipped at {at}");
    }
}

#[test]
fn offsets_in_a_wrapper_are_absolute_first_and_relative_later() {
    let inner = |magic, offsets: &[i64]| -> Vec<Bytes> {
        offsets.iter().map(|o| message(*o, magic, 0, 1, Some(b"k"), None)).collect()
    };
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4] {
        let old = wrapper(12, 0, codec, &inner(0, &[10, 12]));
        assert_eq!(offsets(&old).unwrap(), [10, 12]);
        let new = wrapper(12, 1, codec, &inner(1, &[0, 1, 4]));
        assert_eq!(offsets(&new).unwrap(), [8, 9, 12]);
        let fresh = wrapper(0, 1, codec, &inner(1, &[0, 1]));
        assert_eq!(offsets(&fresh).unwrap(), [0, 1]);
    }
    let below = wrapper(3, 1, Compression::Gzip, &inner(1, &[0, 4]));
    assert!(offsets(&below).is_err());
}

#[test]
fn wrappers_hold_messages_of_their_own_kind_only() {
    let codec = Compression::Gzip;
    let plain = message(0, 1, 0, 1, None, Some(b"v"));
    let other = message(0, 0, 0, 1, None, Some(b"v"));
    assert!(offsets(&wrapper(0, 1, codec, &[plain.clone(), other])).is_err());
    let nested = wrapper(0, 1, codec, std::slice::from_ref(&plain)).bytes;
    assert!(offsets(&wrapper(0, 1, codec, &[nested])).is_err());
    assert!(offsets(&wrapper(0, 1, codec, &[])).is_err());
    let null = message(0, 1, codec.id(), 1, None, None);
    assert!(offsets(&OldMessage::parse(&null).unwrap()).is_err());
    let zstd = message(0, 1, 4, 1, None, Some(b"v"));
    assert!(offsets(&OldMessage::parse(&zstd).unwrap()).is_err());
    // A cut message at the end is left out.
    let cut = plain.slice(..plain.len() - 1);
    assert_eq!(offsets(&wrapper(0, 1, codec, &[plain, cut])).unwrap(), [0]);
}

#[test]
fn a_broken_lz4_checksum_is_accepted_in_format_0_only() {
    for magic in [0, 1] {
        let inner = message(0, magic, 0, 1, None, Some(b"v"));
        let mut set = Compressor::new(Compression::Lz4).compress(&inner).unwrap();
        set[6] ^= 1;
        let bytes = message(0, magic, Compression::Lz4.id(), 1, None, Some(&set));
        let wrapper = OldMessage::parse(&bytes).unwrap();
        assert_eq!(offsets(&wrapper).is_ok(), magic == 0);
    }
}

#[test]
fn a_batch_holds_the_same_records() {
    let inner =
        [message(0, 1, 0, 30, Some(b"a"), Some(b"1")), message(2, 1, 0, 20, Some(b"b"), None)];
    let old = wrapper(102, 1, Compression::Snappy, &inner);
    let batch = old.to_batch(LIMIT).unwrap();
    assert_eq!(batch.decode(LIMIT).unwrap(), old.records(LIMIT).unwrap());
    assert_eq!((batch.header.base_offset, batch.header.last_offset()), (100, 102));
    assert_eq!(batch.header.compression(), Ok(Compression::Snappy));
    assert_eq!(batch.header.max_timestamp, 30);

    let stamped = message(7, 1, LOG_APPEND_TIME, 55, None, Some(b"v"));
    let batch = OldMessage::parse(&stamped).unwrap().to_batch(LIMIT).unwrap();
    assert_eq!(batch.header.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(batch.decode(LIMIT).unwrap()[0].timestamp, 55);
}
