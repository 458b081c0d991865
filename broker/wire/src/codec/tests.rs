//! The codec's own laws: bounds, holes, tags, nulls, versions.

use crate::api::fetch::{FetchResponse, FetchableTopicResponse, PartitionData};
use crate::api::metadata::{MetadataRequest, MetadataRequestTopic};
use crate::codec::{Encoded, Hole, Layout, Part};
use crate::{DecodeErrorKind, Decoder, EncodeError, Encoder, Message, Records};
use bytes::Bytes;

const RIGID: Layout = Layout { version: 0, flexible: false };
const FLEXIBLE: Layout = Layout { version: 0, flexible: true };

fn decoder(bytes: &'static [u8]) -> Decoder {
    Decoder::new(Bytes::from_static(bytes))
}

fn encode<M: Message>(m: &M, version: i16) -> Result<Encoded, EncodeError> {
    let mut e = Encoder::new();
    m.encode(&mut e, version)?;
    Ok(e.finish())
}

#[test]
fn lengths_that_lie_are_refused_before_anything_is_reserved() {
    use DecodeErrorKind::*;
    let kind = |d: &mut Decoder, l| d.get::<Vec<String>>(l).expect_err("a lie").kind;
    assert_eq!(
        kind(&mut decoder(b"\x7f\xff\xff\xff\0\0"), RIGID),
        Count { count: 0x7fff_ffff, left: 2 }
    );
    assert_eq!(kind(&mut decoder(b"\xff\xff\xff\xfe"), RIGID), Length(-2));
    assert_eq!(kind(&mut decoder(b"\xff\xff\xff\xff"), RIGID), Null);
    assert_eq!(
        kind(&mut decoder(b"\xff\xff\xff\xff\x0f"), FLEXIBLE),
        Count { count: 0xffff_fffe, left: 0 }
    );
    assert_eq!(kind(&mut decoder(b"\xff\xff\xff\xff\x1f"), FLEXIBLE), Varint);
    assert_eq!(kind(&mut decoder(b"\0"), FLEXIBLE), Null);
    assert_eq!(kind(&mut decoder(b"\0\0"), RIGID), Truncated { needed: 4, left: 2 });
    // Elements of four bytes: three of them do not fit into eleven bytes.
    let mut d = decoder(b"\0\0\0\x03aaaabbbbccc");
    let e = d.get::<Vec<i32>>(RIGID).expect_err("too short");
    assert_eq!(e.kind, Count { count: 3, left: 11 });
}

#[test]
fn strings_are_bounded_and_utf8() {
    let kind = |d: &mut Decoder, l| d.get::<String>(l).expect_err("no string").kind;
    assert_eq!(kind(&mut decoder(b"\0\x02\xc3\x28"), RIGID), DecodeErrorKind::Utf8);
    assert_eq!(
        kind(&mut decoder(b"\x80\x80\x02"), FLEXIBLE),
        DecodeErrorKind::Truncated { needed: 32767, left: 0 }
    );
    assert_eq!(kind(&mut decoder(b"\x81\x80\x02"), FLEXIBLE), DecodeErrorKind::Length(32768));
    assert_eq!(
        Encoder::new().put(&"a".repeat(32768), FLEXIBLE),
        Err(EncodeError::TooLong { len: 32768 })
    );
    assert_eq!(Encoder::new().put(&"a".repeat(32767), RIGID), Ok(()));
}

#[test]
fn bytes_are_slices_of_the_frame() {
    let frame = Bytes::from_static(b"\0\0\0\x03abc");
    let got: Bytes = Decoder::new(frame.clone()).get(RIGID).expect("bytes");
    assert_eq!(got.as_ptr(), frame[4..].as_ptr());
}

#[test]
fn a_tagged_field_must_end_where_it_says() {
    // Tag 0 of FetchResponse v16, two bytes long: an empty array is one.
    let head = b"\0\0\0\0\0\0\0\0\0\0\x01".as_slice();
    let decode = |tail: &[u8]| {
        let mut d = Decoder::new([head, tail].concat().into());
        FetchResponse::decode(&mut d, 16).map(|_| d.remaining())
    };
    assert_eq!(decode(b"\x01\x00\x01\x01"), Ok(0));
    assert_eq!(decode(b"\x02\x07\x03abc\x00\x01\x01"), Ok(0), "an unknown tag is skipped");
    let kind = |tail: &[u8]| decode(tail).expect_err("bad").kind;
    assert_eq!(kind(b"\x01\x00\x02\x01\x00"), DecodeErrorKind::Trailing(1));
    assert_eq!(kind(b"\x01\x00\x00\x01"), DecodeErrorKind::Truncated { needed: 1, left: 0 });
    assert_eq!(kind(b"\x01\x00\x09\x01"), DecodeErrorKind::Truncated { needed: 9, left: 1 });
}

#[test]
fn versions_are_checked_both_ways() {
    let e = MetadataRequest::decode(&mut decoder(b""), 14).expect_err("no version 14");
    assert_eq!((e.kind, e.message), (DecodeErrorKind::Version(14), "MetadataRequest"));
    let e = encode(&MetadataRequest::default(), -1).expect_err("no version -1");
    assert_eq!(e, EncodeError::Version { message: "MetadataRequest", version: -1 });
}

#[test]
fn what_a_version_lacks_must_be_the_default_or_ignorable() {
    let mut m = MetadataRequest::default();
    assert!(m.allow_auto_topic_creation, "Kafka's default");
    assert!(encode(&m, 0).is_ok());
    m.allow_auto_topic_creation = false;
    let (message, field) = ("MetadataRequest", "allow_auto_topic_creation");
    assert_eq!(encode(&m, 3), Err(EncodeError::Unsupported { message, field, version: 3 }));
    assert!(encode(&m, 4).is_ok());

    let topic = MetadataRequestTopic { topic_id: crate::Uuid::ONE, ..Default::default() };
    m = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
    assert!(encode(&m, 9).is_ok(), "the topic id is ignorable");
    m.topics = None;
    assert_eq!(encode(&m, 0), Err(EncodeError::Null { field: "topics", version: 0 }));
    assert!(encode(&m, 1).is_ok());
}

#[test]
fn holes_are_counted_but_not_written() {
    let partition = |n| PartitionData { records: Some(Records::Hole(n)), ..Default::default() };
    let partitions = vec![partition(1000), partition(0), partition(70_000)];
    let topic = FetchableTopicResponse { partitions, ..Default::default() };
    let m = FetchResponse { responses: vec![topic], ..Default::default() };
    let with_holes = encode(&m, 17).expect("encodes");
    assert_eq!(with_holes.holes.len(), 3);
    let mut wire = Vec::new();
    for part in with_holes.parts() {
        match part {
            Part::Bytes(b) => wire.extend_from_slice(&b),
            Part::Hole(n) => wire.resize(wire.len() + n as usize, b'x'),
        }
    }
    assert_eq!(wire.len(), with_holes.len());
    let mut d = Decoder::new(wire.into());
    let back = FetchResponse::decode(&mut d, 17).expect("decodes");
    assert_eq!(d.remaining(), 0);
    let lens = back.responses.iter().flat_map(|t| &t.partitions);
    let lens: Vec<_> = lens.map(|p| p.records.as_ref().map(Records::len)).collect();
    assert_eq!(lens, [Some(1000), Some(0), Some(70_000)]);

    let mut e = Encoder::new();
    m.encode(&mut e, 17).expect("encodes");
    assert_eq!(e.into_bytes(), Err(EncodeError::Hole));
}

#[test]
fn parts_of_a_frame_without_holes_are_one_and_of_an_empty_frame_none() {
    let part = |bytes: &'static [u8], holes: &[Hole]| {
        let encoded = Encoded { bytes: Bytes::from_static(bytes), holes: holes.to_vec() };
        encoded.parts().collect::<Vec<_>>()
    };
    assert_eq!(part(b"", &[]), []);
    assert_eq!(part(b"a", &[]), [Part::Bytes(Bytes::from_static(b"a"))]);
    assert_eq!(
        part(b"ab", &[Hole { at: 0, len: 5 }, Hole { at: 2, len: 6 }]),
        [Part::Hole(5), Part::Bytes(Bytes::from_static(b"ab")), Part::Hole(6)]
    );
}
