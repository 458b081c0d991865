//! Which values of its type a key allows: the check, its message and its name in documentation.

use std::fmt;

use crate::error::ValueError;
use crate::value::Value;

/// Whether a list may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emptiness {
    /// It may.
    Allowed,
    /// It needs at least one entry.
    Refused,
}

/// A limit on values. Its `Display` is how Kafka's documentation writes the limit, empty for none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Valid {
    /// Everything of the type.
    Any,
    /// A whole number (or a fraction) not below this.
    AtLeast(i64),
    /// A whole number within these, inclusive.
    Between(i64, i64),
    /// A fraction within these, inclusive.
    Fraction(f64, f64),
    /// `-1`, or 1 to 9: the levels of gzip.
    GzipLevel,
    /// One of these words, exactly.
    OneOf(&'static [&'static str]),
    /// One of these words, in any case.
    OneOfIgnoreCase(&'static [&'static str]),
    /// A list without empty entries, of which repeats are dropped when it is read; each entry is one
    /// of these words if any are given.
    Distinct(&'static [&'static str], Emptiness),
    /// Text of at least one character (or none set).
    NonEmptyText,
    /// Text, which may be empty but not null.
    NonNullText,
    /// Entries `id@host:port`.
    Voters,
    /// Entries `host:port`.
    HostPorts,
    /// `*`, or entries `partition:broker`.
    ThrottledReplicas,
    /// `latest`, `earliest` or `by_duration:` and an ISO-8601 duration (KIP-1106).
    ShareOffsetReset,
}

const THROTTLED: &str = "[partitionId]:[brokerId],[partitionId]:[brokerId],...";

impl Valid {
    /// Checks a parsed value. The error is the answer Kafka gives for it.
    pub fn check(&self, name: &str, value: &Value) -> Result<(), ValueError> {
        let text_error = |value: &dyn fmt::Display, rule: String| {
            Err(ValueError::value(name, value.to_string(), rule))
        };
        match *self {
            Valid::Any => Ok(()),
            Valid::AtLeast(least) => self.check_number(name, value, least as f64, None),
            Valid::Between(least, most) => {
                self.check_number(name, value, least as f64, Some(most as f64))
            }
            Valid::Fraction(least, most) => self.check_number(name, value, least, Some(most)),
            Valid::GzipLevel => match value {
                Value::Int(-1 | 1..=9) => Ok(()),
                other => {
                    text_error(other, "Value must be between 1 and 9 or equal to -1".to_owned())
                }
            },
            Valid::OneOf(words) => match value {
                Value::Text(text) if words.contains(&text.as_str()) => Ok(()),
                other => text_error(other, format!("String must be one of: {}", words.join(", "))),
            },
            Valid::OneOfIgnoreCase(words) => match value {
                Value::Text(text) if words.iter().any(|w| w.eq_ignore_ascii_case(text)) => Ok(()),
                other => text_error(
                    other,
                    format!("String must be one of (case insensitive): {}", words.join(", ")),
                ),
            },
            Valid::Distinct(words, emptiness) => check_distinct(name, value, words, emptiness),
            Valid::NonEmptyText => match value {
                Value::Text(text) if text.is_empty() => {
                    text_error(text, "String must be non-empty".to_owned())
                }
                _ => Ok(()),
            },
            Valid::NonNullText => match value {
                Value::Null => text_error(&"null", "entry must be non null".to_owned()),
                _ => Ok(()),
            },
            Valid::Voters => check_entries(value, |entry| crate::quorum::Voter::parse(name, entry)),
            Valid::HostPorts => {
                check_entries(value, |entry| crate::quorum::HostPort::parse_for(name, entry))
            }
            Valid::ThrottledReplicas => check_throttled(name, value),
            Valid::ShareOffsetReset => match value {
                Value::Text(text) if crate::duration::is_share_offset_reset(text) => Ok(()),
                other => text_error(
                    other,
                    format!(
                        "Invalid value `{other}` for configuration {name}. The value must be \
                         either 'earliest', 'latest' or of the format \
                         'by_duration:<PnDTnHnMn.nS>'."
                    ),
                ),
            },
        }
    }

    fn check_number(
        &self,
        name: &str,
        value: &Value,
        least: f64,
        most: Option<f64>,
    ) -> Result<(), ValueError> {
        let number = match value {
            Value::Short(n) => f64::from(*n),
            Value::Int(n) => f64::from(*n),
            Value::Long(n) => *n as f64,
            Value::Double(n) => *n,
            Value::Null => return Err(ValueError::value(name, "null", "Value must be non-null")),
            _ => return Ok(()),
        };
        let show = |n: f64| if n.fract() == 0.0 { format!("{n:.0}") } else { format!("{n}") };
        if number < least {
            let rule = format!("Value must be at least {}", show(least));
            return Err(ValueError::value(name, value.to_string(), rule));
        }
        if let Some(most) = most.filter(|most| number > *most) {
            let rule = format!("Value must be no more than {}", show(most));
            return Err(ValueError::value(name, value.to_string(), rule));
        }
        Ok(())
    }
}

fn check_entries<T>(
    value: &Value,
    parse: impl Fn(&str) -> Result<T, ValueError>,
) -> Result<(), ValueError> {
    match value {
        Value::List(entries) => entries.iter().try_for_each(|entry| parse(entry).map(|_| ())),
        _ => Ok(()),
    }
}

fn check_distinct(
    name: &str,
    value: &Value,
    words: &[&str],
    emptiness: Emptiness,
) -> Result<(), ValueError> {
    let Value::List(entries) = value else { return Ok(()) };
    let whole = |rule: String| Err(ValueError::list(name, value.to_string(), rule));
    if entries.is_empty() && emptiness == Emptiness::Refused {
        let any = if words.is_empty() {
            "any non-empty value".to_owned()
        } else {
            format!("[{}]", words.join(", "))
        };
        return whole(format!("must not be empty. Valid values include: {any}"));
    }
    for entry in entries {
        if entry.is_empty() {
            return whole("values must not be empty.".to_owned());
        }
        if !words.is_empty() && !words.contains(&entry.as_str()) {
            let rule = format!("String must be one of: {}", words.join(", "));
            return Err(ValueError::value(name, entry.clone(), rule));
        }
    }
    Ok(())
}

fn check_throttled(name: &str, value: &Value) -> Result<(), ValueError> {
    let Value::List(entries) = value else { return Ok(()) };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let pair = |entry: &str| {
        entry.split_once(':').is_some_and(|(partition, broker)| digits(partition) && digits(broker))
    };
    // Kafka looks at the list joined again, and so lets one comma at the end pass.
    let body = match entries.split_last() {
        Some((last, rest)) if last.is_empty() && !rest.is_empty() => rest,
        _ => entries.as_slice(),
    };
    let starred = matches!(entries.as_slice(), [only] if only == "*");
    if starred || body.iter().all(|entry| pair(entry)) {
        return Ok(());
    }
    let shown = format!("[{}]", entries.join(", "));
    let rule = format!(
        "{name} must be the literal '*' or a list of replicas in the following format: {THROTTLED}"
    );
    Err(ValueError::value(name, shown, rule))
}

impl fmt::Display for Valid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Valid::Any => Ok(()),
            Valid::AtLeast(least) => write!(f, "[{least},...]"),
            Valid::Between(least, most) => write!(f, "[{least},...,{most}]"),
            Valid::Fraction(least, most) => write!(f, "[{least},...,{most}]"),
            Valid::GzipLevel => f.write_str("[1,...,9] or -1"),
            Valid::OneOf(words) => write!(f, "[{}]", words.join(", ")),
            Valid::OneOfIgnoreCase(words) => {
                write!(f, "(case insensitive) [{}]", words.join(", "))
            }
            Valid::Distinct([], _) => Ok(()),
            Valid::Distinct(words, _) => write!(f, "[{}]", words.join(", ")),
            Valid::NonEmptyText => f.write_str("non-empty string"),
            Valid::NonNullText => f.write_str("non-null string"),
            Valid::Voters | Valid::HostPorts => f.write_str("non-empty list"),
            Valid::ThrottledReplicas => f.write_str(THROTTLED),
            Valid::ShareOffsetReset => f.write_str("[latest, earliest, by_duration:PnDTnHnMn.nS]"),
        }
    }
}
