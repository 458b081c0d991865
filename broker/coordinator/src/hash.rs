//! Which partition of an internal topic coordinates a key.

/// The hash code Java gives the string: over its UTF-16 units, wrapping at 32 bits.
#[must_use]
pub fn java_string_hash(text: &str) -> i32 {
    text.encode_utf16()
        .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// The partition that coordinates `key` in an internal topic of `partitions` partitions.
///
/// The smallest hash, whose absolute value does not exist, counts as 0. Answers 0 when
/// `partitions` is not positive.
#[must_use]
pub fn partition_for(key: &str, partitions: i32) -> i32 {
    if partitions <= 0 {
        return 0;
    }
    let hash = java_string_hash(key);
    let positive = if hash == i32::MIN { 0 } else { hash.abs() };
    positive % partitions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_java_does() {
        assert_eq!(java_string_hash(""), 0);
        assert_eq!(java_string_hash("my-group"), -1_906_497_762);
        assert_eq!(java_string_hash("grüße-😀"), 347_391_577);
        assert_eq!(java_string_hash("polygenelubricants"), i32::MIN);
    }

    #[test]
    fn partitions_stay_in_range() {
        assert_eq!(partition_for("polygenelubricants", 50), 0);
        assert_eq!(partition_for("anything", 0), 0);
        for id in 0..1000 {
            let partition = partition_for(&format!("group-{id}"), 50);
            assert!((0..50).contains(&partition));
        }
    }
}
