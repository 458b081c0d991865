//! Prometheus' text format, version 0.0.4.

use std::fmt::Write;

use crate::point::Shape;

/// A name that Prometheus takes: `[a-zA-Z_:][a-zA-Z0-9_:]*`, other characters as underscores.
pub(crate) fn sanitize(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let mut clean: String = name.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    if !clean.starts_with(|c: char| !c.is_ascii_digit()) {
        clean.insert(0, '_');
    }
    clean
}

/// A label's value, escaped for its place between double quotes.
pub(crate) fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out
}

/// Writes the line that says what a family is; `None` when its clients do not agree.
pub(crate) fn family(out: &mut String, name: &str, shape: Option<Shape>) {
    // Writing into a string cannot fail.
    let _ = writeln!(out, "# TYPE {name} {}", shape.map_or("untyped", Shape::word));
}

/// Writes one sample.
pub(crate) fn sample(out: &mut String, name: &str, suffix: &str, labels: [&str; 2], value: f64) {
    let [own, others] = labels;
    let comma = if own.is_empty() || others.is_empty() { "" } else { "," };
    let _ = write!(out, "{name}{suffix}{{{own}{comma}{others}}} ");
    let _ = match value {
        v if v.is_nan() => writeln!(out, "NaN"),
        f64::INFINITY => writeln!(out, "+Inf"),
        f64::NEG_INFINITY => writeln!(out, "-Inf"),
        v => writeln!(out, "{v}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values() {
        let java = "org.apache.kafka.producer.connection.creation.total";
        assert_eq!(sanitize(java), "org_apache_kafka_producer_connection_creation_total");
        assert_eq!(
            (sanitize("9x"), sanitize(""), sanitize("ä b")),
            ("_9x".into(), "_".into(), "__b".into())
        );
        assert_eq!(escape("a\\b\"c\nd"), "a\\\\b\\\"c\\nd");
    }

    #[test]
    fn samples() {
        let mut out = String::new();
        family(&mut out, "a_total", Some(Shape::Counter));
        sample(&mut out, "a_total", "", ["x=\"1\"", ""], 3.0);
        sample(&mut out, "h", "_bucket", ["x=\"1\"", "le=\"2\""], f64::INFINITY);
        sample(&mut out, "h", "_sum", ["", ""], f64::NAN);
        family(&mut out, "u", None);
        let want = "# TYPE a_total counter\na_total{x=\"1\"} 3\nh_bucket{x=\"1\",le=\"2\"} +Inf\n\
                    h_sum{} NaN\n# TYPE u untyped\n";
        assert_eq!(out, want);
    }
}
