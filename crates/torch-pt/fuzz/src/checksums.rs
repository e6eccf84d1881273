//! Changes to a zip that get past its checksums. Not in the library: only fuzzers link what it needs.

use libfuzzer_sys::fuzzer_mutate;

/// A changed byte of an entry would never get past its checksum: most of the time the checksums are made right again.
pub fn mutate(bytes: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let size = fuzzer_mutate(bytes, size, max_size);
    if !seed.is_multiple_of(8) {
        mend_checksums(&mut bytes[..size]);
    }
    size
}

/// Writes the checksum of each entry's bytes into the list of entries.
fn mend_checksums(bytes: &mut [u8]) {
    let number = |bytes: &[u8], at: usize, size: usize| {
        bytes
            .get(at..at + size)
            .unwrap_or_default()
            .iter()
            .rev()
            .fold(0, |number, &byte| number << 8 | usize::from(byte))
    };
    for at in 0..bytes.len().saturating_sub(46) {
        if bytes[at..].starts_with(b"PK\x01\x02") {
            let (length, local) = (number(bytes, at + 20, 4), number(bytes, at + 42, 4));
            let start = local + 30 + number(bytes, local + 26, 2) + number(bytes, local + 28, 2);
            if let Some(entry) = bytes.get(start..start + length) {
                let checksum = crc32fast::hash(entry);
                bytes[at + 16..at + 20].copy_from_slice(&checksum.to_le_bytes());
            }
        }
    }
}
