//! Every way a configuration can be wrong.

use std::fmt;

/// A value that its key does not allow. Displays as Kafka's own answer for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ValueError {
    key: String,
    value: String,
    rule: String,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Names the value, then the rule.
    Value,
    /// Names the key, then the rule: for rules on a whole list.
    List,
    /// The rule is the whole sentence.
    Sentence,
}

impl ValueError {
    pub(crate) fn value(key: &str, value: impl Into<String>, rule: impl Into<String>) -> Self {
        ValueError { key: key.into(), value: value.into(), rule: rule.into(), form: Form::Value }
    }

    pub(crate) fn list(key: &str, value: impl Into<String>, rule: impl Into<String>) -> Self {
        ValueError { key: key.into(), value: value.into(), rule: rule.into(), form: Form::List }
    }

    pub(crate) fn sentence(key: &str, value: impl Into<String>, rule: impl Into<String>) -> Self {
        ValueError { key: key.into(), value: value.into(), rule: rule.into(), form: Form::Sentence }
    }

    /// The key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The value as given.
    pub fn given(&self) -> &str {
        &self.value
    }

    /// What the value breaks, without the value.
    pub fn rule(&self) -> &str {
        &self.rule
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ValueError { key, value, rule, form } = self;
        match form {
            Form::Value => write!(f, "Invalid value {value} for configuration {key}: {rule}"),
            Form::List => write!(f, "Configuration '{key}' {rule}"),
            Form::Sentence => f.write_str(rule),
        }
    }
}

/// Where a setting came from; displays as the opening of an error line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A line of the properties file, counted from 1.
    Line(u32),
    /// `--override`.
    Override,
    /// Nobody set it.
    Default,
}

/// Why a node cannot start with these settings: one line, naming key, value and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file is not in properties syntax.
    #[error("{file}:{line}: {what}")]
    Syntax {
        /// The file's name as given.
        file: String,
        /// Counted from 1.
        line: u32,
        /// What is wrong there.
        what: &'static str,
    },
    /// An override that is no `KEY=VALUE`.
    #[error("--override {}: a setting is written KEY=VALUE", one_line(given))]
    Override {
        /// The argument as given.
        given: String,
    },
    /// A value that its key does not allow.
    #[error("{place}{}={}: {}; allowed: {allowed}", one_line(key), one_line(value), one_line(rule))]
    Value {
        /// `file:line: `, `--override `, or nothing.
        place: String,
        /// The key.
        key: String,
        /// The value as given, hidden if it is a secret.
        value: String,
        /// What it breaks.
        rule: String,
        /// The type and limits.
        allowed: String,
    },
    /// A `${provider:...}` that cannot be resolved.
    #[error("{place}{}={}: {}", one_line(key), one_line(value), one_line(&source.to_string()))]
    Reference {
        /// `file:line: `, `--override `, or nothing.
        place: String,
        /// The key.
        key: String,
        /// The value as written, with the reference in it.
        value: String,
        /// Why not.
        source: Box<crate::provider::ProviderError>,
    },
    /// Settings that are each allowed but do not go together.
    #[error("{place}{}={}: {}", one_line(key), one_line(value), one_line(rule))]
    Conflict {
        /// `file:line: `, `--override `, or nothing.
        place: String,
        /// The key to change.
        key: String,
        /// Its value.
        value: String,
        /// What it must be, naming the other key.
        rule: String,
    },
    /// A key without a default is not set.
    #[error("{key} is not set: {hint}")]
    Missing {
        /// The key.
        key: &'static str,
        /// What to set it to.
        hint: String,
    },
}

/// Text as it stands in a message of one line: control characters are escaped.
pub(crate) fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}
