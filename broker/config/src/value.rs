//! A parsed value, and the parsing and printing of each type as Java does them.

use std::fmt;

use crate::error::ValueError;
use crate::spec::{ConfigType, Spec};
use crate::valid::Valid;

/// Text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The secret itself. Never log or answer it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// A value of one of the catalog's types. Its `Display` is what DescribeConfigs answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Not set, and without a default.
    Null,
    /// A BOOLEAN.
    Bool(bool),
    /// A SHORT.
    Short(i16),
    /// An INT.
    Int(i32),
    /// A LONG.
    Long(i64),
    /// A DOUBLE.
    Double(f64),
    /// A STRING or a CLASS.
    Text(String),
    /// A LIST.
    List(Vec<String>),
    /// A PASSWORD.
    Secret(Secret),
}

impl Value {
    /// Parses and checks a set value.
    pub fn parse(spec: &Spec, text: &str) -> Result<Value, ValueError> {
        let mut value = Value::parse_type(spec.name, spec.kind, text)?;
        if let (Value::List(entries), Valid::Distinct(..)) = (&mut value, &spec.valid) {
            *entries = first_of_each(std::mem::take(entries));
        }
        spec.valid.check(spec.name, &value)?;
        Ok(value)
    }

    /// Parses a value of a type without checking bounds.
    pub fn parse_type(name: &str, kind: ConfigType, text: &str) -> Result<Value, ValueError> {
        let trimmed = trim(text);
        let number =
            || ValueError::value(name, text, format!("Not a number of type {}", kind.name()));
        Ok(match kind {
            ConfigType::Boolean if trimmed.eq_ignore_ascii_case("true") => Value::Bool(true),
            ConfigType::Boolean if trimmed.eq_ignore_ascii_case("false") => Value::Bool(false),
            ConfigType::Boolean => {
                let rule = "Expected value to be either true or false";
                return Err(ValueError::value(name, text, rule));
            }
            ConfigType::Int => Value::Int(trimmed.parse().map_err(|_| number())?),
            ConfigType::Short => Value::Short(trimmed.parse().map_err(|_| number())?),
            ConfigType::Long => Value::Long(trimmed.parse().map_err(|_| number())?),
            ConfigType::Double => Value::Double(parse_double(trimmed).ok_or_else(number)?),
            ConfigType::Str => Value::Text(trimmed.to_owned()),
            ConfigType::Class => Value::Text(text.to_owned()),
            ConfigType::List => Value::List(split_list(trimmed)),
            ConfigType::Password => Value::Secret(Secret::new(trimmed)),
        })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(v) => write!(f, "{v}"),
            Value::Short(v) => write!(f, "{v}"),
            Value::Int(v) => write!(f, "{v}"),
            Value::Long(v) => write!(f, "{v}"),
            Value::Double(v) => f.write_str(&print_double(*v)),
            Value::Text(v) => f.write_str(v),
            Value::List(v) => f.write_str(&v.join(",")),
            Value::Secret(v) => write!(f, "{v}"),
        }
    }
}

/// Trims as Java does: every character up to and including the space.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

/// Splits a list at commas, without the white space around them.
pub(crate) fn split_list(trimmed: &str) -> Vec<String> {
    if trimmed.is_empty() {
        return Vec::new();
    }
    let space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\x0B' | '\x0C' | '\r');
    trimmed.split(',').map(|entry| entry.trim_matches(space).to_owned()).collect()
}

/// Leaves out entries that were there before, as Kafka does with lists that are sets.
fn first_of_each(entries: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(entries.len());
    for entry in entries {
        if !kept.contains(&entry) {
            kept.push(entry);
        }
    }
    kept
}

/// Reads a DOUBLE: Java's words for the odd values, and its type suffixes.
fn parse_double(trimmed: &str) -> Option<f64> {
    let unsigned = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    let sign = if trimmed.starts_with('-') { -1.0 } else { 1.0 };
    match unsigned {
        "NaN" => return Some(f64::NAN),
        "Infinity" => return Some(sign * f64::INFINITY),
        _ => {}
    }
    let digits = unsigned.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(unsigned);
    let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-');
    if digits.starts_with(['+', '-']) || !digits.bytes().all(plain) {
        return None;
    }
    digits.parse::<f64>().ok().map(|value| sign * value)
}

/// Prints a DOUBLE as Java's `Double.toString` does.
fn print_double(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        return format!("{value:?}");
    }
    let scientific = format!("{value:E}");
    match scientific.split_once('E') {
        Some((mantissa, exponent)) if !mantissa.contains('.') => format!("{mantissa}.0E{exponent}"),
        _ => scientific,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_print_as_java_prints_them() {
        for text in [
            "1.7976931348623157E308",
            "2.147483647E9",
            "0.5",
            "1.0",
            "0.001",
            "9.9E-4",
            "1.23456789E7",
            "1.0E7",
            "9999999.0",
            "1.0E-5",
            "100.0",
            "0.0",
            "Infinity",
            "NaN",
        ] {
            let value = parse_double(text).expect(text);
            assert_eq!(print_double(value), text);
        }
    }

    #[test]
    fn doubles_take_javas_spellings_and_no_others() {
        assert_eq!(parse_double("0.5d"), Some(0.5));
        assert_eq!(parse_double("1f"), Some(1.0));
        assert_eq!(parse_double(".5"), Some(0.5));
        assert_eq!(parse_double("-1e3"), Some(-1000.0));
        for bad in ["", "inf", "nan", "infinity", "x", "1_0", "--1", "+-1", "d"] {
            assert_eq!(parse_double(bad), None, "{bad}");
        }
    }

    #[test]
    fn lists_lose_the_space_around_commas_and_keep_empty_entries() {
        assert_eq!(split_list("a ,\tb"), ["a", "b"]);
        assert_eq!(split_list("a,"), ["a", ""]);
        assert!(split_list("").is_empty());
    }

    #[test]
    fn a_secret_is_never_printed() {
        let value = Value::Secret(Secret::new("hunter2"));
        assert!(!format!("{value} {value:?}").contains("hunter2"));
    }
}
