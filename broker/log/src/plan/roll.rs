//! When the active segment is closed and a new one begun.

use crate::settings::LogSettings;

/// What is known of the active segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Active {
    /// Its base offset.
    pub base_offset: i64,
    /// Its bytes.
    pub size: u64,
    /// The largest timestamp of its first batch, -1 when there is none.
    pub first_timestamp: i64,
    /// When it was created, milliseconds since 1970.
    pub created_ms: i64,
    /// By how much `segment.ms` is shortened for it.
    pub jitter_ms: i64,
    /// Entries of its offset index.
    pub index_entries: u32,
    /// Entries of its time index.
    pub time_entries: u32,
}

/// What is about to be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arriving {
    /// Bytes.
    pub size: u64,
    /// The last offset.
    pub last_offset: i64,
    /// The largest timestamp, -1 when there is none.
    pub max_timestamp: i64,
    /// Now, milliseconds since 1970.
    pub now_ms: i64,
}

/// Why a segment is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The batches would make it larger than `segment.bytes`.
    Size,
    /// It is older than `segment.ms`, by the records' time or, where they have none, by ours.
    Age,
    /// An index has no room for another entry.
    IndexFull,
    /// The offset is too far from the base offset for the index's 4 bytes.
    OffsetOverflow,
}

/// Whether the active segment must be closed before the batches are appended.
#[must_use]
pub fn reason(settings: &LogSettings, active: &Active, arriving: &Arriving) -> Option<Reason> {
    let limit = u64::from(settings.segment_bytes);
    if active.size > 0 && active.size + arriving.size > limit {
        return Some(Reason::Size);
    }
    let age = if active.first_timestamp >= 0 {
        arriving.max_timestamp.saturating_sub(active.first_timestamp)
    } else {
        arriving.now_ms.saturating_sub(active.created_ms)
    };
    if active.size > 0 && age > settings.segment_ms.saturating_sub(active.jitter_ms) {
        return Some(Reason::Age);
    }
    let index_full = active.index_entries >= settings.index_bytes / 8;
    // The last place of the time index is for the entry that is made when the segment closes.
    let time_full = active.time_entries + 1 >= (settings.index_bytes / 12).max(2);
    if active.size > 0 && (index_full || time_full) {
        return Some(Reason::IndexFull);
    }
    let relative = arriving.last_offset - active.base_offset;
    (!(0..=i64::from(i32::MAX)).contains(&relative)).then_some(Reason::OffsetOverflow)
}

/// A segment's share of `segment.jitter.ms`, in `0..=jitter`, spread by its name and offset so
/// that logs created together do not all roll together.
#[must_use]
pub fn jitter(settings: &LogSettings, seed: u64) -> i64 {
    let most = settings.segment_jitter_ms.min(settings.segment_ms);
    if most <= 0 {
        return 0;
    }
    // The finaliser of splitmix64.
    let mut x = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((x ^ (x >> 31)) % (most as u64).saturating_add(1)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTIVE: Active = Active {
        base_offset: 100,
        size: 1000,
        first_timestamp: 5000,
        created_ms: 0,
        jitter_ms: 0,
        index_entries: 0,
        time_entries: 0,
    };
    const ARRIVING: Arriving =
        Arriving { size: 10, last_offset: 200, max_timestamp: 6000, now_ms: 1 };

    fn settings() -> LogSettings {
        LogSettings { segment_bytes: 1010, segment_ms: 1000, ..LogSettings::default() }
    }

    #[test]
    fn by_size() {
        assert_eq!(reason(&settings(), &ACTIVE, &ARRIVING), None);
        let larger = Arriving { size: 11, ..ARRIVING };
        assert_eq!(reason(&settings(), &ACTIVE, &larger), Some(Reason::Size));
    }

    #[test]
    fn by_age() {
        let late = Arriving { max_timestamp: 6001, ..ARRIVING };
        assert_eq!(reason(&settings(), &ACTIVE, &late), Some(Reason::Age));
        let jittered = Active { jitter_ms: 1, ..ACTIVE };
        assert_eq!(reason(&settings(), &jittered, &ARRIVING), Some(Reason::Age));
        let undated = Active { first_timestamp: -1, ..ACTIVE };
        let later = Arriving { now_ms: 1001, max_timestamp: -1, ..ARRIVING };
        assert_eq!(reason(&settings(), &undated, &later), Some(Reason::Age));
        let empty = Active { size: 0, first_timestamp: -1, ..ACTIVE };
        assert_eq!(reason(&settings(), &empty, &later), None);
    }

    #[test]
    fn by_index_and_offset() {
        let s = LogSettings { index_bytes: 24, ..settings() };
        assert_eq!(
            reason(&s, &Active { index_entries: 3, ..ACTIVE }, &ARRIVING),
            Some(Reason::IndexFull)
        );
        let far = Arriving { last_offset: 100 + i64::from(i32::MAX), ..ARRIVING };
        assert_eq!(reason(&settings(), &ACTIVE, &far), None);
        let farther = Arriving { last_offset: 101 + i64::from(i32::MAX), ..ARRIVING };
        assert_eq!(reason(&settings(), &ACTIVE, &farther), Some(Reason::OffsetOverflow));
    }

    #[test]
    fn jitter_stays_in_bounds() {
        let s = LogSettings { segment_jitter_ms: 10, ..settings() };
        let all: Vec<_> = (0..100).map(|i| jitter(&s, i)).collect();
        assert!(all.iter().all(|j| (0..=10).contains(j)));
        assert!(all.iter().any(|j| *j != all[0]));
        assert_eq!(jitter(&settings(), 7), 0);
    }
}
