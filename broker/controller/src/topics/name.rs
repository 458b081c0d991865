//! Which names topics may have.

/// The longest name of a topic, in characters: with a partition's number and the suffix of a directory to be
/// deleted, it must still be the name of a file.
pub const MAX_TOPIC_NAME: usize = 249;

/// Checks a topic's name. The error is what clients are told.
pub fn check_topic_name(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let what = if name.is_empty() {
        "the empty string is not allowed".to_owned()
    } else if name == "." || name == ".." {
        format!("'{name}' is not allowed")
    } else if name.encode_utf16().count() > MAX_TOPIC_NAME {
        format!("the length of '{name}' is longer than the max allowed length {MAX_TOPIC_NAME}")
    } else if !name.chars().all(allowed) {
        format!(
            "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
        )
    } else {
        return Ok(());
    };
    Err(format!("Topic name is invalid: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_with_kafkas_words() {
        assert_eq!(check_topic_name("a.b-C_9"), Ok(()));
        assert_eq!(check_topic_name(&"x".repeat(249)), Ok(()));
        let said = |name: &str| check_topic_name(name).expect_err("a bad name");
        assert_eq!(said(""), "Topic name is invalid: the empty string is not allowed");
        assert_eq!(said("."), "Topic name is invalid: '.' is not allowed");
        assert_eq!(said(".."), "Topic name is invalid: '..' is not allowed");
        let words =
            "contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'";
        assert_eq!(said("a b"), format!("Topic name is invalid: 'a b' {words}"));
        assert_eq!(said("\u{e4}"), format!("Topic name is invalid: '\u{e4}' {words}"));
        let long = "x".repeat(250);
        let words = "is longer than the max allowed length 249";
        assert_eq!(said(&long), format!("Topic name is invalid: the length of '{long}' {words}"));
    }
}
