//! All messages in one list, each with what a test does to a message without knowing its type.

use super::{Gen, Sample};
use crate::api::each_api;
use crate::codec::{Layout, Struct};
use crate::schema::{consumer_protocol, group, log, metadata, principal, raft, remote_log};
use crate::schema::{share, txn};
use crate::{DecodeError, Decoder, EncodeError, Encoder, Message, Versions, api};
use bytes::Bytes;

/// One message of the list.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    /// Kafka's name of the message.
    pub name: &'static str,
    /// Its versions.
    pub versions: Versions,
    /// Decodes a message and drops it; gives the number of bytes left.
    pub decode: fn(Bytes, i16) -> Result<usize, DecodeError>,
    /// Decodes a message and encodes it again.
    pub recode: fn(Bytes, i16) -> Result<Recoded, DecodeError>,
    /// The default message, encoded.
    pub default: fn(i16) -> Recoded,
    /// A sample of entropy, encoded and decoded.
    pub sample: fn(&[u8], i16) -> Result<Sampled, EncodeError>,
}

/// A sample that was encoded, and decoded again.
#[derive(Debug, Clone)]
pub struct Sampled {
    /// The sample's bytes.
    pub bytes: Bytes,
    /// What came of decoding them: an error, or bytes left over and whether the message is the
    /// sample.
    pub decoded: Result<(usize, bool), DecodeError>,
}

/// A message that was decoded or made, and encoded.
#[derive(Debug, Clone)]
pub struct Recoded {
    /// The bytes left after decoding, if there were any.
    pub left: usize,
    /// The message's text; see [`Sample::dump`].
    pub dump: String,
    /// The message's bytes.
    pub bytes: Result<Bytes, EncodeError>,
}

fn encode<M: Message>(message: &M, version: i16) -> Result<Bytes, EncodeError> {
    let mut e = Encoder::new();
    message.encode(&mut e, version)?;
    e.into_bytes()
}

fn decode<M: Message>(bytes: Bytes, version: i16) -> Result<usize, DecodeError> {
    let mut d = Decoder::new(bytes);
    M::decode(&mut d, version)?;
    Ok(d.remaining())
}

fn recode<M: Message + Sample>(bytes: Bytes, version: i16) -> Result<Recoded, DecodeError> {
    let mut d = Decoder::new(bytes);
    let message = M::decode(&mut d, version)?;
    Ok(recoded(&message, version, d.remaining()))
}

fn default<M: Message + Sample>(version: i16) -> Recoded {
    recoded(&M::default(), version, 0)
}

fn recoded<M: Message + Sample>(message: &M, version: i16, left: usize) -> Recoded {
    let mut dump = String::new();
    message.dump(&mut dump);
    Recoded { left, dump, bytes: encode(message, version) }
}

fn sample<M: Message + Sample>(entropy: &[u8], version: i16) -> Result<Sampled, EncodeError> {
    let layout =
        Layout::of::<M>(version).ok_or(EncodeError::Version { message: M::NAME, version })?;
    let message = M::sample(&mut Gen::new(entropy), layout);
    let bytes = encode(&message, version)?;
    let mut d = Decoder::new(bytes.clone());
    let decoded = M::decode(&mut d, version).map(|back| (d.remaining(), back == message));
    Ok(Sampled { bytes, decoded })
}

/// The list's entry of a message.
pub(crate) const fn probe<M: Message + Struct + Sample>() -> Probe {
    Probe {
        name: M::NAME,
        versions: M::VERSIONS,
        decode: decode::<M>,
        recode: recode::<M>,
        default: default::<M>,
        sample: sample::<M>,
    }
}

macro_rules! probes {
    ($($name:ident: $module:ident::{$request:ident, $response:ident};)*) => {
        /// All messages, in groups.
        const PROBES: &[&[Probe]] = &[
            &[$(probe::<api::$module::$request>(), probe::<api::$module::$response>()),*],
            &[
                probe::<api::header::RequestHeader>(),
                probe::<api::header::ResponseHeader>(),
                probe::<consumer_protocol::ConsumerProtocolSubscription>(),
                probe::<consumer_protocol::ConsumerProtocolAssignment>(),
                probe::<principal::DefaultPrincipalData>(),
                probe::<log::ControlRecordTypeSchema>(),
                probe::<log::EndTxnMarker>(),
                probe::<log::ProducerSnapshot>(),
                probe::<raft::QuorumStateData>(),
                probe::<raft::LeaderChangeMessage>(),
                probe::<raft::SnapshotHeaderRecord>(),
                probe::<raft::SnapshotFooterRecord>(),
                probe::<raft::KRaftVersionRecord>(),
                probe::<raft::VotersRecord>(),
            ],
            metadata::MetadataRecord::PROBES,
            remote_log::RemoteLogRecord::PROBES,
            group::GroupKey::PROBES,
            share::ShareKey::PROBES,
            txn::TxnKey::PROBES,
        ];
    };
}
each_api!(probes);

/// All messages: requests, responses, headers, and the records of all families.
pub fn probes() -> impl Iterator<Item = &'static Probe> {
    PROBES.iter().copied().flatten()
}
