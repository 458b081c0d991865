//! What an operator should know about settings that are not wrong.

use std::fmt;

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

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::Unknown { place, key, nearest: Some(name) } => {
                write!(f, "{place}unknown key {key}; is {name} meant?")
            }
            Warning::Unknown { place, key, nearest: None } => write!(f, "{place}unknown key {key}"),
            Warning::NoEffect { place, key, why } => write!(f, "{place}{key} has no effect: {why}"),
            Warning::Planned { place, key, feature } => {
                write!(f, "{place}{key} has no effect yet: {feature} is still to come")
            }
            Warning::NoListener { place, key, listener } => {
                write!(f, "{place}{key} has no effect: there is no listener {listener}")
            }
            Warning::Repeated { place, key, line } => {
                write!(f, "{place}{key} is set again on line {line}, which holds")
            }
        }
    }
}
