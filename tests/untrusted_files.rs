//! Damaged and hostile files against the clock and the memory: the fuzzers' seeds and past findings, every truncation and
//! flipped byte of good checkpoints, and files made to take long or much.
//!
//! `NANOEBM_DAMAGE=FILE.pt cargo test --release --test untrusted_files every -- --nocapture` damages a checkpoint of yours.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cpu_time::ThreadTime;
use torch_pt::{Archive, Error, Fault};
use zip::write::{SimpleFileOptions, ZipWriter};

#[path = "../fuzz/src/lib.rs"]
mod targets;

/// Memory and time are counted for the whole process: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The result of reading bytes, which took no more than a second of this thread per megabyte, and memory as the targets allow.
fn read(bytes: &[u8]) -> Result<Archive, Error> {
    let start = ThreadTime::now();
    let result = targets::within_bounds(bytes.len(), || Archive::from_bytes(bytes, "some.pt"));
    let limit = Duration::from_secs(1).mul_f64((bytes.len() as f64 / 1e6).max(1.0));
    assert!(start.elapsed() <= limit, "{:?} for {} bytes", start.elapsed(), bytes.len());
    result
}

#[test]
fn seeds_and_past_findings_do_no_harm() {
    let _alone = alone();
    for (name, target) in targets::TARGETS {
        let mut inputs = 0;
        for folder in ["fuzz/seeds", "tests/fixtures/hostile"] {
            let files = fs::read_dir(root(folder).join(name)).into_iter().flatten();
            for path in files.map(|file| file.unwrap().path()) {
                println!("{}", path.display());
                target(&fs::read(path).unwrap());
                inputs += 1;
            }
        }
        assert!(inputs >= 4, "{name} has only {inputs}");
    }
}

/// Reads a good file cut at every length and with every byte flipped by each mask, and says how it went.
fn damage(name: &str, mut bytes: Vec<u8>, masks: &[u8]) {
    let good = read(&bytes).unwrap();
    let (mut refused, mut equal) = (0usize, 0);
    let mut judge = |result: Result<Archive, Error>, place: String| match result {
        Err(_) => refused += 1,
        // The storages are compared byte for byte, and with them every tensor.
        Ok(archive) => {
            assert!(archive == good, "{name}: {place} changes what is read, and no error says so");
            equal += 1;
        }
    };
    for length in 0..bytes.len() {
        judge(read(&bytes[..length]), format!("a cut to {length} bytes"));
    }
    for at in 0..bytes.len() {
        for mask in masks {
            bytes[at] ^= mask;
            judge(read(&bytes), format!("byte {at} ^ {mask:#04x}"));
            bytes[at] ^= mask;
        }
    }
    println!("{name}: {} bytes, {refused} damaged files refused, {equal} read as the whole one is", bytes.len());
}

#[test]
fn every_truncation_and_every_flipped_byte_is_an_error_or_harmless() {
    let _alone = alone();
    const MASKS: [u8; 3] = [0x01, 0x80, 0xff];
    if let Some(path) = std::env::var_os("NANOEBM_DAMAGE") {
        return damage(&path.to_string_lossy(), fs::read(&path).unwrap(), &MASKS);
    }
    let bits: Vec<u8> = (0..8).map(|bit| 1 << bit).chain([0xff]).collect();
    let small = fs::read(root("crates/torch-pt/tests/targets/seeds/archive/small.pt")).unwrap();
    let ours = read(&small).unwrap().to_bytes("ours").unwrap();
    damage("PyTorch's file", small, &bits);
    damage("our file", ours, &bits);
    damage("a checkpoint", fs::read(root("crates/torch-pt/tests/targets/seeds/archive/weights.pt")).unwrap(), &MASKS);
}

fn zipped<'a>(entries: impl IntoIterator<Item = (String, &'a [u8])>) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A megabyte of instructions that each cost as much as they can: values, containers, references, tensors.
#[test]
fn a_megabyte_of_instructions_takes_a_second_at_most() {
    let _alone = alone();
    let many = |head: &[u8], part: &[u8], tail: &[u8]| {
        [b"\x80\x02", head, &part.repeat((1 << 20) / part.len()), tail].concat()
    };
    let storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQq\0";
    let pickles = [
        ("Nones in a list", many(b"](", b"N", b"e.")),
        ("empty lists in lists", many(b"]", b"]", b".")),
        ("marks", many(b"", b"(", b".")),
        ("memo, one place", many(b"N", b"q\0", b".")),
        (
            "references to a long text",
            many(&[b"](X\0\x04\0\0", &b"a".repeat(1024)[..], b"q\0"].concat(), b"h\0", b"e."),
        ),
        ("one-tuples around one-tuples", many(b"N", b"\x85", b".")),
        ("one list added to itself", many(b"]q\0", b"h\0a", b".")),
        ("twos of the one before", many(b"N", b"q\0h\0\x86", b".")),
        ("floats in a dict by one key", many(b"}(", b"K\x01N", b"u.")),
        ("names", many(b"](", b"ctorch\nFloatStorage\n", b"e.")),
        ("storages", many(b"](", storage, b"e.")),
        (
            "tensors",
            many(&[&storage[..], b"ctorch._utils\n_rebuild_tensor_v2\nq\x01]("].concat(), b"h\x01(h\0K\0))NNtR", b"e."),
        ),
        ("frames around frames", many(b"", b"\x95\x10\0\0\0\0\0\0\0", b"N.")),
        ("longs", many(b"](", b"\x8a\0", b"e.")),
    ];
    for (name, pickle) in pickles {
        let start = ThreadTime::now();
        let entries = [("x/data.pkl".to_owned(), &pickle[..]), ("x/data/0".to_owned(), &[0; 16])];
        let result = read(&zipped(entries));
        println!(
            "{name}: {:?}, {}",
            start.elapsed(),
            result.map_or_else(|error| error.to_string(), |_| "read".to_owned())
        );
    }
}

#[test]
fn an_archive_of_many_entries_takes_a_second_per_megabyte_at_most() {
    let _alone = alone();
    let tensors = 5000;
    let mut pickle = b"\x80\x02](".to_vec();
    for key in 0..tensors {
        let key = format!("{key:04}");
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x04\0\0\0");
        pickle.extend([key.as_bytes(), b"X\x03\0\0\0cpuK\x01tQK\0))NNtR"].concat());
    }
    pickle.extend(b"e.");
    let storages = (0..tensors).map(|key| (format!("x/data/{key:04}"), &[0u8; 4][..]));
    let whole = zipped(std::iter::once(("x/data.pkl".to_owned(), &pickle[..])).chain(storages.clone()));
    assert_eq!(read(&whole).unwrap().storages.len(), tensors);
    // A list of few entries that claims to be of many, in a file with more bytes than it claims: no room is made for them.
    let mut claims = zipped([("x/data.pkl".to_owned(), &b"\x80\x02N."[..]), ("x/data/0".to_owned(), &[0; 70_000])]);
    let end = claims.len() - 22;
    claims[end + 8..end + 12].copy_from_slice(&[0xe8, 0xfd, 0xe8, 0xfd]);
    claims[end + 12..end + 16].copy_from_slice(&(65_000u32 * 46).to_le_bytes());
    assert!(matches!(read(&claims).unwrap_err().fault, Fault::Container { .. }));
    // Many entries that nothing asks for, all empty.
    let idle = (0..60_000).map(|n| (format!("x/{n:05}"), &[][..]));
    let idle = zipped(std::iter::once(("x/data.pkl".to_owned(), &b"\x80\x02N."[..])).chain(idle));
    assert!(read(&idle).is_ok());
}
