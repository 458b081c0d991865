//! The LZ4 frame format, with the restrictions of Kafka's clients: version 1, independent
//! blocks, one frame.

use ::lz4::block::{self, CompressionMode};

use super::{Lz4HeaderChecksum, corrupt, grow};
use crate::record::{Compression, RecordError};

const MAGIC: [u8; 4] = 0x184d_2204_u32.to_le_bytes();

/// Bits of the first descriptor byte.
const VERSION_MASK: u8 = 0b1100_0000;
const VERSION_1: u8 = 0b0100_0000;
const INDEPENDENT_BLOCKS: u8 = 1 << 5;
const BLOCK_CHECKSUM: u8 = 1 << 4;
const CONTENT_SIZE: u8 = 1 << 3;
const RESERVED_OR_DICTIONARY: u8 = 0b11;

/// Bit of a block's length which says that the block is stored as it is.
const STORED: u32 = 1 << 31;

/// Size of the blocks that we write, and its code in the descriptor.
const BLOCK: usize = 64 * 1024;
const BLOCK_CODE: u8 = 4;

/// The level that stands for the fast mode; all others use the high compression mode.
const FAST_LEVEL: i32 = 9;
const LEVELS: (i32, i32) = (1, 17);

/// One more byte of an LZ4 length stands for at most 255 bytes of output.
const MAX_RATIO: usize = 255;

fn error(what: &'static str) -> RecordError {
    corrupt(Compression::Lz4, what)
}

/// Reads one frame; what stands behind it is not looked at, as Kafka's clients do.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    block_limit: usize,
    block_checksum: bool,
    ended: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a [u8], checksum: Lz4HeaderChecksum) -> Result<Self, RecordError> {
        let [m0, m1, m2, m3, flags, sizes, rest @ ..] = input else {
            return Err(error("ends within the frame header"));
        };
        if [*m0, *m1, *m2, *m3] != MAGIC {
            return Err(error("no frame magic"));
        }
        if flags & VERSION_MASK != VERSION_1 || flags & RESERVED_OR_DICTIONARY != 0 {
            return Err(error("unsupported frame flags"));
        }
        if flags & INDEPENDENT_BLOCKS == 0 {
            return Err(error("blocks depend on one another"));
        }
        if sizes & 0b1000_1111 != 0 || sizes >> 4 < BLOCK_CODE {
            return Err(error("unsupported block size"));
        }
        let content_size = if flags & CONTENT_SIZE == 0 { 0 } else { 8 };
        let cut = error("ends within the frame header");
        let descriptor = input.get(4..6 + content_size).unwrap_or_default();
        let (_, rest) = rest.split_at_checked(content_size).ok_or(cut.clone())?;
        let (stored, rest) = rest.split_first().ok_or(cut)?;
        if checksum == Lz4HeaderChecksum::Checked && *stored != header_checksum(descriptor) {
            return Err(error("wrong header checksum"));
        }
        Ok(Self {
            rest,
            block_limit: 1 << (8 + 2 * u32::from(sizes >> 4)),
            block_checksum: flags & BLOCK_CHECKSUM != 0,
            ended: false,
        })
    }

    pub(super) fn read(&mut self, out: &mut Vec<u8>) -> Result<usize, RecordError> {
        while !self.ended {
            let (word, rest) = self.rest.split_first_chunk().ok_or(error("no end mark"))?;
            let word = u32::from_le_bytes(*word);
            if word == 0 {
                self.ended = true;
                break;
            }
            let length = (word & !STORED) as usize;
            if length > self.block_limit {
                return Err(error("block exceeds the block size"));
            }
            let (data, rest) = rest.split_at_checked(length).ok_or(error("ends in a block"))?;
            self.rest = rest;
            if self.block_checksum {
                let (sum, rest) = rest.split_first_chunk().ok_or(error("ends in a block"))?;
                if u32::from_le_bytes(*sum) != xxh32(data) {
                    return Err(error("wrong block checksum"));
                }
                self.rest = rest;
            }
            if word & STORED != 0 {
                if data.is_empty() {
                    continue;
                }
                out.clear();
                out.extend_from_slice(data);
                return Ok(data.len());
            }
            let capacity = self.block_limit.min(length.saturating_mul(MAX_RATIO));
            grow(out, capacity);
            let n = block::decompress_to_buffer(data, Some(capacity as i32), out)
                .map_err(|_| error("bad block"))?;
            if n > 0 {
                return Ok(n);
            }
        }
        Ok(0)
    }
}

pub(super) fn compress(input: &[u8], level: Option<i32>) -> Result<Vec<u8>, RecordError> {
    let mode = match level {
        None | Some(FAST_LEVEL) => CompressionMode::DEFAULT,
        Some(level) => CompressionMode::HIGHCOMPRESSION(level.clamp(LEVELS.0, LEVELS.1)),
    };
    let descriptor = [VERSION_1 | INDEPENDENT_BLOCKS, BLOCK_CODE << 4];
    let mut out = Vec::with_capacity(input.len() / 2 + 64);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&descriptor);
    out.push(header_checksum(&descriptor));
    let failed = |_| error("compressor failed");
    let bound = block::compress_bound(BLOCK.min(input.len())).map_err(failed)?;
    let mut buffer = vec![0; bound];
    for data in input.chunks(BLOCK) {
        let n = block::compress_to_buffer(data, Some(mode), false, &mut buffer).map_err(failed)?;
        match buffer.get(..n) {
            Some(packed) if n < data.len() => {
                out.extend_from_slice(&(n as u32).to_le_bytes());
                out.extend_from_slice(packed);
            }
            _ => {
                out.extend_from_slice(&(data.len() as u32 | STORED).to_le_bytes());
                out.extend_from_slice(data);
            }
        }
    }
    out.extend_from_slice(&[0; 4]);
    Ok(out)
}

/// The second byte of the descriptor's hash.
fn header_checksum(descriptor: &[u8]) -> u8 {
    (xxh32(descriptor) >> 8) as u8
}

/// XXH32 with seed 0, the frame format's checksum.
fn xxh32(input: &[u8]) -> u32 {
    const P: [u32; 5] = [2_654_435_761, 2_246_822_519, 3_266_489_917, 668_265_263, 374_761_393];
    let word = |b: &[u8; 4]| u32::from_le_bytes(*b);
    let (words, tail) = input.as_chunks::<4>();
    let (stripes, rest) = words.as_chunks::<4>();
    let mut hash = if stripes.is_empty() {
        P[4]
    } else {
        let mut v = [P[0].wrapping_add(P[1]), P[1], 0, 0u32.wrapping_sub(P[0])];
        for stripe in stripes {
            for (lane, w) in v.iter_mut().zip(stripe) {
                let mixed = lane.wrapping_add(word(w).wrapping_mul(P[1]));
                *lane = mixed.rotate_left(13).wrapping_mul(P[0]);
            }
        }
        let [a, b, c, d] = v;
        a.rotate_left(1)
            .wrapping_add(b.rotate_left(7))
            .wrapping_add(c.rotate_left(12))
            .wrapping_add(d.rotate_left(18))
    };
    hash = hash.wrapping_add(input.len() as u32);
    for w in rest {
        let mixed = hash.wrapping_add(word(w).wrapping_mul(P[2]));
        hash = mixed.rotate_left(17).wrapping_mul(P[3]);
    }
    for byte in tail {
        let mixed = hash.wrapping_add(u32::from(*byte).wrapping_mul(P[4]));
        hash = mixed.rotate_left(11).wrapping_mul(P[0]);
    }
    hash = (hash ^ (hash >> 15)).wrapping_mul(P[1]);
    hash = (hash ^ (hash >> 13)).wrapping_mul(P[2]);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xxh32_known_values() {
        assert_eq!(xxh32(b""), 0x02cc_5d05);
        assert_eq!(xxh32(b"a"), 0x550d_7456);
        assert_eq!(xxh32(b"abc"), 0x32d1_53ff);
        assert_eq!(xxh32(b"Nobody inspects the spammish repetition"), 0xe229_3b2f);
    }
}
