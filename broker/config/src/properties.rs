//! Java's properties syntax: reading with line numbers, and writing.
//!
//! A line is `key value`, `key=value` or `key: value`, with white space around the separator.
//! `#` and `!` open comments. A backslash at a line's end goes on with the next line, leading white
//! space dropped; elsewhere it escapes: `\t`, `\n`, `\r`, `\f`, `\uXXXX`, any other character
//! itself.

use std::fmt::Write as _;

/// One setting of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key, unescaped; may be empty.
    pub key: String,
    /// The value, unescaped; white space at its end is part of it.
    pub value: String,
    /// The line on which the setting begins, counted from 1.
    pub line: u32,
}

/// A `\u` escape that is not followed by four hexadecimal digits: all that can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: \\u must be followed by four hexadecimal digits")]
pub struct BadEscape {
    /// The line on which the setting begins, counted from 1.
    pub line: u32,
}

/// Reads all settings in the order of the file. A repeated key is there repeatedly: the last wins.
pub fn read(text: &str) -> Result<Vec<Entry>, BadEscape> {
    let mut entries = Vec::new();
    let mut lines = Lines { rest: text, number: 0 };
    while let Some((number, first)) = lines.next() {
        let start = first.trim_start_matches(is_space);
        if start.is_empty() || start.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = start.to_owned();
        while ends_with_escape(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, next)) => logical.push_str(next.trim_start_matches(is_space)),
                None => break,
            }
        }
        let (key, value) = split(&logical);
        let bad = || BadEscape { line: number };
        let key = unescape(key).ok_or_else(bad)?;
        let value = unescape(value).ok_or_else(bad)?;
        entries.push(Entry { key, value, line: number });
    }
    Ok(entries)
}

/// Writes settings, one a line, escaped so that `read` gives them back.
pub fn write<'a>(settings: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = String::new();
    for (key, value) in settings {
        escape(key, Part::Key, &mut out);
        out.push('=');
        escape(value, Part::Value, &mut out);
        out.push('\n');
    }
    out
}

struct Lines<'a> {
    rest: &'a str,
    number: u32,
}

impl<'a> Lines<'a> {
    /// The next line without its end: `\n`, `\r` or both.
    fn next(&mut self) -> Option<(u32, &'a str)> {
        if self.rest.is_empty() {
            return None;
        }
        self.number += 1;
        let end = self.rest.find(['\n', '\r']).unwrap_or(self.rest.len());
        let (line, after) = self.rest.split_at(end);
        self.rest = after
            .strip_prefix("\r\n")
            .or_else(|| after.strip_prefix(['\n', '\r']))
            .unwrap_or(after);
        Some((self.number, line))
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0C')
}

fn ends_with_escape(line: &str) -> bool {
    line.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

/// Splits at the first separator that is not escaped.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line
        .find(|c: char| {
            let stop = !escaped && (is_space(c) || matches!(c, '=' | ':'));
            escaped = c == '\\' && !escaped;
            stop
        })
        .unwrap_or(line.len());
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start_matches(is_space);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, value.trim_start_matches(is_space))
}

fn unescape(text: &str) -> Option<String> {
    if !text.contains('\\') {
        return Some(text.to_owned());
    }
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    let mut buffer = [0; 2];
    while let Some(c) = rest.next() {
        if c != '\\' {
            units.extend_from_slice(c.encode_utf16(&mut buffer));
            continue;
        }
        match rest.next() {
            Some('t') => units.push(0x09),
            Some('n') => units.push(0x0A),
            Some('r') => units.push(0x0D),
            Some('f') => units.push(0x0C),
            Some('u') => {
                let mut unit = 0;
                for _ in 0..4 {
                    unit = unit * 16 + rest.next()?.to_digit(16)?;
                }
                units.push(u16::try_from(unit).ok()?);
            }
            Some(other) => units.extend_from_slice(other.encode_utf16(&mut buffer)),
            None => {}
        }
    }
    // Two \u escapes may be the halves of one character; a half alone has no place in a text.
    Some(String::from_utf16_lossy(&units))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Key,
    Value,
}

fn escape(text: &str, part: Part, out: &mut String) {
    for (at, c) in text.char_indices() {
        match c {
            ' ' if at == 0 || part == Part::Key => out.push_str("\\ "),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\x0C' => out.push_str("\\f"),
            '\\' | '=' | ':' | '#' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_ascii_graphic() || c == ' ' => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "\\u{unit:04X}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
