//! What hostile input is tried on: one function for each kind of it. The fuzzer calls them with what it makes up, and
//! `cargo test --test fuzz_seeds` with the seeds and with what was found before.
//!
//! A function returns whatever the input is. It panics where the library does, where the library took much more memory than the
//! input is long, or where what was read is not what is read again.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a target reports")]

use peak_alloc::PeakAlloc;
use torch_pt::{Archive, LazyArchive, Object};

/// Counts the memory that Rust code holds.
#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Most memory that reading may take at once: so many times the input's length, and this much.
pub const TIMES: usize = 16;
const FLOOR: usize = 2 << 20;

/// What `read` gives, after a look at the memory that it took.
pub fn within_bounds<T>(length: usize, read: impl FnOnce() -> T) -> T {
    HEAP.reset_peak_usage();
    let before = HEAP.current_usage();
    let value = read();
    let taken = HEAP.peak_usage().saturating_sub(before);
    assert!(taken <= FLOOR + TIMES * length, "{taken} bytes of memory for an input of {length}");
    value
}

/// A `data.pkl`.
pub fn pickle(bytes: &[u8]) {
    let _ = within_bounds(bytes.len(), || Archive::values(bytes, "fuzz"));
}

/// A whole `.pt`, to its tensors' bytes and back to a file. The archive, where it is one.
pub fn archive(bytes: &[u8]) -> Option<Archive> {
    let read = within_bounds(bytes.len(), || Archive::from_bytes(bytes, "fuzz"));
    let owned = bytes.to_vec();
    let lazy = within_bounds(bytes.len(), || LazyArchive::new(owned, "fuzz").and_then(|archive| archive.load()));
    assert_eq!(lazy.is_ok(), read.is_ok(), "reading at once and lazily differ");
    let archive = read.ok()?;
    each_tensor(&archive, &archive.root);
    let written = archive.to_bytes("again").expect("what was read can be written");
    let again = Archive::from_bytes(&written, "again").expect("what was written can be read");
    assert!(again.to_bytes("again").unwrap() == written, "it is written differently the second time");
    Some(archive)
}

fn each_tensor(archive: &Archive, object: &Object) {
    match object {
        Object::Tensor(tensor) => {
            let bytes = archive.tensor_bytes(tensor).expect("a tensor that was read is whole");
            assert_eq!(bytes.len(), tensor.numel() * archive.dtype(tensor).size());
        }
        Object::List(items) | Object::Tuple(items) => items.iter().for_each(|item| each_tensor(archive, item)),
        Object::Dict(pairs) => pairs.iter().for_each(|(_, value)| each_tensor(archive, value)),
        _ => {}
    }
}
