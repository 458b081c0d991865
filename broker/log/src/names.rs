//! The names of files and directories.

use std::fmt::Write;

/// A segment's records.
pub const LOG: &str = ".log";
/// A segment's offset index.
pub const INDEX: &str = ".index";
/// A segment's time index.
pub const TIME_INDEX: &str = ".timeindex";
/// A segment's list of aborted transactions.
pub const TXN_INDEX: &str = ".txnindex";
/// A snapshot of the producers' state.
pub const SNAPSHOT: &str = ".snapshot";
/// Added to a file that is no longer part of its log, and is removed a while later.
pub const DELETED: &str = ".deleted";
/// Added to a file that cleaning has not finished writing.
pub const CLEANED: &str = ".cleaned";
/// Added to a finished file that is about to take its place.
pub const SWAP: &str = ".swap";
/// Added to a file while it is written, before it replaces its namesake.
pub const TMP: &str = ".tmp";

/// Start offsets of leader epochs, in a partition's directory.
pub const EPOCHS: &str = "leader-epoch-checkpoint";
/// The topic's id, in a partition's directory.
pub const PARTITION_METADATA: &str = "partition.metadata";
/// Identity of the cluster, node and directory, in a log directory.
pub const META_PROPERTIES: &str = "meta.properties";
/// Up to where each log is flushed.
pub const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
/// The high watermark of each log.
pub const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";
/// The log start offset of each log where it differs from the first segment's.
pub const LOG_STARTS: &str = "log-start-offset-checkpoint";
/// Up to where each log is compacted.
pub const CLEANER_POINTS: &str = "cleaner-offset-checkpoint";
/// Left behind by a clean shutdown.
pub const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
/// Locked while a process uses the directory.
pub const LOCK: &str = ".lock";

/// Appends a file name: the offset in 20 digits, then the suffixes.
pub fn push_name(to: &mut String, offset: i64, kind: &str, state: &str) {
    // Writing to a string cannot fail.
    let _ = write!(to, "{offset:020}{kind}{state}");
}

/// A file name: the offset in 20 digits, then the suffixes.
#[must_use]
pub fn file_name(offset: i64, kind: &str, state: &str) -> String {
    let mut name = String::with_capacity(20 + kind.len() + state.len());
    push_name(&mut name, offset, kind, state);
    name
}

/// The offset at the start of a file name, and what follows it; `None` for other files.
#[must_use]
pub fn split_name(name: &str) -> Option<(i64, &str)> {
    let dot = name.find('.')?;
    let (digits, rest) = name.split_at(dot);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, rest))
}

/// What a directory inside a log directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DirKind {
    /// `topic-7`: the log itself.
    Current,
    /// `topic-7.<32 hex digits>-future`: being copied here from another directory.
    Future,
    /// `topic-7.<32 hex digits>-delete`: to be removed.
    Deleted,
    /// `topic-7.<32 hex digits>-stray`: does not belong to this broker any more.
    Stray,
}

impl DirKind {
    fn suffix(self) -> &'static str {
        match self {
            Self::Current => "",
            Self::Future => "-future",
            Self::Deleted => "-delete",
            Self::Stray => "-stray",
        }
    }
}

/// Longest name of a directory or file that common file systems take.
const MAX_NAME: usize = 255;

/// The directory name of a partition. `unique` distinguishes directories that are not current.
#[must_use]
pub fn dir_name(topic: &str, partition: i32, kind: DirKind, unique: u128) -> String {
    if kind == DirKind::Current {
        return format!("{topic}-{partition}");
    }
    let tail = format!("-{partition}.{unique:032x}{}", kind.suffix());
    let keep = topic.len().min(MAX_NAME - tail.len());
    format!("{}{tail}", &topic[..topic.floor_char_boundary(keep)])
}

/// Reads a directory name: topic, partition and kind; `None` when it is no partition's.
#[must_use]
pub fn parse_dir_name(name: &str) -> Option<(&str, i32, DirKind)> {
    let (plain, kind) = [DirKind::Future, DirKind::Deleted, DirKind::Stray]
        .into_iter()
        .find_map(|kind| {
            let rest = name.strip_suffix(kind.suffix())?;
            let (plain, unique) = rest.rsplit_once('.')?;
            let hex = unique.len() == 32 && unique.bytes().all(|b| b.is_ascii_hexdigit());
            hex.then_some((plain, kind))
        })
        .unwrap_or((name, DirKind::Current));
    let (topic, partition) = plain.rsplit_once('-')?;
    if topic.is_empty() || !partition.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((topic, partition.parse().ok()?, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files() {
        assert_eq!(file_name(42, LOG, ""), "00000000000000000042.log");
        assert_eq!(split_name("00000000000000000042.index.deleted"), Some((42, ".index.deleted")));
        assert_eq!(split_name("partition.metadata"), None);
        assert_eq!(split_name("99999999999999999999.log"), None);
    }

    #[test]
    fn names_of_directories() {
        for kind in [DirKind::Current, DirKind::Future, DirKind::Deleted, DirKind::Stray] {
            let name = dir_name("a-b.c", 7, kind, 0xabc);
            assert_eq!(parse_dir_name(&name), Some(("a-b.c", 7, kind)), "{name}");
        }
        let long = "t".repeat(249);
        assert!(dir_name(&long, 100_000, DirKind::Deleted, 1).len() <= MAX_NAME);
        assert_eq!(parse_dir_name("kafka"), None);
        assert_eq!(parse_dir_name("-3"), None);
        assert_eq!(parse_dir_name("a-x"), None);
    }
}
