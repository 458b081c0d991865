//! `meta.properties`: which cluster, node and directory a log directory belongs to.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;

use ottla_config::properties;
use ottla_log::checkpoint::{self, Durability};
use ottla_log::disk::Disk;
use ottla_wire::Uuid;

/// The file's name in each log directory.
pub const FILE: &str = ottla_log::names::META_PROPERTIES;

/// More than Kafka or this code ever write.
const MAX_BYTES: u64 = 64 << 10;

/// The layout of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// From the time of ZooKeeper: `broker.id`, and all may be missing.
    V0,
    /// `node.id` and `cluster.id` are there.
    V1,
}

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    /// The layout.
    pub layout: Layout,
    /// The cluster. Any text: Kafka's tools do not insist on an id of 22 characters.
    pub cluster_id: Option<String>,
    /// The node.
    pub node_id: Option<i32>,
    /// The directory; absent in files from before KIP-858.
    pub directory_id: Option<Uuid>,
}

impl MetaProperties {
    /// Reads the file of a log directory; `None` when there is none.
    pub fn read(disk: &dyn Disk, dir: &Path) -> io::Result<Option<Self>> {
        let path = dir.join(FILE);
        if !disk.exists(&path)? {
            return Ok(None);
        }
        let bytes = disk.read(&path, MAX_BYTES)?;
        let text = String::from_utf8_lossy(&bytes);
        Self::parse(&text).map(Some).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
    }

    /// Writes the file, so that a crash leaves the old or the new one. `date` goes into its first lines.
    pub fn write(&self, disk: &dyn Disk, dir: &Path, date: &str) -> io::Result<()> {
        let text = self.render(date);
        checkpoint::replace(disk, &dir.join(FILE), text.as_bytes(), Durability::Flushed)
            .map_err(io::Error::other)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let entries = properties::read(text).map_err(|e| e.to_string())?;
        let mut values: BTreeMap<_, _> = entries.into_iter().map(|e| (e.key, e.value)).collect();
        let layout = match values.remove("version").as_deref() {
            None | Some("0") => Layout::V0,
            Some("1") => Layout::V1,
            Some(other) => return Err(format!("unknown version {other} of {FILE}")),
        };
        let node = values.remove(if layout == Layout::V0 { "broker.id" } else { "node.id" });
        let node_id = match node {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| format!("{text} is not a node id"))?),
        };
        let directory_id = match values.remove("directory.id") {
            None => None,
            Some(text) => Some(text.parse().map_err(|e| format!("directory.id {text}: {e}"))?),
        };
        Ok(Self { layout, cluster_id: values.remove("cluster.id"), node_id, directory_id })
    }

    fn render(&self, date: &str) -> String {
        let node_key = if self.layout == Layout::V0 { "broker.id" } else { "node.id" };
        let version = if self.layout == Layout::V0 { "0" } else { "1" };
        let node_id = self.node_id.map(|id| id.to_string());
        let directory_id = self.directory_id.map(|id| id.to_string());
        let values = [
            (node_key, node_id.as_deref()),
            ("directory.id", directory_id.as_deref()),
            ("version", Some(version)),
            ("cluster.id", self.cluster_id.as_deref()),
        ];
        let given = values.into_iter().filter_map(|(key, value)| Some((key, value?)));
        format!("#\n#{date}\n{}", properties::write(given))
    }
}

/// As `kafka-storage.sh info` shows it.
impl fmt::Display for MetaProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.layout == Layout::V0 {
            parts.extend(self.node_id.map(|id| format!("broker.id={id}")));
        }
        parts.extend(self.cluster_id.as_ref().map(|id| format!("cluster.id={id}")));
        parts.extend(self.directory_id.map(|id| format!("directory.id={id}")));
        if self.layout == Layout::V1 {
            parts.extend(self.node_id.map(|id| format!("node.id={id}")));
        }
        parts.push(format!("version={}", if self.layout == Layout::V0 { 0 } else { 1 }));
        write!(f, "{{{}}}", parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KAFKAS: &str = "#\n#Sat Nov 21 10:37:00 UTC 2026\nnode.id=1\ndirectory.id=jghKNZ8kShKszGvxgJLbXA\nversion=1\ncluster.id=4L6g3nShT-eMCtK--X86sw\n";

    #[test]
    fn kafkas_file_comes_back_byte_for_byte() {
        let read = MetaProperties::parse(KAFKAS).unwrap();
        assert_eq!(read.render("Sat Nov 21 10:37:00 UTC 2026"), KAFKAS);
        assert_eq!(
            read.to_string(),
            "{cluster.id=4L6g3nShT-eMCtK--X86sw, directory.id=jghKNZ8kShKszGvxgJLbXA, node.id=1, version=1}"
        );
    }

    #[test]
    fn odd_cluster_ids_survive() {
        for id in [" bad id", "a=b:c#d!e\\f", "x"] {
            let written = MetaProperties {
                layout: Layout::V1,
                cluster_id: Some(id.to_owned()),
                node_id: Some(3),
                directory_id: None,
            };
            assert_eq!(MetaProperties::parse(&written.render("now")), Ok(written));
        }
    }

    #[test]
    fn old_files_are_understood_and_broken_ones_refused() {
        let old = MetaProperties::parse("broker.id=5\n").unwrap();
        assert_eq!((old.layout, old.node_id), (Layout::V0, Some(5)));
        assert!(MetaProperties::parse("version=1\nnode.id=x\n").is_err());
        assert!(MetaProperties::parse("version=7\n").is_err());
        assert!(MetaProperties::parse("version=1\ndirectory.id=short\n").is_err());
    }
}
