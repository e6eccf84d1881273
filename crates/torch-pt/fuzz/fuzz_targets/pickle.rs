#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nanoebm_fuzz::pickle(bytes));
