//! Formatting a node's directories before its first start, as `kafka-storage.sh format` does.
//!
//! Each directory gets `bootstrap.checkpoint`, the records a new cluster begins with, and then `meta.properties`, which
//! makes it a formatted one: a format that was interrupted can be done again. The metadata log directory of a node with
//! a dynamic quorum (KIP-853) gets the snapshot `00000000000000000000-0000000000.checkpoint` with the voters besides.

mod bootstrap;
mod plan;
pub mod scram;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ottla_log::disk::Disk;
use ottla_metadata::MetadataVersion;
use ottla_wire::Uuid;
use thiserror::Error;

use crate::control;
use crate::directories::{DirectoryError, Ensemble, Found, METADATA_PARTITION};
use crate::error::QuorumError;
use crate::meta_properties::{Layout, MetaProperties};
use crate::snapshot::{self, Head, SnapshotId};
use crate::types::Membership;
use crate::voter::InitialController;

pub use bootstrap::{BOOTSTRAP_FILE, Bootstrap, read_bootstrap};
pub use plan::{feature_dependencies, unknown_version, version_mapping};

/// What to format, and how.
#[derive(Clone, Debug)]
pub struct FormatRequest {
    /// `node.id`.
    pub node_id: i32,
    /// The cluster's id. Any text.
    pub cluster_id: String,
    /// `log.dirs`.
    pub log_dirs: Vec<PathBuf>,
    /// `metadata.log.dir`, or the first of `log.dirs`.
    pub metadata_dir: PathBuf,
    /// The name of the first controller listener.
    pub controller_listener: String,
    /// Who votes first.
    pub quorum: InitialQuorum,
    /// `--release-version`.
    pub release: Option<String>,
    /// `--feature`: name and level, in the order given.
    pub features: Vec<(String, i16)>,
    /// `--add-scram`.
    pub scram: Vec<String>,
    /// What to do with directories that are formatted already.
    pub formatted: IfFormatted,
    /// Whether levels that may still change can be chosen (`unstable.feature.versions.enable`).
    pub unstable: Unstable,
}

/// Who votes first in a new cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InitialQuorum {
    /// The voters stand in the configuration (`controller.quorum.voters`), or the node is no controller.
    Configured,
    /// `--no-initial-controllers`: the node joins a quorum that is there.
    Joins,
    /// `--standalone`: this node alone, with the host and port of its controller listener.
    Standalone {
        /// A host name or address.
        host: String,
        /// The port.
        port: u16,
    },
    /// `--initial-controllers`.
    Controllers(Vec<InitialController>),
}

/// What to do with directories that are formatted already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfFormatted {
    /// Refuse.
    Refuse,
    /// `--ignore-formatted`: leave them as they are and format the others.
    Ignore,
}

/// Whether levels of features that may still change can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unstable {
    /// They cannot.
    Refused,
    /// They can.
    Allowed,
}

/// Why nothing was formatted, in the words of Kafka's tool.
#[derive(Debug, Error)]
pub enum FormatError {
    /// What was asked for cannot be.
    #[error("{0}")]
    Refused(String),
    /// The directories contradict the request.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A file could not be written.
    #[error(transparent)]
    Quorum(#[from] QuorumError),
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Formatted {
    /// What a new cluster begins with.
    pub bootstrap: Bootstrap,
    /// The directories that were formatted, in the order in which they were.
    pub directories: Vec<(PathBuf, DirectoryKind)>,
}

/// What a formatted directory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryKind {
    /// Partitions.
    Data,
    /// The metadata log, of a node that is given or finds its voters elsewhere.
    Metadata,
    /// The metadata log of a node in a dynamic quorum that is no voter itself.
    DynamicMetadata,
    /// The metadata log of a voter of a dynamic quorum.
    DynamicVoter,
}

impl DirectoryKind {
    /// As it is called in messages.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Data => "data directory",
            Self::Metadata => "metadata directory",
            Self::DynamicMetadata => "dynamic metadata directory",
            Self::DynamicVoter => "dynamic metadata voter directory",
        }
    }
}

impl Formatted {
    /// What `kafka-storage.sh format` prints, a line each.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        if self.directories.is_empty() {
            return vec!["All of the log directories are already formatted.".to_owned()];
        }
        let version = self.bootstrap.version.name();
        let done = self.directories.iter().map(|(dir, kind)| {
            let (label, dir) = (kind.label(), dir.display());
            format!("Formatting {label} {dir} with metadata.version {version}.")
        });
        std::iter::once(format!("Bootstrap metadata: {}", self.bootstrap)).chain(done).collect()
    }
}

/// An id that nobody else has.
#[must_use]
pub fn random_uuid() -> Uuid {
    loop {
        if let Some(id) = Uuid::from_random(rand::random()) {
            return id;
        }
    }
}

/// Formats the directories of a node that are not formatted yet.
///
/// # Errors
/// When the request contradicts itself or the directories, before anything is written; or when writing fails.
pub fn format(
    disk: &dyn Disk,
    request: &FormatRequest,
    now_ms: i64,
) -> Result<Formatted, FormatError> {
    let bootstrap = plan::bootstrap(request)?;
    let kraft_version = plan::kraft_version(request)?;
    let ensemble = Ensemble::inspect(disk, &request.log_dirs, &request.metadata_dir);
    ensemble.verify(Some(&request.cluster_id), request.node_id)?;
    let todo = plan::unformatted(request, &ensemble)?;
    let controllers = plan::controllers(request);
    let own_id = controllers.iter().find(|c| c.key.id == request.node_id).map(|c| c.key.directory);
    let dynamic = !controllers.is_empty();
    let mut directories = Vec::new();
    for dir in todo {
        let kind = match (dir == request.metadata_dir, dynamic, own_id) {
            (false, ..) => DirectoryKind::Data,
            (true, false, _) => DirectoryKind::Metadata,
            (true, true, None) => DirectoryKind::DynamicMetadata,
            (true, true, Some(_)) => DirectoryKind::DynamicVoter,
        };
        disk.create_dir_all(&dir).map_err(|e| QuorumError::io("create", &dir, e))?;
        bootstrap.write(disk, &dir, now_ms)?;
        if matches!(kind, DirectoryKind::DynamicMetadata | DirectoryKind::DynamicVoter) {
            write_voters(disk, &dir, request, &controllers, kraft_version, now_ms)?;
        }
        let voter_id = own_id.filter(|_| kind == DirectoryKind::DynamicVoter);
        let properties = MetaProperties {
            layout: Layout::V1,
            cluster_id: Some(request.cluster_id.clone()),
            node_id: Some(request.node_id),
            directory_id: Some(voter_id.unwrap_or_else(random_uuid)),
        };
        properties
            .write(disk, &dir, &crate::date::text(now_ms))
            .map_err(|e| QuorumError::io("write meta.properties in", &dir, e))?;
        directories.push((dir, kind));
    }
    Ok(Formatted { bootstrap, directories })
}

/// Whether a node's directories are all still to be formatted: none of them holds anything.
#[must_use]
pub fn is_pristine(disk: &dyn Disk, log_dirs: &[PathBuf], metadata_dir: &Path) -> bool {
    let ensemble = Ensemble::inspect(disk, log_dirs, metadata_dir);
    ensemble.found().all(|(dir, found)| {
        matches!(found, Found::Absent | Found::Unformatted)
            && crate::directories::is_fresh(disk, dir).unwrap_or(false)
    })
}

fn write_voters(
    disk: &dyn Disk,
    dir: &Path,
    request: &FormatRequest,
    controllers: &[InitialController],
    kraft_version: i16,
    now_ms: i64,
) -> Result<(), QuorumError> {
    let partition = dir.join(METADATA_PARTITION);
    disk.create_dir_all(&partition).map_err(|e| QuorumError::io("create", &partition, e))?;
    let voters = controllers.iter().map(|c| c.voter(&request.controller_listener));
    let members: BTreeMap<_, _> = voters.map(|v| (v.key, v.member)).collect();
    let controls = control::membership(&Membership::from(members), kraft_version);
    let head = Head { last_contained_ms: now_ms, epoch: 0, controls: &controls };
    let path = partition.join(SnapshotId::default().file_name());
    snapshot::write(disk, &path, &head, std::iter::empty(), now_ms)
}

/// The version of a name or a release that may be chosen.
pub(crate) fn parse_version(name: &str) -> Option<MetadataVersion> {
    // A release whose levels may all still change has no level of its own.
    MetadataVersion::from_name(name).filter(|v| v.is_production() || name.contains('-'))
}
