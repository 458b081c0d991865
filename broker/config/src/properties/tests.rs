use proptest::prelude::*;

use super::*;

/// What `java.util.Properties` makes of each text, entries as it puts them.
#[rustfmt::skip]
const JAVA: &[(&str, &[(&str, &str)])] = &[
    ("a=b", &[("a", "b")]),
    ("a = b", &[("a", "b")]),
    ("a:b", &[("a", "b")]),
    ("a : b", &[("a", "b")]),
    ("a b", &[("a", "b")]),
    ("a\tb", &[("a", "b")]),
    ("a", &[("a", "")]),
    ("a=", &[("a", "")]),
    ("=b", &[("", "b")]),
    ("a==b", &[("a", "=b")]),
    ("a=:b", &[("a", ":b")]),
    ("a = = b", &[("a", "= b")]),
    (" \t\u{c}a=b  ", &[("a", "b  ")]),
    ("#c\na=b", &[("a", "b")]),
    ("  ! c\na=b", &[("a", "b")]),
    ("a=b#c", &[("a", "b#c")]),
    ("a\\=b=c", &[("a=b", "c")]),
    ("a\\:b:c", &[("a:b", "c")]),
    ("a\\ b c", &[("a b", "c")]),
    ("a=b\\\n   c", &[("a", "bc")]),
    ("a=b\\\\\nc=d", &[("a", "b\\"), ("c", "d")]),
    ("a=b\\\r\n\tc", &[("a", "bc")]),
    ("a=b\rc=d", &[("a", "b"), ("c", "d")]),
    ("a=b\r\n\r\nc=d", &[("a", "b"), ("c", "d")]),
    ("a\\\n  b=c", &[("ab", "c")]),
    ("a=\\u0041\\u00e9", &[("a", "A\u{e9}")]),
    ("a=\\t\\n\\r\\f\\q\\\\", &[("a", "\t\n\r\u{c}q\\")]),
    ("a=b\\", &[("a", "b")]),
    ("#c\\\na=b", &[("a", "b")]),
    ("a=\\\n#b", &[("a", "#b")]),
    ("\\#a=b", &[("#a", "b")]),
    ("a=b\\\n\n c=d", &[("a", "b"), ("c", "d")]),
    ("a\u{e9}=\u{20ac}", &[("a\u{e9}", "\u{20ac}")]),
    ("a=\\ud83d\\ude00", &[("a", "\u{1f600}")]),
    ("a \\\n = b", &[("a", "b")]),
    ("a\\\n=b", &[("a", "b")]),
    ("a\u{c}=\u{c}b", &[("a", "b")]),
    ("a=b\\\n", &[("a", "b")]),
    ("\\\na=b", &[("a", "b")]),
    ("   \\\n a=b", &[("a", "b")]),
    ("", &[]),
    ("\n\n", &[]),
    ("#", &[]),
];

#[test]
fn texts_are_read_as_java_reads_them() {
    for (text, expected) in JAVA {
        let entries = read(text).expect(text);
        let found: Vec<(&str, &str)> =
            entries.iter().map(|e| (e.key.as_str(), e.value.as_str())).collect();
        assert_eq!(found, *expected, "{text:?}");
    }
}

#[test]
fn bad_escapes_are_refused_with_their_line() {
    for text in ["a=\\u12", "a=\\uzzzz", "\\u", "a=\\u123", "a=\\u+123"] {
        assert_eq!(read(&format!("\n{text}\n")), Err(BadEscape { line: 2 }), "{text:?}");
    }
}

#[test]
fn a_setting_has_the_line_on_which_it_begins() {
    let entries = read("# c\n\na=1\nb=2\\\n  3\r\nc=4\rd=5").expect("entries");
    let lines: Vec<(&str, u32)> = entries.iter().map(|e| (e.key.as_str(), e.line)).collect();
    assert_eq!(lines, [("a", 3), ("b", 4), ("c", 6), ("d", 7)]);
}

#[test]
fn a_repeated_key_is_there_repeatedly() {
    let entries = read("a=1\na=2").expect("entries");
    assert_eq!(entries.last().map(|e| (e.value.as_str(), e.line)), Some(("2", 2)));
}

#[test]
fn texts_are_written_as_java_writes_them() {
    assert_eq!(
        write([(" k e=y:#!", " v a=l:u#e!\té€😀\\\n")]),
        "\\ k\\ e\\=y\\:\\#\\!=\\ v a\\=l\\:u\\#e\\!\\t\\u00E9\\u20AC\\uD83D\\uDE00\\\\\\n\n"
    );
    assert_eq!(write([("k", "")]), "k=\n");
}

proptest! {
    #[test]
    fn what_is_written_is_read(settings in prop::collection::vec(any::<(String, String)>(), 0..5)) {
        let text = write(settings.iter().map(|(k, v)| (k.as_str(), v.as_str())));
        let found: Vec<(String, String)> =
            read(&text).expect("own text").into_iter().map(|e| (e.key, e.value)).collect();
        prop_assert_eq!(found, settings);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[\\\\#!=: \t\r\nua0-9\u{e9}]{0,40}") {
        let _ = read(&text);
    }
}
