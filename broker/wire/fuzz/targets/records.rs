//! Batches and old messages, with and without the right checksum, and compressed bytes; the first
//! byte chooses.
#![no_main]

use ottla_wire::record::{Compression, fuzz};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let mut mended = data.to_vec();
    fuzz::mend(&mut mended);
    match choice % 10 {
        0 => fuzz::scan(data),
        1 => fuzz::scan(&mended),
        2 => fuzz::old_message(data),
        3 => fuzz::old_message(&mended),
        4 => fuzz::produce(&mended),
        n => fuzz::decompression(Compression::ALL[usize::from(n - 5)], data),
    }
});
