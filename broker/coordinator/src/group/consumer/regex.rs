//! Subscriptions by pattern.
//!
//! Patterns are of the syntax of RE2, as Kafka's are: no step back, so the time to match is linear
//! in the name; what a pattern may grow to is bounded here.

use ottla_metadata::Image;
use ottla_wire::ErrorCode;
use regex::{Regex, RegexBuilder};

use super::desk::Refused;
use super::group::Resolved;

/// The most bytes that a pattern may take when it is compiled.
const MAX_COMPILED: usize = 1 << 20;
/// How deep groups in a pattern may go.
const MAX_DEPTH: u32 = 100;

/// Compiles a pattern, which has to match a name from its begin to its end.
pub(crate) fn compile(text: &str) -> Result<Regex, Refused> {
    let build =
        |text: &str| RegexBuilder::new(text).size_limit(MAX_COMPILED).nest_limit(MAX_DEPTH).build();
    // Alone first, so that one that closes the bracket of ours is not taken for a good one.
    build(text).and_then(|_| build(&format!(r"\A(?:{text})\z"))).map_err(|error| {
        let reason = match error {
            regex::Error::CompiledTooBig(_) => "expression too large".to_owned(),
            other => reason(other.to_string().lines().last().unwrap_or_default()),
        };
        let message =
            format!("SubscribedTopicRegex `{text}` is not a valid regular expression: {reason}.");
        Refused::new(ErrorCode::INVALID_REGULAR_EXPRESSION, message)
    })
}

/// What is wrong with a pattern, in the words of RE2 where it has some.
fn reason(error: &str) -> String {
    const WORDS: &[(&str, &str)] = &[
        ("unclosed group", "missing closing )"),
        ("unopened group", "unexpected )"),
        ("unclosed character class", "missing closing ]"),
        ("repetition operator missing expression", "missing argument to repetition operator"),
        ("look-around, including", "invalid or unsupported Perl syntax"),
        ("incomplete escape sequence", "trailing backslash at end of expression"),
    ];
    let known = WORDS.iter().find(|(ours, _)| error.contains(ours));
    known.map_or_else(
        || error.strip_prefix("error: ").unwrap_or(error).to_owned(),
        |(_, theirs)| (*theirs).to_owned(),
    )
}

/// The topics that a pattern stands for.
pub(crate) fn resolve(pattern: &Regex, image: &Image, now_ms: i64) -> Resolved {
    let names = image.topics().map(|topic| &*topic.name);
    let topics = names.filter(|name| pattern.is_match(name)).map(str::to_owned).collect();
    Resolved { topics, ..nothing(image, now_ms) }
}

/// What a pattern stands for that matches nothing.
pub(crate) fn nothing(image: &Image, now_ms: i64) -> Resolved {
    Resolved { version: image.provenance().offset, timestamp: now_ms, ..Resolved::default() }
}
