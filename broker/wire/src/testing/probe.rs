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
    /// Decodes a message and encodes it again.
    pub recode: fn(Bytes, i16) -> Result<Recoded, DecodeError>,
    /// A sample of entropy, encoded; and what comes of decoding it, which must be the same.
    pub sample: fn(&[u8], i16) -> Result<(Bytes, bool), EncodeError>,
}

/// A message that was decoded and encoded again.
#[derive(Debug, Clone)]
pub struct Recoded {
    /// The bytes left after decoding.
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

fn recode<M: Message + Sample>(bytes: Bytes, version: i16) -> Result<Recoded, DecodeError> {
    let mut d = Decoder::new(bytes);
    let message = M::decode(&mut d, version)?;
    let mut dump = String::new();
    message.dump(&mut dump);
    Ok(Recoded { left: d.remaining(), dump, bytes: encode(&message, version) })
}

fn sample<M: Message + Sample>(entropy: &[u8], version: i16) -> Result<(Bytes, bool), EncodeError> {
    let layout =
        Layout::of::<M>(version).ok_or(EncodeError::Version { message: M::NAME, version })?;
    let message = M::sample(&mut Gen::new(entropy), layout);
    let bytes = encode(&message, version)?;
    let mut d = Decoder::new(bytes.clone());
    let same = M::decode(&mut d, version).is_ok_and(|m| m == message) && d.remaining() == 0;
    Ok((bytes, same))
}

/// The list's entry of a message.
pub(crate) const fn probe<M: Message + Struct + Sample>() -> Probe {
    Probe { name: M::NAME, versions: M::VERSIONS, recode: recode::<M>, sample: sample::<M> }
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
