#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| torch_pt_fuzz::pickle(bytes));
