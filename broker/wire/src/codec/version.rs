//! Version ranges and the layout of one version.

use super::Message;
use std::fmt;

/// A range of versions, both ends included; empty when `min > max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// The lowest version.
    pub min: i16,
    /// The highest version; `i16::MAX` for an open end.
    pub max: i16,
}

impl Versions {
    /// No version at all.
    pub const NONE: Versions = Versions { min: 0, max: -1 };

    /// The versions from `min` to `max`, both included.
    pub const fn new(min: i16, max: i16) -> Self {
        Self { min, max }
    }

    /// Whether the version lies in the range.
    pub const fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }

    /// Whether no version lies in the range.
    pub const fn is_empty(self) -> bool {
        self.min > self.max
    }

    /// The versions in ascending order.
    pub fn iter(self) -> impl Iterator<Item = i16> {
        self.min..=self.max
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            v if v.is_empty() => f.write_str("none"),
            Versions { min, max: i16::MAX } => write!(f, "{min}+"),
            Versions { min, max } if min == max => write!(f, "{min}"),
            Versions { min, max } => write!(f, "{min}-{max}"),
        }
    }
}

/// How one version of a message lies in bytes: its number, and whether it is flexible (KIP-482).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The version.
    pub version: i16,
    /// Compact lengths, and a section of tagged fields behind every struct.
    pub flexible: bool,
}

impl Layout {
    /// The layout of a message's version, if the message has that version.
    pub fn of<M: Message>(version: i16) -> Option<Self> {
        M::VERSIONS
            .contains(version)
            .then(|| Self { version, flexible: M::FLEXIBLE.contains(version) })
    }

    /// Whether the version lies between both ends, which are included.
    #[inline]
    pub const fn within(self, min: i16, max: i16) -> bool {
        min <= self.version && self.version <= max
    }

    /// The same version with the lengths of the inflexible form.
    #[inline]
    pub const fn inflexible(self) -> Self {
        Self { flexible: false, ..self }
    }
}
