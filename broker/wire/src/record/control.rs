//! Control records: what a broker writes into a partition beside the clients' records.

use bytes::Bytes;

use super::RecordError;

/// Version of the key and of the transaction marker's value that is written; later ones are
/// read as this one.
const VERSION: i16 = 0;

/// The type in a control record's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ControlType {
    /// The transaction's records are not to be seen.
    Abort,
    /// The transaction's records may be seen.
    Commit,
    /// First record of a metadata quorum's leader.
    LeaderChange,
    /// First record of a metadata snapshot.
    SnapshotHeader,
    /// Last record of a metadata snapshot.
    SnapshotFooter,
    /// The version of the metadata quorum's protocol (KIP-853).
    KRaftVersion,
    /// The voters of the metadata quorum (KIP-853).
    KRaftVoters,
    /// A type of a later version.
    Unknown(i16),
}

impl ControlType {
    /// The type's number.
    pub fn id(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
            Self::LeaderChange => 2,
            Self::SnapshotHeader => 3,
            Self::SnapshotFooter => 4,
            Self::KRaftVersion => 5,
            Self::KRaftVoters => 6,
            Self::Unknown(id) => id,
        }
    }

    /// The type of that number.
    pub fn from_id(id: i16) -> Self {
        match id {
            0 => Self::Abort,
            1 => Self::Commit,
            2 => Self::LeaderChange,
            3 => Self::SnapshotHeader,
            4 => Self::SnapshotFooter,
            5 => Self::KRaftVersion,
            6 => Self::KRaftVoters,
            id => Self::Unknown(id),
        }
    }

    /// Reads the key of a control record.
    pub fn from_key(key: &[u8]) -> Result<Self, RecordError> {
        match key {
            [v0, v1, t0, t1, ..] if i16::from_be_bytes([*v0, *v1]) >= 0 => {
                Ok(Self::from_id(i16::from_be_bytes([*t0, *t1])))
            }
            [_, _, _, _, ..] => Err(RecordError::Malformed("negative control key version")),
            _ => Err(RecordError::Malformed("short control key")),
        }
    }

    /// The key of a control record of this type.
    pub fn key(self) -> [u8; 4] {
        let ([v0, v1], [t0, t1]) = (VERSION.to_be_bytes(), self.id().to_be_bytes());
        [v0, v1, t0, t1]
    }
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransactionResult {
    /// It was aborted.
    Abort,
    /// It was committed.
    Commit,
}

impl From<TransactionResult> for ControlType {
    fn from(result: TransactionResult) -> Self {
        match result {
            TransactionResult::Abort => Self::Abort,
            TransactionResult::Commit => Self::Commit,
        }
    }
}

/// The marker which ends a transaction in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndTxnMarker {
    /// How the transaction ended.
    pub result: TransactionResult,
    /// Epoch of the transaction coordinator's partition, which fences older coordinators.
    pub coordinator_epoch: i32,
}

impl EndTxnMarker {
    /// The marker's key.
    pub fn key(&self) -> [u8; 4] {
        ControlType::from(self.result).key()
    }

    /// The marker's value.
    pub fn value(&self) -> [u8; 6] {
        let mut value = [0; 6];
        value[..2].copy_from_slice(&VERSION.to_be_bytes());
        value[2..].copy_from_slice(&self.coordinator_epoch.to_be_bytes());
        value
    }

    /// Reads a control record; `None` when it is no transaction marker.
    pub fn from_record(key: &[u8], value: &[u8]) -> Result<Option<Self>, RecordError> {
        let result = match ControlType::from_key(key)? {
            ControlType::Abort => TransactionResult::Abort,
            ControlType::Commit => TransactionResult::Commit,
            _ => return Ok(None),
        };
        let [v0, v1, e0, e1, e2, e3, ..] = value else {
            return Err(RecordError::Malformed("short transaction marker"));
        };
        if i16::from_be_bytes([*v0, *v1]) < 0 {
            return Err(RecordError::Malformed("negative transaction marker version"));
        }
        let coordinator_epoch = i32::from_be_bytes([*e0, *e1, *e2, *e3]);
        Ok(Some(Self { result, coordinator_epoch }))
    }

    /// The marker's key and value as owned bytes.
    pub fn to_bytes(&self) -> (Bytes, Bytes) {
        (Bytes::copy_from_slice(&self.key()), Bytes::copy_from_slice(&self.value()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_survive_their_keys() {
        for id in -1..10 {
            let kind = ControlType::from_id(id);
            assert_eq!(kind.id(), id);
            assert_eq!(ControlType::from_key(&kind.key()).unwrap(), kind);
        }
        assert_eq!(ControlType::from_key(&[0, 9, 0, 1, 7]).unwrap(), ControlType::Commit);
        assert!(ControlType::from_key(&[0, 0, 0]).is_err());
        assert!(ControlType::from_key(&[0xff, 0xff, 0, 0]).is_err());
    }

    #[test]
    fn markers_survive_their_bytes() {
        for result in [TransactionResult::Abort, TransactionResult::Commit] {
            let marker = EndTxnMarker { result, coordinator_epoch: 258 };
            assert_eq!(marker.value(), [0, 0, 0, 0, 1, 2]);
            let read = EndTxnMarker::from_record(&marker.key(), &marker.value());
            assert_eq!(read.unwrap(), Some(marker));
            assert!(EndTxnMarker::from_record(&marker.key(), &[0; 5]).is_err());
        }
        let other = ControlType::LeaderChange.key();
        assert_eq!(EndTxnMarker::from_record(&other, &[]).unwrap(), None);
    }
}
