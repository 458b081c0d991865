//! What an operator should know about settings that are not wrong.

use std::fmt;

use crate::error::one_line;

/// One line for the log at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// Nobody reads this key.
    Unknown {
        /// `file:line: `, `--override `, or nothing.
        place: String,
        /// The key as given.
        key: String,
        /// A known key that it may have been meant to be.
        nearest: Option<String>,
    },
    /// The key is set but changes nothing here.
    NoEffect {
        /// `file:line: `, `--override `, or nothing.
        place: String,
        /// The key.
        key: String,
        /// Why.
        why: &'static str,
    },
    /// The key is set, but its feature is still to come.
    Planned {
        /// `file:line: `, `--override `, or nothing.
        place: String,
        /// The key.
        key: String,
        /// The feature.
        feature: &'static str,
    },
    /// The key is of a listener that this node has not.
    NoListener {
        /// `file:line: `, `--override `, or nothing.
        place: String,
        /// The key.
        key: String,
        /// The listener that it names.
        listener: String,
    },
    /// The key is in the file twice.
    Repeated {
        /// Where it is the first time.
        place: String,
        /// The key.
        key: String,
        /// The later line, which holds.
        line: u32,
    },
}

impl Warning {
    /// The key that it is about.
    pub fn key(&self) -> &str {
        match self {
            Warning::Unknown { key, .. }
            | Warning::NoEffect { key, .. }
            | Warning::Planned { key, .. }
            | Warning::NoListener { key, .. }
            | Warning::Repeated { key, .. } => key,
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = one_line(self.key());
        match self {
            Warning::Unknown { place, nearest: Some(name), .. } => {
                write!(f, "{place}unknown key {key}; is {name} meant?")
            }
            Warning::Unknown { place, nearest: None, .. } => write!(f, "{place}unknown key {key}"),
            Warning::NoEffect { place, why, .. } => write!(f, "{place}{key} has no effect: {why}"),
            Warning::Planned { place, feature, .. } => {
                write!(f, "{place}{key} has no effect yet: {feature} is still to come")
            }
            Warning::NoListener { place, listener, .. } => {
                write!(f, "{place}{key} has no effect: there is no listener {}", one_line(listener))
            }
            Warning::Repeated { place, line, .. } => {
                write!(f, "{place}{key} is set again on line {line}, which holds")
            }
        }
    }
}
