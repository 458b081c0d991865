//! Who waits for the high watermark.

use std::collections::BTreeMap;

/// Waits for acknowledgement, by the offset that the high watermark must reach.
#[derive(Debug)]
pub struct AckWaits<W> {
    waits: BTreeMap<i64, Vec<W>>,
}

impl<W> Default for AckWaits<W> {
    fn default() -> Self {
        Self { waits: BTreeMap::new() }
    }
}

impl<W> AckWaits<W> {
    /// Adds one that waits until the high watermark is at least `offset`.
    pub fn push(&mut self, offset: i64, wait: W) {
        self.waits.entry(offset).or_default().push(wait);
    }

    /// Takes those that a high watermark of `high_watermark` satisfies, in the order of offsets.
    pub fn reached(&mut self, high_watermark: i64) -> impl Iterator<Item = W> + use<W> {
        let later = match high_watermark.checked_add(1) {
            Some(next) => self.waits.split_off(&next),
            None => BTreeMap::new(),
        };
        std::mem::replace(&mut self.waits, later).into_values().flatten()
    }

    /// Takes all, as when leadership is lost.
    pub fn all(&mut self) -> impl Iterator<Item = W> + use<W> {
        std::mem::take(&mut self.waits).into_values().flatten()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waits.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_leave_whose_offset_is_reached() {
        let mut waits = AckWaits::default();
        for (offset, name) in [(10, "b"), (5, "a"), (10, "c"), (11, "d")] {
            waits.push(offset, name);
        }
        assert_eq!(waits.reached(4).count(), 0);
        assert_eq!(waits.reached(10).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(waits.reached(10).count(), 0);
        assert_eq!(waits.all().collect::<Vec<_>>(), ["d"]);
        assert!(waits.is_empty());
    }
}
