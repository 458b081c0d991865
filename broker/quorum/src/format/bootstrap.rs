//! `bootstrap.checkpoint`: the records a new cluster begins with.

use std::fmt;
use std::path::Path;

use bytes::Bytes;
use ottla_log::disk::Disk;
use ottla_metadata::{MetadataVersion, record_version};
use ottla_wire::schema::metadata::{FeatureLevelRecord, MetadataRecord, UserScramCredentialRecord};

use super::scram::Credential;
use crate::error::QuorumError;
use crate::snapshot::{self, Head};

/// The file's name in each log directory.
pub const BOOTSTRAP_FILE: &str = "bootstrap.checkpoint";

/// What a new cluster begins with.
#[derive(Clone, Debug, PartialEq)]
pub struct Bootstrap {
    /// The level of `metadata.version`.
    pub version: MetadataVersion,
    /// The records, that of `metadata.version` first.
    pub records: Vec<MetadataRecord>,
}

impl Bootstrap {
    pub(super) fn new(
        version: MetadataVersion,
        levels: impl IntoIterator<Item = (String, i16)>,
        credentials: Vec<Credential>,
    ) -> Self {
        let first = (MetadataVersion::FEATURE.to_owned(), version.level());
        let levels = std::iter::once(first).chain(levels);
        let mut records: Vec<MetadataRecord> = levels
            .map(|(name, feature_level)| FeatureLevelRecord { name, feature_level }.into())
            .collect();
        records.extend(credentials.into_iter().map(|c| {
            let record = UserScramCredentialRecord {
                name: c.user,
                mechanism: c.mechanism.number(),
                salt: Bytes::from(c.salt),
                stored_key: Bytes::from(c.stored_key),
                server_key: Bytes::from(c.server_key),
                iterations: c.iterations,
            };
            MetadataRecord::from(record)
        }));
        Self { version, records }
    }

    pub(super) fn write(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        now_ms: i64,
    ) -> Result<(), QuorumError> {
        let records = self.records.iter().map(|record| {
            let version = record_version(record, self.version);
            (record.clone(), version)
        });
        let head = Head { last_contained_ms: 0, epoch: 0, controls: &[] };
        snapshot::write(disk, &dir.join(BOOTSTRAP_FILE), &head, records, now_ms)
    }
}

/// The records a node's directory was formatted with; `None` when there is no such file.
///
/// # Errors
/// When the file cannot be read or is damaged.
pub fn read_bootstrap(
    disk: &dyn Disk,
    dir: &Path,
) -> Result<Option<Vec<MetadataRecord>>, QuorumError> {
    let path = dir.join(BOOTSTRAP_FILE);
    if !disk.exists(&path).map_err(|e| QuorumError::io("look for", &path, e))? {
        return Ok(None);
    }
    snapshot::read(disk, &path).map(|s| Some(s.records))
}

/// As Kafka's tool prints it.
impl fmt::Display for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = self.records.iter().map(|record| {
            let version = record_version(record, self.version);
            format!("ApiMessageAndVersion({} at version {version})", shown(record))
        });
        let records = records.collect::<Vec<_>>().join(", ");
        let level = self.version.level();
        write!(
            f,
            "BootstrapMetadata(records=[{records}], metadataVersionLevel={level}, source=format command)"
        )
    }
}

fn shown(record: &MetadataRecord) -> String {
    match record {
        MetadataRecord::FeatureLevel(r) => {
            let FeatureLevelRecord { name, feature_level } = r;
            format!("FeatureLevelRecord(name='{name}', featureLevel={feature_level})")
        }
        MetadataRecord::UserScramCredential(r) => {
            let bytes = |b: &Bytes| {
                let signed = b.iter().map(|b| b.cast_signed().to_string());
                signed.collect::<Vec<_>>().join(", ")
            };
            format!(
                "UserScramCredentialRecord(name='{}', mechanism={}, salt=[{}], storedKey=[{}], serverKey=[{}], \
                 iterations={})",
                r.name,
                r.mechanism,
                bytes(&r.salt),
                bytes(&r.stored_key),
                bytes(&r.server_key),
                r.iterations
            )
        }
        other => format!("{other:?}"),
    }
}
