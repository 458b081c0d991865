//! A node's log directories at start: do they belong to this node, to one cluster, and to no one else.
//!
//! Kafka's rules (KIP-631, KIP-858), each refusal one line that says what to do.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_log::disk::{Disk, Kind};
use ottla_wire::Uuid;
use thiserror::Error;

use crate::meta_properties::{FILE, Layout, MetaProperties};

/// The directory of the metadata partition, below the metadata log directory.
pub const METADATA_PARTITION: &str = "__cluster_metadata-0";

/// What was found in one directory.
#[derive(Debug)]
pub enum Found {
    /// No such directory.
    Absent,
    /// A directory without `meta.properties`.
    Unformatted,
    /// One that was formatted.
    Formatted(MetaProperties),
    /// It could not be read.
    Failed(io::Error),
}

/// A node's directories, as they were found.
#[derive(Debug)]
pub struct Ensemble {
    metadata_dir: PathBuf,
    dirs: BTreeMap<PathBuf, Found>,
}

/// A node's directories, found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeDirectories {
    /// The cluster all belong to.
    pub cluster_id: String,
    /// The metadata log directory's id.
    pub metadata_directory: Uuid,
    /// The directories that can be used, with their ids. The metadata log directory is among them.
    pub online: BTreeMap<PathBuf, Uuid>,
    /// Those that cannot be read; the node goes on without them.
    pub offline: Vec<PathBuf>,
}

/// Why a node must not start on its directories.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// No directory can be read.
    #[error(
        "No readable {FILE} files found. Format the log directories with kafka-storage.sh format."
    )]
    NoneReadable,
    /// Not formatted.
    #[error(
        "No `{FILE}` found in {} (have you run `kafka-storage.sh` to format the directory?)", .0.display()
    )]
    Unformatted(PathBuf),
    /// Formatted for ZooKeeper.
    #[error(
        "In {}, found version 0 of {FILE}, which a node without ZooKeeper cannot use. Format an empty directory \
         with kafka-storage.sh format.", .0.display()
    )]
    OldLayout(PathBuf),
    /// The file names no cluster.
    #[error("cluster.id was not specified in the v1 file: {}", .0.join(FILE).display())]
    NoClusterId(PathBuf),
    /// Directories of two clusters.
    #[error(
        "Invalid cluster.id in: {}. Expected {expected}, but read {found}. A directory of another cluster must not \
         be in log.dirs.", dir.join(FILE).display()
    )]
    OtherCluster {
        /// Which directory.
        dir: PathBuf,
        /// The cluster of the other directories.
        expected: String,
        /// The cluster of this one.
        found: String,
    },
    /// The file names no node.
    #[error("node.id was not specified in {}", .0.join(FILE).display())]
    NoNodeId(PathBuf),
    /// A directory of another node.
    #[error(
        "Stored node id {found} doesn't match previous node id {expected} in {}. If you moved your data, make sure \
         your configured node id matches. If you intend to create a new node, you should remove all data in your \
         data directories.", dir.join(FILE).display()
    )]
    OtherNode {
        /// Which directory.
        dir: PathBuf,
        /// `node.id` of the configuration.
        expected: i32,
        /// `node.id` of the directory.
        found: i32,
    },
    /// An id which stands for something else.
    #[error(
        "Invalid reserved directory ID {id} found in {}. Remove the line directory.id, so that a new one is \
         made.", dir.join(FILE).display()
    )]
    ReservedId {
        /// Which directory.
        dir: PathBuf,
        /// Its id.
        id: Uuid,
    },
    /// A copy of a directory beside the original.
    #[error(
        "Duplicate directory ID {id} found. It was the ID of {}, but also of {}. Remove one of the two from \
         log.dirs.", first.display(), second.display()
    )]
    DuplicateId {
        /// The id.
        id: Uuid,
        /// One directory.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// The metadata log directory cannot be read.
    #[error("Encountered I/O error in metadata log directory {}. Cannot continue: {why}", dir.display())]
    MetadataDirFailed {
        /// Which directory.
        dir: PathBuf,
        /// What the system said.
        why: String,
    },
    /// A metadata log where none may be.
    #[error(
        "Found unexpected metadata location in data directory `{}` (the configured metadata directory is {}). Set \
         metadata.log.dir to the former, or remove it.", found.display(), configured.display()
    )]
    StrayMetadata {
        /// Where one is.
        found: PathBuf,
        /// Where it should be.
        configured: PathBuf,
    },
    /// A new directory id could not be written.
    #[error("could not write {}: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Ensemble {
    /// Looks at a node's directories.
    #[must_use]
    pub fn inspect(disk: &dyn Disk, log_dirs: &[PathBuf], metadata_dir: &Path) -> Self {
        let all = log_dirs.iter().map(PathBuf::as_path).chain([metadata_dir]);
        let dirs = all.map(|dir| (dir.to_owned(), look(disk, dir))).collect();
        Self { metadata_dir: metadata_dir.to_owned(), dirs }
    }

    /// What was found, by directory.
    pub fn found(&self) -> impl Iterator<Item = (&Path, &Found)> {
        self.dirs.iter().map(|(dir, found)| (dir.as_path(), found))
    }

    /// The directories that were formatted.
    pub fn formatted(&self) -> impl Iterator<Item = (&Path, &MetaProperties)> {
        self.found().filter_map(|(dir, found)| match found {
            Found::Formatted(properties) => Some((dir, properties)),
            _ => None,
        })
    }

    /// Checks that all formatted directories belong together. Returns the cluster they belong to, if any is formatted.
    ///
    /// # Errors
    /// When two contradict each other, or the node's configuration.
    pub fn verify(
        &self,
        cluster_id: Option<&str>,
        node_id: i32,
    ) -> Result<Option<String>, DirectoryError> {
        let mut cluster = cluster_id.map(str::to_owned);
        let mut ids: BTreeMap<Uuid, &Path> = BTreeMap::new();
        for (dir, properties) in self.formatted() {
            if properties.layout == Layout::V0 {
                return Err(DirectoryError::OldLayout(dir.to_owned()));
            }
            let Some(found) = &properties.cluster_id else {
                return Err(DirectoryError::NoClusterId(dir.to_owned()));
            };
            let expected = cluster.get_or_insert_with(|| found.clone());
            if expected != found {
                let (expected, found) = (expected.clone(), found.clone());
                return Err(DirectoryError::OtherCluster { dir: dir.to_owned(), expected, found });
            }
            match properties.node_id {
                None => return Err(DirectoryError::NoNodeId(dir.to_owned())),
                Some(found) if found != node_id => {
                    let dir = dir.to_owned();
                    return Err(DirectoryError::OtherNode { dir, expected: node_id, found });
                }
                Some(_) => {}
            }
            if let Some(id) = properties.directory_id {
                if id.is_reserved() {
                    return Err(DirectoryError::ReservedId { dir: dir.to_owned(), id });
                }
                if let Some(first) = ids.insert(id, dir) {
                    let (first, second) = (first.to_owned(), dir.to_owned());
                    return Err(DirectoryError::DuplicateId { id, first, second });
                }
            }
        }
        match self.dirs.get(&self.metadata_dir) {
            Some(Found::Failed(e)) => Err(DirectoryError::MetadataDirFailed {
                dir: self.metadata_dir.clone(),
                why: e.to_string(),
            }),
            _ => Ok(cluster),
        }
    }
}

fn look(disk: &dyn Disk, dir: &Path) -> Found {
    match disk.exists(dir) {
        Ok(false) => return Found::Absent,
        Err(e) => return Found::Failed(e),
        Ok(true) => {}
    }
    if let Err(e) = disk.list(dir) {
        return Found::Failed(e);
    }
    match MetaProperties::read(disk, dir) {
        Ok(None) => Found::Unformatted,
        Ok(Some(properties)) => Found::Formatted(properties),
        Err(e) => Found::Failed(e),
    }
}

/// Checks a node's directories before it starts on them, and gives each that has none an id.
///
/// `new_id` makes ids; `date` is written into files that are rewritten.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub fn open(
    disk: &Arc<dyn Disk>,
    log_dirs: &[PathBuf],
    metadata_dir: &Path,
    node_id: i32,
    new_id: &mut dyn FnMut() -> Uuid,
    date: &str,
) -> Result<NodeDirectories, DirectoryError> {
    let ensemble = Ensemble::inspect(&**disk, log_dirs, metadata_dir);
    let cluster = ensemble.verify(None, node_id)?;
    if let Some(dir) = ensemble.found().find_map(|(dir, found)| {
        matches!(found, Found::Absent | Found::Unformatted).then(|| dir.to_owned())
    }) {
        return Err(DirectoryError::Unformatted(dir));
    }
    let cluster_id = cluster.ok_or(DirectoryError::NoneReadable)?;
    for dir in log_dirs.iter().filter(|dir| *dir != metadata_dir) {
        let stray = dir.join(METADATA_PARTITION);
        if disk.exists(&stray).unwrap_or(false) {
            let configured = metadata_dir.to_owned();
            return Err(DirectoryError::StrayMetadata { found: stray, configured });
        }
    }
    let mut online = BTreeMap::new();
    for (dir, properties) in ensemble.formatted() {
        let id = match properties.directory_id {
            Some(id) => id,
            None => {
                let id = new_id();
                let with_id = MetaProperties { directory_id: Some(id), ..properties.clone() };
                with_id
                    .write(&**disk, dir, date)
                    .map_err(|source| DirectoryError::Write { path: dir.join(FILE), source })?;
                id
            }
        };
        online.insert(dir.to_owned(), id);
    }
    let offline = ensemble.found().filter(|(_, found)| matches!(found, Found::Failed(_)));
    let offline = offline.map(|(dir, _)| dir.to_owned()).collect();
    let metadata_directory = online.get(metadata_dir).copied().unwrap_or(Uuid::ZERO);
    Ok(NodeDirectories { cluster_id, metadata_directory, online, offline })
}

/// Whether a directory holds nothing but what a file system itself puts there.
pub fn is_fresh(disk: &dyn Disk, dir: &Path) -> io::Result<bool> {
    if !disk.exists(dir)? {
        return Ok(true);
    }
    let entries = disk.list(dir)?;
    Ok(entries.iter().all(|e| e.kind == Kind::Dir && e.name == "lost+found"))
}

#[cfg(test)]
mod tests {
    use ottla_log::disk::real::RealDisk;

    use super::*;

    struct Node {
        root: tempfile::TempDir,
    }

    impl Node {
        fn new() -> Self {
            Self { root: tempfile::tempdir().unwrap() }
        }

        fn dir(&self, name: &str) -> PathBuf {
            self.root.path().join(name)
        }

        fn write(&self, name: &str, properties: &str) -> PathBuf {
            let dir = self.dir(name);
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join(FILE), properties).unwrap();
            dir
        }

        /// Opens `a` and `b` as node 1; `a` has the metadata log.
        fn open(&self) -> Result<NodeDirectories, String> {
            let disk: Arc<dyn Disk> = Arc::new(RealDisk);
            let dirs = [self.dir("a"), self.dir("b")];
            let mut next = 1000;
            let mut new_id = || {
                next += 1;
                Uuid::from_u128(next)
            };
            open(&disk, &dirs, &dirs[0], 1, &mut new_id, "now").map_err(|e| e.to_string())
        }

        fn refused(&self) -> String {
            let why = self.open().unwrap_err();
            assert!(!why.contains('\n'), "{why}");
            why.replace(&self.root.path().display().to_string(), "")
        }
    }

    const A: &str = "version=1\ncluster.id=c\nnode.id=1\ndirectory.id=jghKNZ8kShKszGvxgJLbXA\n";
    const B: &str = "version=1\ncluster.id=c\nnode.id=1\ndirectory.id=kghKNZ8kShKszGvxgJLbXA\n";

    #[test]
    fn directories_that_belong_together_are_opened() {
        let node = Node::new();
        node.write("a", A);
        node.write("b", B);
        let found = node.open().unwrap();
        assert_eq!(found.cluster_id, "c");
        assert_eq!(found.metadata_directory.to_string(), "jghKNZ8kShKszGvxgJLbXA");
        assert_eq!((found.online.len(), found.offline.len()), (2, 0));
    }

    #[test]
    fn a_missing_directory_id_is_made_and_kept() {
        let node = Node::new();
        node.write("a", A);
        node.write("b", "version=1\ncluster.id=c\nnode.id=1\n");
        let first = node.open().unwrap();
        assert_eq!(first.online[&node.dir("b")], Uuid::from_u128(1001));
        assert_eq!(node.open().unwrap(), first);
    }

    #[test]
    fn each_contradiction_is_one_line_that_says_what_to_do() {
        for (a, b, why) in [
            (
                A,
                A,
                "Duplicate directory ID jghKNZ8kShKszGvxgJLbXA found. It was the ID of /a, but also of /b. \
                Remove one of the two from log.dirs.",
            ),
            (
                A,
                "version=1\ncluster.id=d\nnode.id=1\n",
                "Invalid cluster.id in: /b/meta.properties. Expected c, \
                but read d. A directory of another cluster must not be in log.dirs.",
            ),
            (
                A,
                "version=1\ncluster.id=c\nnode.id=2\n",
                "Stored node id 2 doesn't match previous node id 1 in \
                /b/meta.properties. If you moved your data, make sure your configured node id matches. If you intend \
                to create a new node, you should remove all data in your data directories.",
            ),
            (A, "version=1\ncluster.id=c\n", "node.id was not specified in /b/meta.properties"),
            (
                A,
                "version=1\nnode.id=1\n",
                "cluster.id was not specified in the v1 file: /b/meta.properties",
            ),
            (
                A,
                "broker.id=1\n",
                "In /b, found version 0 of meta.properties, which a node without ZooKeeper cannot \
                use. Format an empty directory with kafka-storage.sh format.",
            ),
            (
                A,
                "version=1\ncluster.id=c\nnode.id=1\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAQ\n",
                "Invalid reserved \
                directory ID AAAAAAAAAAAAAAAAAAAAAQ found in /b/meta.properties. Remove the line directory.id, so \
                that a new one is made.",
            ),
        ] {
            let node = Node::new();
            node.write("a", a);
            node.write("b", b);
            assert_eq!(node.refused(), why);
        }
    }

    #[test]
    fn a_directory_that_was_not_formatted_is_refused() {
        let node = Node::new();
        node.write("a", A);
        let why = "No `meta.properties` found in /b (have you run `kafka-storage.sh` to format the directory?)";
        assert_eq!(node.refused(), why);
        std::fs::create_dir(node.dir("b")).unwrap();
        assert_eq!(node.refused(), why);
    }

    #[test]
    fn a_second_metadata_log_is_refused() {
        let node = Node::new();
        node.write("a", A);
        let b = node.write("b", B);
        std::fs::create_dir(b.join(METADATA_PARTITION)).unwrap();
        assert!(
            node.refused().starts_with("Found unexpected metadata location"),
            "{}",
            node.refused()
        );
    }

    #[test]
    fn a_broken_directory_goes_offline_unless_it_has_the_metadata() {
        let node = Node::new();
        node.write("a", A);
        node.write("b", "version=1\nnode.id=x\n");
        assert_eq!(node.open().unwrap().offline, [node.dir("b")]);
        let node = Node::new();
        node.write("a", "version=1\nnode.id=x\n");
        node.write("b", B);
        let why = node.refused();
        assert!(
            why.starts_with("Encountered I/O error in metadata log directory /a. Cannot continue"),
            "{why}"
        );
    }
}
