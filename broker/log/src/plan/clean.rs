//! What is compacted, and how segments are put together.

use crate::settings::LogSettings;

/// What is known of one segment that is not the active one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its base offset.
    pub base_offset: i64,
    /// Bytes.
    pub size: u64,
    /// The largest timestamp; where records have none, when the file was written last.
    pub largest_timestamp: i64,
    /// The largest timestamp of the first batch, -1 when there is none.
    pub first_timestamp: i64,
}

/// What is known of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Everything below was compacted before; `None` when nothing was.
    pub cleaner_point: Option<i64>,
    /// The log start offset.
    pub start_offset: i64,
    /// The log end offset.
    pub end_offset: i64,
    /// The last stable offset.
    pub stable_offset: i64,
    /// Base offset of the active segment.
    pub active_base: i64,
    /// Now, milliseconds since 1970.
    pub now_ms: i64,
}

/// What part of a log could be compacted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dirt {
    /// What lies below was compacted before.
    pub first_dirty: i64,
    /// What lies from here on cannot be compacted yet: the base offset of a segment.
    pub first_uncleanable: i64,
    /// Bytes below `first_dirty`.
    pub clean_bytes: u64,
    /// Bytes between both.
    pub dirty_bytes: u64,
    /// For how many milliseconds compaction has been overdue by `max.compaction.lag.ms`.
    pub overdue_ms: i64,
}

impl Dirt {
    /// Share of dirty bytes of those that a compaction would read.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        let total = self.clean_bytes + self.dirty_bytes;
        if total == 0 { 0.0 } else { self.dirty_bytes as f64 / total as f64 }
    }

    /// Whether the log is to be compacted now.
    #[must_use]
    pub fn is_due(&self, settings: &LogSettings) -> bool {
        self.dirty_bytes > 0
            && (self.overdue_ms > 0 || self.ratio() > settings.min_cleanable_dirty_ratio)
    }
}

/// Looks at a log's closed segments, oldest first.
#[must_use]
pub fn dirt(settings: &LogSettings, bounds: &Bounds, closed: &[Facts]) -> Dirt {
    let valid = |p: &i64| (bounds.start_offset..=bounds.end_offset).contains(p);
    let first_dirty = bounds.cleaner_point.filter(valid).unwrap_or(bounds.start_offset);
    let holds_dirt = |i: usize| closed.get(i + 1).is_none_or(|n| n.base_offset > first_dirty);
    let lag = settings.min_compaction_lag_ms.max(0);
    let too_young = closed.iter().enumerate().find(|(i, s)| {
        lag > 0 && holds_dirt(*i) && s.largest_timestamp > bounds.now_ms.saturating_sub(lag)
    });
    let limit = [Some(bounds.stable_offset), Some(bounds.active_base)]
        .into_iter()
        .chain([too_young.map(|(_, s)| s.base_offset)])
        .flatten()
        .min()
        .unwrap_or(first_dirty)
        .max(first_dirty);
    // Only whole segments are compacted: the one that holds the limit is not.
    let mut first_uncleanable = bounds.active_base;
    for (i, segment) in closed.iter().enumerate() {
        let next = closed.get(i + 1).map_or(bounds.active_base, |n| n.base_offset);
        if next > limit {
            first_uncleanable = segment.base_offset;
            break;
        }
    }
    let sum = |from: i64, to: i64| -> u64 {
        closed.iter().filter(|s| (from..to).contains(&s.base_offset)).map(|s| s.size).sum()
    };
    let dirty_base = closed
        .iter()
        .map(|s| s.base_offset)
        .take_while(|b| *b <= first_dirty)
        .last()
        .filter(|_| first_dirty < first_uncleanable)
        .unwrap_or(first_dirty);
    let oldest = closed
        .iter()
        .enumerate()
        .filter(|(i, s)| holds_dirt(*i) && s.first_timestamp > 0)
        .map(|(_, s)| s.first_timestamp)
        .min();
    let wanted_before = bounds.now_ms.saturating_sub(settings.max_compaction_lag_ms.max(0));
    Dirt {
        first_dirty,
        first_uncleanable,
        clean_bytes: sum(i64::MIN, dirty_base),
        dirty_bytes: sum(dirty_base, first_uncleanable),
        overdue_ms: oldest.map_or(0, |t| wanted_before.saturating_sub(t).max(0)),
    }
}

/// What is known of a segment that is to be put together with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its base offset.
    pub base_offset: i64,
    /// Base offset of the next segment.
    pub next_offset: i64,
    /// Bytes.
    pub size: u64,
    /// Bytes of its offset index.
    pub index_size: u64,
    /// Bytes of its time index.
    pub time_index_size: u64,
}

/// How many segments, from each group's first on, are written into one, so that it keeps
/// within all limits even if nothing can be dropped.
#[must_use]
pub fn groups(settings: &LogSettings, parts: &[Part]) -> Vec<usize> {
    let (max_size, max_index) =
        (u64::from(settings.segment_bytes), u64::from(settings.index_bytes));
    let mut groups = Vec::new();
    let mut current: Option<(Part, usize)> = None;
    for part in parts {
        if let Some((sum, count)) = &mut current {
            let near =
                part.size == 0 || part.next_offset - 1 - sum.base_offset <= i64::from(i32::MAX);
            if sum.size + part.size <= max_size
                && sum.index_size + part.index_size <= max_index
                && sum.time_index_size + part.time_index_size <= max_index
                && near
            {
                sum.size += part.size;
                sum.index_size += part.index_size;
                sum.time_index_size += part.time_index_size;
                *count += 1;
                continue;
            }
            groups.push(*count);
        }
        current = Some((*part, 1));
    }
    groups.extend(current.map(|(_, count)| count));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(list: &[(i64, u64, i64)]) -> Vec<Facts> {
        let one = |&(base_offset, size, t): &(i64, u64, i64)| Facts {
            base_offset,
            size,
            largest_timestamp: t,
            first_timestamp: t,
        };
        list.iter().map(one).collect()
    }

    const BOUNDS: Bounds = Bounds {
        cleaner_point: None,
        start_offset: 0,
        end_offset: 45,
        stable_offset: 45,
        active_base: 40,
        now_ms: 1000,
    };

    #[test]
    fn what_is_dirty() {
        let closed = facts(&[(0, 10, 100), (10, 20, 200), (20, 30, 300), (30, 40, 400)]);
        let s = LogSettings::default();
        let all = dirt(&s, &BOUNDS, &closed);
        assert_eq!((all.first_dirty, all.first_uncleanable), (0, 40));
        assert_eq!((all.clean_bytes, all.dirty_bytes), (0, 100));
        assert!(all.is_due(&s));

        let again = dirt(&s, &Bounds { cleaner_point: Some(30), ..BOUNDS }, &closed);
        assert_eq!((again.clean_bytes, again.dirty_bytes), (60, 40));
        assert!(!again.is_due(&s));
        let overdue = LogSettings { max_compaction_lag_ms: 500, ..s.clone() };
        let again = dirt(&overdue, &Bounds { cleaner_point: Some(30), ..BOUNDS }, &closed);
        assert_eq!(again.overdue_ms, 100);
        assert!(again.is_due(&overdue));

        let open_txn = dirt(&s, &Bounds { stable_offset: 25, ..BOUNDS }, &closed);
        assert_eq!((open_txn.first_uncleanable, open_txn.dirty_bytes), (20, 30));
        let lag = LogSettings { min_compaction_lag_ms: 750, ..s.clone() };
        assert_eq!(dirt(&lag, &BOUNDS, &closed).first_uncleanable, 20);
        let done = dirt(&s, &Bounds { cleaner_point: Some(40), ..BOUNDS }, &closed);
        assert_eq!((done.clean_bytes, done.dirty_bytes), (100, 0));
        let invalid = dirt(&s, &Bounds { cleaner_point: Some(99), ..BOUNDS }, &closed);
        assert_eq!(invalid.first_dirty, 0);
        assert!(!dirt(&s, &BOUNDS, &[]).is_due(&s));
    }

    #[test]
    fn what_goes_together() {
        let s = LogSettings { segment_bytes: 100, index_bytes: 50, ..LogSettings::default() };
        let part = |base_offset, size, index_size| Part {
            base_offset,
            next_offset: base_offset + 10,
            size,
            index_size,
            time_index_size: 0,
        };
        let parts = [part(0, 50, 1), part(10, 50, 1), part(20, 1, 1), part(30, 0, 1)];
        assert_eq!(groups(&s, &parts), [2, 2]);
        assert_eq!(groups(&s, &[part(0, 1, 30), part(10, 1, 30)]), [1, 1]);
        let far = [part(0, 1, 0), part(1 << 31, 1, 0)];
        assert_eq!(groups(&s, &far), [1, 1]);
        let far_but_empty = [part(0, 1, 0), part(1 << 31, 0, 0)];
        assert_eq!(groups(&s, &far_but_empty), [2]);
        assert!(groups(&s, &[]).is_empty());
    }
}
