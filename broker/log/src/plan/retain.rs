//! Which segments go, oldest first.

use crate::settings::LogSettings;

/// What is known of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Offset behind its last one: the base offset of the next segment, or the log's end.
    pub next_offset: i64,
    /// Bytes.
    pub size: u64,
    /// The largest timestamp; where records have none, when the file was written last.
    pub largest_timestamp: i64,
}

/// What is known of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The log start offset: what lies below is not wanted any more.
    pub start_offset: i64,
    /// What lies above may be wanted by followers.
    pub high_watermark: i64,
    /// Now, milliseconds since 1970.
    pub now_ms: i64,
}

/// Why a segment goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// All records are older than `retention.ms`.
    Time,
    /// The log is larger than `retention.bytes` without it.
    Size,
    /// It lies below the log start offset.
    StartOffset,
}

/// How many of the oldest segments go, and why the last of them does. The newest goes only when
/// it is not empty, and a new one has to be begun first then.
///
/// `facts` is asked for segment after segment, oldest first, and only as far as needed.
pub fn deletable<E>(
    settings: &LogSettings,
    bounds: Bounds,
    segments: usize,
    total_size: u64,
    mut facts: impl FnMut(usize) -> Result<Facts, E>,
) -> Result<Option<(usize, Reason)>, E> {
    let deletes = settings.cleanup.deletes();
    let mut excess = match settings.retention_bytes {
        Some(limit) if deletes => total_size.saturating_sub(limit),
        _ => 0,
    };
    let mut by_time = deletes && settings.retention_ms.is_some();
    let mut by_start = true;
    let (mut size_open, mut found) = (excess > 0, None);
    for index in 0..segments {
        if !(by_time || by_start || size_open) {
            break;
        }
        let segment = facts(index)?;
        let last_and_empty = index + 1 == segments && segment.size == 0;
        if last_and_empty || segment.next_offset > bounds.high_watermark {
            break;
        }
        // Each rule takes a run of segments from the oldest on; the longest run counts.
        by_time &= settings
            .retention_ms
            .is_some_and(|limit| bounds.now_ms.saturating_sub(segment.largest_timestamp) > limit);
        size_open &= excess >= segment.size;
        if size_open {
            excess -= segment.size;
        }
        by_start &= index + 1 < segments && segment.next_offset <= bounds.start_offset;
        let reason = if by_time {
            Reason::Time
        } else if size_open {
            Reason::Size
        } else if by_start {
            Reason::StartOffset
        } else {
            break;
        };
        found = Some((index + 1, reason));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::settings::Cleanup;

    fn run(
        settings: LogSettings,
        start_offset: i64,
        high_watermark: i64,
        segments: &[(i64, u64, i64)],
    ) -> Option<(usize, Reason)> {
        let total = segments.iter().map(|s| s.1).sum();
        let bounds = Bounds { start_offset, high_watermark, now_ms: 1000 };
        deletable::<Infallible>(&settings, bounds, segments.len(), total, |i| {
            let (next_offset, size, largest_timestamp) = segments[i];
            Ok(Facts { next_offset, size, largest_timestamp })
        })
        .unwrap_or_default()
    }

    fn none() -> LogSettings {
        LogSettings { retention_ms: None, ..LogSettings::default() }
    }

    const LIST: [(i64, u64, i64); 4] = [(10, 100, 10), (20, 100, 20), (30, 100, 30), (40, 50, 40)];

    #[test]
    fn by_time() {
        let s = LogSettings { retention_ms: Some(975), ..none() };
        assert_eq!(run(s.clone(), 0, 40, &LIST), Some((2, Reason::Time)));
        assert_eq!(run(s.clone(), 0, 19, &LIST), Some((1, Reason::Time)));
        let all = LogSettings { retention_ms: Some(0), ..none() };
        assert_eq!(run(all.clone(), 0, 40, &LIST), Some((4, Reason::Time)));
        let emptied = [(40, 100, 10), (40, 0, -1)];
        assert_eq!(run(all.clone(), 0, 40, &emptied), Some((1, Reason::Time)));
        let compacted = LogSettings { cleanup: Cleanup::Compact, ..all };
        assert_eq!(run(compacted, 0, 40, &LIST), None);
    }

    #[test]
    fn by_size() {
        let s = |bytes| LogSettings { retention_bytes: Some(bytes), ..none() };
        assert_eq!(run(s(350), 0, 40, &LIST), None);
        assert_eq!(run(s(251), 0, 40, &LIST), None);
        assert_eq!(run(s(250), 0, 40, &LIST), Some((1, Reason::Size)));
        assert_eq!(run(s(0), 0, 40, &LIST), Some((4, Reason::Size)));
    }

    #[test]
    fn by_start_offset() {
        assert_eq!(run(none(), 9, 40, &LIST), None);
        assert_eq!(run(none(), 10, 40, &LIST), Some((1, Reason::StartOffset)));
        assert_eq!(run(none(), 40, 40, &LIST), Some((3, Reason::StartOffset)));
        let kept = LogSettings { cleanup: Cleanup::Keep, retention_ms: Some(0), ..none() };
        assert_eq!(run(kept, 20, 40, &LIST), Some((2, Reason::StartOffset)));
    }
}
