//! What the names in a log's directory say must be done before the log can be used.

use std::collections::BTreeSet;

use crate::names;

/// The files of a log's directory, sorted by what they are for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Base offsets of segments.
    pub segments: BTreeSet<i64>,
    /// Base offsets of segments that finished cleaning and wait to take the place of others.
    pub swaps: BTreeSet<i64>,
    /// Names of their files. Where the segment's batches have taken their place already, only
    /// those of indexes are left.
    pub swap_files: Vec<String>,
    /// Offsets of snapshots of producers' state.
    pub snapshots: BTreeSet<i64>,
    /// Whether any segment has a list of aborted transactions.
    pub txn_indexes: TxnIndexes,
    /// Names of files to remove: left over from removals, from writes that never finished, from
    /// cleaning that never finished, and indexes without a segment.
    pub remove: Vec<String>,
}

/// Whether there are lists of aborted transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TxnIndexes {
    /// There are none.
    #[default]
    None,
    /// There is one, at least.
    Some,
}

/// Sorts the names found in a log's directory.
#[must_use]
pub fn sort<'a>(found: impl Iterator<Item = &'a str> + Clone) -> Listing {
    let mut listing = Listing::default();
    let is_log = |kind: &str, state: &str| kind.strip_prefix(names::LOG) == Some(state);
    // A crash while one segment was split in several leaves new ones of which only some are
    // finished: those from the first unfinished one on do not count.
    let unfinished = found
        .clone()
        .filter_map(names::split_name)
        .filter(|(_, kind)| kind.ends_with(names::CLEANED))
        .map(|(offset, _)| offset)
        .min()
        .unwrap_or(i64::MAX);
    for (offset, kind) in found.clone().filter_map(names::split_name) {
        if is_log(kind, "") {
            listing.segments.insert(offset);
        } else if is_log(kind, names::SWAP) && offset < unfinished {
            listing.swaps.insert(offset);
        } else if kind.starts_with(names::TXN_INDEX) {
            listing.txn_indexes = TxnIndexes::Some;
        } else if kind == names::SNAPSHOT {
            listing.snapshots.insert(offset);
        }
    }
    for name in found {
        let remove = match names::split_name(name) {
            Some((offset, kind)) if kind.ends_with(names::SWAP) => {
                if offset < unfinished {
                    listing.swap_files.push(name.to_owned());
                }
                offset >= unfinished
            }
            Some((_, kind)) if kind.ends_with(names::DELETED) => !kind.starts_with("-"),
            Some((_, kind)) if kind.ends_with(names::CLEANED) => true,
            Some((offset, names::INDEX | names::TIME_INDEX | names::TXN_INDEX)) => {
                !listing.segments.contains(&offset)
            }
            _ => name.ends_with(names::TMP),
        };
        if remove {
            listing.remove.push(name.to_owned());
        }
    }
    listing
}

/// Which segments give way to finished swap segments, each of which spans the offsets from its
/// base up to the second number.
#[must_use]
pub fn superseded(segments: &BTreeSet<i64>, swaps: &[(i64, i64)]) -> Vec<i64> {
    let start = swaps.iter().map(|s| s.0).min();
    let end = swaps.iter().map(|s| s.1).max();
    let (Some(start), Some(end)) = (start, end) else { return Vec::new() };
    if start >= end {
        // An empty one replaces its namesake only.
        return segments.iter().copied().filter(|s| *s == start).collect();
    }
    segments.range(start..end).copied().collect()
}

/// The snapshots that are of no use: those that stand for no segment's base offset, but for the
/// newest of them when it lies behind all segments.
#[must_use]
pub fn stray_snapshots(snapshots: &BTreeSet<i64>, segments: &BTreeSet<i64>) -> Vec<i64> {
    let last_segment = segments.last().copied().unwrap_or(i64::MIN);
    let keep = snapshots.last().copied().filter(|s| *s >= last_segment);
    let stray = snapshots.iter().filter(|s| !segments.contains(s) && Some(**s) != keep);
    stray.copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_names() {
        let names = [
            "00000000000000000000.log",
            "00000000000000000000.index",
            "00000000000000000009.index",
            "00000000000000000005.log.swap",
            "00000000000000000005.index.swap",
            "00000000000000000007.timeindex.swap",
            "00000000000000000003.log.deleted",
            "00000000000000000005.snapshot",
            "leader-epoch-checkpoint",
            "leader-epoch-checkpoint.tmp",
            "partition.metadata",
        ];
        let sorted = sort(names.iter().copied());
        assert_eq!(sorted.segments, BTreeSet::from([0]));
        assert_eq!(sorted.swaps, BTreeSet::from([5]));
        assert_eq!(sorted.snapshots, BTreeSet::from([5]));
        assert_eq!(sorted.swap_files, names[3..6]);
        assert_eq!(
            sorted.remove,
            [
                "00000000000000000009.index",
                "00000000000000000003.log.deleted",
                "leader-epoch-checkpoint.tmp"
            ]
        );
    }

    #[test]
    fn unfinished_splits_are_undone() {
        let names =
            ["0000.log", "0000.log.swap", "0005.log.swap", "0005.log.cleaned", "0007.log.swap"];
        let sorted = sort(names.iter().copied());
        assert_eq!(sorted.swaps, BTreeSet::from([0]));
        assert_eq!(sorted.remove, ["0005.log.swap", "0005.log.cleaned", "0007.log.swap"]);
    }

    #[test]
    fn swaps_supersede() {
        let segments = BTreeSet::from([0, 10, 20, 30]);
        assert_eq!(superseded(&segments, &[(0, 20)]), [0, 10]);
        assert_eq!(superseded(&segments, &[(10, 12), (12, 30)]), [10, 20]);
        assert_eq!(superseded(&segments, &[(10, 10)]), [10]);
        assert_eq!(superseded(&segments, &[]), []);
    }

    #[test]
    fn snapshots_without_segment() {
        let segments = BTreeSet::from([0, 10, 20]);
        let stray = |s: &[i64]| stray_snapshots(&s.iter().copied().collect(), &segments);
        assert_eq!(stray(&[5, 10, 15, 20]), [5, 15]);
        assert_eq!(stray(&[5, 10, 25]), [5]);
        assert_eq!(stray(&[10, 22, 25]), [22]);
    }
}
