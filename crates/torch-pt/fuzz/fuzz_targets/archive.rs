#![no_main]

#[path = "../src/checksums.rs"]
mod checksums;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    torch_pt_fuzz::archive(bytes);
});
libfuzzer_sys::fuzz_mutator!(|bytes: &mut [u8], size: usize, max_size: usize, seed: u32| {
    checksums::mutate(bytes, size, max_size, seed)
});
