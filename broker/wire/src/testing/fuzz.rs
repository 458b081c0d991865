//! What a fuzzer calls: each function takes any bytes, and panics if a law of decoding does not
//! hold.
//!
//! The law: a decoder answers with a value or an error, and a value it gives can be encoded in the
//! same version and decodes to itself.

use super::{Probe, probes};
use crate::api::header::RequestHeader;
use crate::api::{RequestKind, ResponseKind};
use crate::schema::group::GroupKey;
use crate::schema::metadata::MetadataRecord;
use crate::schema::remote_log::RemoteLogRecord;
use crate::schema::share::ShareKey;
use crate::schema::txn::TxnKey;
use crate::{ApiKey, Decoder};
use bytes::Bytes;

/// One message in one version.
pub fn message(probe: &Probe, version: i16, bytes: Bytes) {
    let Ok(first) = (probe.recode)(bytes, version) else { return };
    let what = format!("{} v{version}: {}", probe.name, first.dump);
    let again = first.bytes.unwrap_or_else(|e| panic!("{e}: {what}"));
    let second = (probe.recode)(again.clone(), version).unwrap_or_else(|e| panic!("{e}: {what}"));
    assert_eq!(second.left, 0, "bytes left: {what}");
    assert_eq!(second.dump, first.dump, "another message: {what}");
    assert_eq!(second.bytes, Ok(again), "other bytes: {what}");
}

/// Any message in any version, both chosen by the first three bytes.
pub fn any_message(data: &[u8]) {
    let [a, b, version, rest @ ..] = data else { return };
    let all = probes().collect::<Vec<_>>();
    let index = usize::from(u16::from_be_bytes([*a, *b])) % all.len();
    let Some(probe) = all.get(index) else { return };
    let span = i16::from(*version) % (probe.versions.max - probe.versions.min + 1);
    message(probe, probe.versions.min + span, Bytes::copy_from_slice(rest));
}

/// A frame as a client would send it: header and request.
pub fn request_frame(data: &[u8]) {
    let mut d = Decoder::new(Bytes::copy_from_slice(data));
    if let Ok((key, header)) = RequestHeader::decode_at_start(&mut d) {
        let decoded = RequestKind::decode(key, &mut d, header.request_api_version);
        assert!(decoded.is_err() || key.spec().known.contains(header.request_api_version));
    }
}

/// A response of the API and version in the first two bytes.
pub fn response_body(data: &[u8]) {
    let [key, version, rest @ ..] = data else { return };
    let Some(key) = ApiKey::from_code(i16::from(*key)) else { return };
    let mut d = Decoder::new(Bytes::copy_from_slice(rest));
    let decoded = ResponseKind::decode(key, &mut d, i16::from(*version));
    assert!(decoded.is_err() || key.spec().known.contains(i16::from(*version)));
}

/// A value of the metadata log.
pub fn metadata_record(data: &[u8]) {
    if let Ok((record, version)) = MetadataRecord::decode(Bytes::copy_from_slice(data)) {
        let again = record.encode(version).unwrap_or_else(|e| panic!("{e}: {record:?}"));
        let second = MetadataRecord::decode(again).unwrap_or_else(|e| panic!("{e}: {record:?}"));
        // Compared as text, since a number which is none is not equal to itself.
        assert_eq!(format!("{second:?}"), format!("{:?}", (record, version)));
    }
}

/// A value of the remote log's metadata.
pub fn remote_log_record(data: &[u8]) {
    if let Ok((record, version)) = RemoteLogRecord::decode(Bytes::copy_from_slice(data)) {
        let again = record.encode(version).unwrap_or_else(|e| panic!("{e}: {record:?}"));
        assert_eq!(RemoteLogRecord::decode(again), Ok((record, version)));
    }
}

macro_rules! coordinator {
    ($(#[$doc:meta])* $name:ident, $keys:ident) => {
        $(#[$doc])*
        pub fn $name(data: &[u8]) {
            let Some((n, rest)) = data.split_first() else { return };
            let (key, value) = rest.split_at(rest.len().min(usize::from(*n)));
            let Ok(key) = $keys::decode(Bytes::copy_from_slice(key)) else { return };
            let again = key.encode().unwrap_or_else(|e| panic!("{e}: {key:?}"));
            assert_eq!($keys::decode(again), Ok(key.clone()));
            let Ok((value, version)) = key.decode_value(Bytes::copy_from_slice(value)) else { return };
            let again = value.encode(version).unwrap_or_else(|e| panic!("{e}: {value:?}"));
            assert_eq!(key.decode_value(again), Ok((value, version)));
        }
    };
}

coordinator!(
    /// A key, whose length is the first byte, and a value of the group coordinator.
    group_record,
    GroupKey
);
coordinator!(
    /// A key, whose length is the first byte, and a value of the transaction coordinator.
    txn_record,
    TxnKey
);
coordinator!(
    /// A key, whose length is the first byte, and a value of the share coordinator.
    share_record,
    ShareKey
);
