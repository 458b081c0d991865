//! The records of `__consumer_offsets`, as the machine sees them.

use bytes::Bytes;
use ottla_wire::schema::group::{
    GroupKey, GroupMetadataKey, GroupMetadataValue, GroupValue, OffsetCommitKey, OffsetCommitValue,
};
use ottla_wire::{DecodeError, DecodeErrorKind, EncodeError};

use super::consumer::ConsumerRecord;

/// The version in which Kafka 4.3 writes classic groups.
const GROUP_VERSION: i16 = 3;
/// The version in which Kafka 4.3 writes committed offsets.
const OFFSET_VERSION: i16 = 4;
/// The version in which it writes those that expire at a time of their own.
const OFFSET_EXPIRING_VERSION: i16 = 1;

/// A producer and its epoch, as record batches carry them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Producer {
    /// The producer id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxnOutcome {
    /// What it wrote holds.
    Commit,
    /// What it wrote is void.
    Abort,
}

/// The control record that ends a transaction in this partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxnMarker {
    /// Whose transaction.
    pub producer: Producer,
    /// The epoch of the transaction coordinator.
    pub coordinator_epoch: i32,
    /// How it ended.
    pub outcome: TxnOutcome,
}

/// One record of the partition. `None` as value is a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupRecord {
    /// A classic group.
    Group {
        /// Which group.
        key: GroupMetadataKey,
        /// What it is from here on.
        value: Option<GroupMetadataValue>,
    },
    /// A group of the consumer protocol, or something of it.
    Consumer(ConsumerRecord),
    /// A committed offset.
    Offset {
        /// Set when it is part of a transaction: its batch is that producer's.
        producer: Option<Producer>,
        /// Which group, topic and partition.
        key: OffsetCommitKey,
        /// The offset.
        value: Option<OffsetCommitValue>,
    },
    /// The end of a transaction; a control batch of its own.
    Marker(TxnMarker),
    /// A record of a type this machine does not know: skipped, and counted.
    Unknown {
        /// The type, which is the version of the record's key.
        kind: i16,
    },
}

impl GroupRecord {
    /// The producer whose transaction this record is part of or ends. All records of one decision
    /// agree in it, so that they fit one batch.
    #[must_use]
    pub fn producer(&self) -> Option<Producer> {
        match self {
            Self::Offset { producer, .. } => *producer,
            Self::Marker(marker) => Some(marker.producer),
            Self::Group { .. } | Self::Consumer(_) | Self::Unknown { .. } => None,
        }
    }

    /// A record that deletes a classic group.
    pub(crate) fn group_tombstone(group: &str) -> Self {
        Self::Group { key: GroupMetadataKey { group: group.to_owned() }, value: None }
    }

    /// A record that deletes a committed offset.
    pub(crate) fn offset_tombstone(group: &str, topic: &str, partition: i32) -> Self {
        Self::Offset { producer: None, key: offset_key(group, topic, partition), value: None }
    }
}

/// The key of a committed offset.
pub(crate) fn offset_key(group: &str, topic: &str, partition: i32) -> OffsetCommitKey {
    OffsetCommitKey { group: group.to_owned(), topic: topic.to_owned(), partition }
}

impl GroupRecord {
    /// Reads a record of the log, which stood in a batch of `producer`'s transaction or in none.
    ///
    /// A type or version of records that is newer than this machine is [`Self::Unknown`].
    ///
    /// # Errors
    /// When the bytes are of a known type and version, but not a record of it.
    pub fn decode(
        producer: Option<Producer>,
        key: Bytes,
        value: Option<Bytes>,
    ) -> Result<Self, DecodeError> {
        let kind = key.first_chunk().map_or(-1, |prefix| i16::from_be_bytes(*prefix));
        match Self::decode_known(producer, key, value) {
            Ok(Some(record)) => Ok(record),
            Ok(None) => Ok(Self::Unknown { kind }),
            Err(DecodeError {
                kind: DecodeErrorKind::RecordType(_) | DecodeErrorKind::Version(_),
                ..
            }) => Ok(Self::Unknown { kind }),
            Err(error) => Err(error),
        }
    }

    fn decode_known(
        producer: Option<Producer>,
        key: Bytes,
        value: Option<Bytes>,
    ) -> Result<Option<Self>, DecodeError> {
        let key = GroupKey::decode(key)?;
        let value = value.map(|value| key.decode_value(value)).transpose()?;
        let value = value.map(|(value, _)| value);
        Ok(match (key, value) {
            (GroupKey::GroupMetadata(key), None) => Some(Self::Group { key, value: None }),
            (GroupKey::GroupMetadata(key), Some(GroupValue::GroupMetadata(value))) => {
                Some(Self::Group { key, value: Some(value) })
            }
            (GroupKey::OffsetCommit(key), None) => {
                Some(Self::Offset { producer, key, value: None })
            }
            (GroupKey::OffsetCommit(key), Some(GroupValue::OffsetCommit(value))) => {
                Some(Self::Offset { producer, key, value: Some(value) })
            }
            (GroupKey::LegacyOffsetCommit(key), value) => {
                let value = match value {
                    Some(GroupValue::LegacyOffsetCommit(legacy)) => Some(OffsetCommitValue {
                        offset: legacy.offset,
                        metadata: legacy.metadata,
                        commit_timestamp: legacy.commit_timestamp,
                        ..Default::default()
                    }),
                    _ => None,
                };
                let key = offset_key(&key.group, &key.topic, key.partition);
                Some(Self::Offset { producer, key, value })
            }
            (key, value) => ConsumerRecord::of(key, value).map(Self::Consumer),
        })
    }

    /// The record's key and value as the log holds them; `None` for the records that are no
    /// key and value: the end of a transaction, and what is unknown.
    ///
    /// # Errors
    /// When a value does not fit its field, such as a name of more than 32,767 bytes.
    pub fn encode(&self) -> Result<Option<(Bytes, Option<Bytes>)>, EncodeError> {
        match self {
            Self::Group { key, value } => {
                let value = value.clone().map(|v| GroupValue::from(v).encode(GROUP_VERSION));
                let key = GroupKey::from(key.clone()).encode()?;
                Ok(Some((key, value.transpose()?)))
            }
            Self::Offset { key, value, .. } => {
                let value = value.clone().map(|v| {
                    let version = offset_version(&v);
                    GroupValue::from(v).encode(version)
                });
                let key = GroupKey::from(key.clone()).encode()?;
                Ok(Some((key, value.transpose()?)))
            }
            Self::Consumer(record) => record.encode().map(Some),
            Self::Marker(_) | Self::Unknown { .. } => Ok(None),
        }
    }
}

/// The version of an offset's value: only version 1 has a time of expiry.
fn offset_version(value: &OffsetCommitValue) -> i16 {
    if value.expire_timestamp == -1 { OFFSET_VERSION } else { OFFSET_EXPIRING_VERSION }
}
