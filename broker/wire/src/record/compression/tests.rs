use proptest::prelude::*;

use super::*;
use crate::record::Compression::{Gzip, Lz4, Snappy, Zstd};

const LIMIT: usize = 64 << 20;

/// Words in an order without a period, so that a better search finds better matches.
fn text(n: usize) -> Vec<u8> {
    let words = [&b"quick "[..], b"brown ", b"fox ", b"jumps ", b"over ", b"lazy ", b"dogs "];
    let picked = noise(n / 3 + 1);
    let mut out: Vec<u8> =
        picked.iter().flat_map(|b| words[usize::from(*b) % 7]).copied().collect();
    out.truncate(n);
    out
}

fn noise(n: usize) -> Vec<u8> {
    let mut x = 1u64;
    let mut next = || {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (x >> 56) as u8
    };
    (0..n).map(|_| next()).collect()
}

#[test]
fn every_codec_gives_back_what_it_got() {
    for n in [0, 1, 100, 32 * 1024, 64 * 1024, 64 * 1024 + 1, 300_000] {
        for input in [text(n), noise(n), vec![0; n]] {
            for codec in Compression::ALL {
                let packed = Compressor::new(codec).compress(&input).unwrap();
                assert_eq!(decompress(codec, &packed, LIMIT).unwrap(), input, "{codec:?} {n}");
            }
        }
    }
}

#[test]
fn levels_change_the_size_and_stay_readable() {
    let input = text(200_000);
    for (codec, low, high) in [(Gzip, 1, 9), (Lz4, 9, 17), (Zstd, -131_072, 22)] {
        let pack = |level| Compressor::with_level(codec, level).compress(&input).unwrap();
        let (fast, small) = (pack(low), pack(high));
        assert!(small.len() < fast.len(), "{codec:?}: {} and {}", small.len(), fast.len());
        for packed in [fast, small, pack(i32::MIN), pack(i32::MAX), pack(-1), pack(0)] {
            assert_eq!(decompress(codec, &packed, LIMIT).unwrap(), input);
        }
    }
}

#[test]
fn output_stops_at_the_limit() {
    for codec in Compression::ALL {
        let packed = Compressor::new(codec).compress(&vec![7; 1 << 20]).unwrap();
        assert!(decompress(codec, &packed, 1 << 20).is_ok());
        let error = decompress(codec, &packed, (1 << 20) - 1).unwrap_err();
        assert_eq!(error, RecordError::DecompressedTooLarge { limit: (1 << 20) - 1 });
    }
}

#[test]
fn a_cut_stream_is_an_error() {
    let input = text(5000);
    for codec in [Gzip, Snappy, Lz4, Zstd] {
        let packed = Compressor::new(codec).compress(&input).unwrap();
        for n in 0..packed.len() {
            // Snappy's framing has no end mark: a cut between blocks cannot be seen.
            let between = codec == Snappy && (n == 0 || n == 16);
            let read = decompress(codec, &packed[..n], LIMIT);
            assert_eq!(read.is_err(), !between, "{codec:?} cut at {n}");
        }
    }
}

#[test]
fn a_workspace_forgets_what_it_read_and_stays_small() {
    let mut workspace = Workspace::default();
    let mut read = |codec, packed: &[u8]| {
        let checksum = Lz4HeaderChecksum::Checked;
        let mut stream = Decompressor::open(&mut workspace, codec, packed, LIMIT, checksum)?;
        let mut out = Vec::new();
        let end = loop {
            match stream.fill() {
                Ok([]) => break Ok(()),
                Ok(chunk) => out.extend_from_slice(chunk),
                Err(error) => break Err(error),
            }
            stream.consume(usize::MAX);
        };
        stream.close(&mut workspace);
        assert!(workspace.buffer.capacity() <= KEPT);
        assert!(workspace.zstd.as_ref().is_none_or(|c| c.size() <= KEPT));
        end.map(|()| out)
    };
    let large = noise(200_000);
    let raw = snap::raw::Encoder::new().compress_vec(&vec![0; 6 << 20]).unwrap();
    for codec in Compression::ALL.into_iter().chain(Compression::ALL) {
        let pack = |b: &[u8]| Compressor::new(codec).compress(b).unwrap();
        let (small, packed) = (pack(b"small"), pack(&large));
        assert_eq!(read(codec, &packed).unwrap(), large);
        if codec != Compression::None {
            assert!(read(codec, &packed[..packed.len() / 2]).is_err());
        }
        assert_eq!(read(codec, &small).unwrap(), b"small");
        assert_eq!(read(Snappy, &raw).unwrap().len(), 6 << 20);
        assert_eq!(read(Zstd, &wide_window()).unwrap(), b"wide");
    }
}

/// A frame that asks for a window of 32 MiB.
fn wide_window() -> Vec<u8> {
    use std::io::Write;
    let mut encoder = ::zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(25).unwrap();
    encoder.write_all(b"wi").unwrap();
    encoder.flush().unwrap();
    encoder.write_all(b"de").unwrap();
    encoder.finish().unwrap()
}

#[test]
fn gzip_members_are_joined_and_a_foreign_rest_is_ignored() {
    let pack = |b: &[u8]| Compressor::new(Gzip).compress(b).unwrap();
    let joined = [pack(b"one"), pack(b""), pack(b"two")].concat();
    assert_eq!(decompress(Gzip, &joined, LIMIT).unwrap(), b"onetwo");
    let rest = [&joined[..], b"garbage"].concat();
    assert_eq!(decompress(Gzip, &rest, LIMIT).unwrap(), b"onetwo");
}

#[test]
fn zstd_frames_are_joined() {
    let pack = |b: &[u8]| Compressor::new(Zstd).compress(b).unwrap();
    let joined = [pack(b"one"), pack(b""), pack(b"two")].concat();
    assert_eq!(decompress(Zstd, &joined, LIMIT).unwrap(), b"onetwo");
    assert!(decompress(Zstd, &[&joined[..], b"garbage"].concat(), LIMIT).is_err());
    assert!(decompress(Zstd, &[], LIMIT).is_err());
}

#[test]
fn snappy_without_framing_and_joined_streams() {
    let raw = snap::raw::Encoder::new().compress_vec(&text(70_000)).unwrap();
    assert_eq!(decompress(Snappy, &raw, LIMIT).unwrap(), text(70_000));
    let pack = |b: &[u8]| Compressor::new(Snappy).compress(b).unwrap();
    let joined = [pack(b"one"), pack(b"two")].concat();
    assert_eq!(decompress(Snappy, &joined, LIMIT).unwrap(), b"onetwo");
}

#[test]
fn snappy_reserves_nothing_for_a_lie() {
    let lie = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0];
    assert!(matches!(decompress(Snappy, &lie, usize::MAX), Err(RecordError::Corrupt { .. })));
    let framed = Compressor::new(Snappy).compress(b"").unwrap();
    for length in [-1i32, i32::MIN, i32::MAX, 8] {
        let bad = [&framed[..], &length.to_be_bytes(), &lie].concat();
        assert!(matches!(decompress(Snappy, &bad, usize::MAX), Err(RecordError::Corrupt { .. })));
    }
}

#[test]
fn lz4_header_checksum_may_be_ignored() {
    let mut packed = Compressor::new(Lz4).compress(b"hello").unwrap();
    packed[6] ^= 1;
    assert!(decompress(Lz4, &packed, LIMIT).is_err());
    let ignored = Lz4HeaderChecksum::Ignored;
    let stream = Decompressor::with_lz4_checksum(Lz4, &packed, LIMIT, ignored).unwrap();
    assert_eq!(decompress_with(stream).unwrap(), b"hello");
}

#[test]
fn lz4_frames_of_other_writers() {
    use std::io::Write;
    let input = [text(100_000), noise(100_000)].concat();
    for size in [::lz4::BlockSize::Max64KB, ::lz4::BlockSize::Max256KB, ::lz4::BlockSize::Max4MB] {
        let mut encoder = ::lz4::EncoderBuilder::new()
            .block_size(size)
            .block_mode(::lz4::BlockMode::Independent)
            .block_checksum(::lz4::liblz4::BlockChecksum::BlockChecksumEnabled)
            .content_size(input.len() as u64)
            .checksum(::lz4::ContentChecksum::ChecksumEnabled)
            .build(Vec::new())
            .unwrap();
        encoder.write_all(&input).unwrap();
        let (packed, result) = encoder.finish();
        result.unwrap();
        assert_eq!(decompress(Lz4, &packed, LIMIT).unwrap(), input);
        let mut bad = packed.clone();
        bad[50_000] ^= 1;
        assert!(decompress(Lz4, &bad, LIMIT).is_err(), "the block checksum is compared");
    }
}

#[test]
fn our_lz4_frames_are_read_by_the_library() {
    use std::io::Read;
    for input in [text(200_000), noise(200_000), Vec::new()] {
        let packed = Compressor::new(Lz4).compress(&input).unwrap();
        let mut read = Vec::new();
        ::lz4::Decoder::new(&packed[..]).unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, input);
    }
}

proptest! {
    #[test]
    fn any_bytes_roundtrip(input in prop::collection::vec(any::<u8>(), 0..2000), repeat in 1usize..50) {
        let input = input.repeat(repeat);
        for codec in Compression::ALL {
            let packed = Compressor::new(codec).compress(&input).unwrap();
            prop_assert_eq!(&decompress(codec, &packed, input.len()).unwrap(), &input);
        }
    }
}
