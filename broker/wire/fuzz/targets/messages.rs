//! Any message in any version: what decodes must encode and decode to itself.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ottla_wire::testing::fuzz::any_message(data));
