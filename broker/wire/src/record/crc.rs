//! CRC-32C, the checksum of version 2 batches.

/// CRC-32C (Castagnoli) of `bytes`.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// The CRC-32C of a text after its first part was replaced by another of the same length,
/// without reading the rest: `whole` is the checksum before, `old` and `new` are that first part
/// before and after, and `rest` is the number of bytes behind it.
///
/// A leader which sets a batch's timestamp needs this: its cost does not grow with the batch.
pub fn replace_prefix(whole: u32, old: &[u8], new: &[u8], rest: usize) -> u32 {
    debug_assert_eq!(old.len(), new.len());
    if rest == 0 {
        return crc32c(new);
    }
    // combine(a, b, n) is shift(a, n) ^ b, and shift is linear, so that the two prefixes'
    // difference can be shifted over the rest and added to the checksum.
    crc32c::crc32c_combine(crc32c(old) ^ crc32c(new), whole, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_check_value() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn prefix_can_be_replaced_without_the_rest() {
        let rest: Vec<u8> = (0..5000u32).map(|i| (i * 7 + 3) as u8).collect();
        for n in [0, 1, 61, 4096, 5000] {
            let before = [&b"old prefix"[..], &rest[..n]].concat();
            let after = [&b"new PREFIX"[..], &rest[..n]].concat();
            let patched = replace_prefix(crc32c(&before), b"old prefix", b"new PREFIX", n);
            assert_eq!(patched, crc32c(&after), "rest of {n} bytes");
        }
    }
}
