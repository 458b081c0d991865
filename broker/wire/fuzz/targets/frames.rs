//! Frames of requests and responses, and records of all families; the first byte chooses.
#![no_main]

use ottla_wire::testing::fuzz;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    match choice % 7 {
        0 => fuzz::request_frame(data),
        1 => fuzz::response_body(data),
        2 => fuzz::metadata_record(data),
        3 => fuzz::remote_log_record(data),
        4 => fuzz::group_record(data),
        5 => fuzz::txn_record(data),
        _ => fuzz::share_record(data),
    }
});
