//! The records of `__transaction_state`.

use bytes::Bytes;
use ottla_wire::schema::txn::{TransactionLogKey, TransactionLogValue, TxnKey, TxnValue};
use ottla_wire::{DecodeError, DecodeErrorKind, EncodeError};

use super::transaction::{NO_EPOCH, NO_ID};

/// From this version of transactions on, records are written in a version with tagged fields.
const FLEXIBLE_SINCE: i16 = 1;

/// One record of the partition.
#[derive(Clone, Debug, PartialEq)]
pub enum TxnRecord {
    /// What a transactional id is from here on; `None` deletes it.
    Txn {
        /// Which transactional id.
        key: TransactionLogKey,
        /// What it is.
        value: Option<TransactionLogValue>,
        /// The version in which the value is written.
        version: i16,
    },
    /// A record of a type or version this machine does not know: skipped, and counted.
    Unknown {
        /// The type, which is the version of the record's key.
        kind: i16,
    },
}

impl TxnRecord {
    /// Reads a record of the log. A type or version that is newer is [`Self::Unknown`].
    ///
    /// # Errors
    /// When the bytes are of a known type and version, but not a record of it.
    pub fn decode(key: Bytes, value: Option<Bytes>) -> Result<Self, DecodeError> {
        let kind = key.first_chunk().map_or(-1, |prefix| i16::from_be_bytes(*prefix));
        match Self::decode_known(key, value) {
            Err(DecodeError {
                kind: DecodeErrorKind::RecordType(_) | DecodeErrorKind::Version(_),
                ..
            }) => Ok(Self::Unknown { kind }),
            decoded => decoded,
        }
    }

    fn decode_known(key: Bytes, value: Option<Bytes>) -> Result<Self, DecodeError> {
        let key = TxnKey::decode(key)?;
        let value = value.map(|value| key.decode_value(value)).transpose()?;
        let TxnKey::TransactionLog(key) = key;
        let version = value.as_ref().map_or(0, |(_, version)| *version);
        let value = value.map(|(TxnValue::TransactionLog(value), _)| value);
        Ok(Self::Txn { key, value, version })
    }

    /// The record's key and value as the log holds them, `None` for what is unknown.
    ///
    /// # Errors
    /// When a value does not fit its field, or its version.
    pub fn encode(&self) -> Result<Option<(Bytes, Option<Bytes>)>, EncodeError> {
        let Self::Txn { key, value, version } = self else { return Ok(None) };
        let value =
            value.clone().map(|value| TxnValue::from(value).encode(*version)).transpose()?;
        Ok(Some((TxnKey::from(key.clone()).encode()?, value)))
    }

    /// A record of a transactional id, written as brokers of this level of the feature
    /// `transaction.version` do.
    pub(crate) fn of(
        id: &str,
        value: Option<TransactionLogValue>,
        transaction_version: i16,
    ) -> Self {
        let version = i16::from(transaction_version >= FLEXIBLE_SINCE);
        // What version 0 has no place for, only version 2 of transactions needs.
        let value = value.map(|value| match version {
            0 => TransactionLogValue {
                previous_producer_id: NO_ID,
                next_producer_id: NO_ID,
                next_producer_epoch: NO_EPOCH,
                client_transaction_version: 0,
                ..value
            },
            _ => value,
        });
        Self::Txn { key: TransactionLogKey { transactional_id: id.to_owned() }, value, version }
    }
}
