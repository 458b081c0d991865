//! CRC-32C, the checksum of version 2 batches.

/// CRC-32C (Castagnoli) of `bytes`.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// The polynomial, lowest power in the highest bit.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// `POWERS[k]` is x to the power of 2^k modulo the polynomial; enough for 2^40 bits.
const POWERS: [u32; 40] = {
    let mut powers = [1 << 30; 40];
    let mut k = 1;
    while k < powers.len() {
        powers[k] = multiply(powers[k - 1], powers[k - 1]);
        k += 1;
    }
    powers
};

/// The product of two polynomials over the field of two elements, modulo the checksum's.
const fn multiply(a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    let mut bit = 1 << 31;
    while bit != 0 {
        if a & bit != 0 {
            product ^= b;
        }
        b = (b >> 1) ^ (POLYNOMIAL & 0u32.wrapping_sub(b & 1));
        bit >>= 1;
    }
    product
}

/// What a difference in the checksum becomes after `n` more bytes.
fn shift(difference: u32, n: usize) -> u32 {
    let bits = (n as u64) << 3;
    let powers = POWERS.iter().enumerate().filter(|(k, _)| bits >> k & 1 == 1);
    powers.fold(difference, |d, (_, power)| multiply(*power, d))
}

/// The CRC-32C of a text after its first part was replaced by another of the same length,
/// without reading the rest: `whole` is the checksum before, `old` and `new` are that first part
/// before and after, and `rest` is the number of bytes behind it, less than 2^36.
///
/// A leader which sets a batch's timestamp needs this: its cost does not grow with the batch.
pub fn replace_prefix(whole: u32, old: &[u8], new: &[u8], rest: usize) -> u32 {
    debug_assert_eq!(old.len(), new.len());
    whole ^ shift(crc32c(old) ^ crc32c(new), rest)
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
        for n in [0, 1, 2, 61, 4095, 4096, 5000] {
            let before = [&b"old prefix"[..], &rest[..n]].concat();
            let after = [&b"new PREFIX"[..], &rest[..n]].concat();
            let patched = replace_prefix(crc32c(&before), b"old prefix", b"new PREFIX", n);
            assert_eq!(patched, crc32c(&after), "rest of {n} bytes");
        }
    }

    #[test]
    fn shift_is_the_libraries() {
        for n in [1, 3, 16_384, 1_048_576, i32::MAX as usize] {
            let (a, b) = (0x1234_5678, 0x9abc_def0);
            assert_eq!(shift(a, n) ^ b, crc32c::crc32c_combine(a, b, n), "{n} bytes");
        }
    }
}
