#![no_main]

#[path = "../../crates/torch-pt/fuzz/src/checksums.rs"]
mod checksums;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nanoebm_fuzz::checkpoint(bytes));
libfuzzer_sys::fuzz_mutator!(|bytes: &mut [u8], size: usize, max_size: usize, seed: u32| {
    checksums::mutate(bytes, size, max_size, seed)
});
