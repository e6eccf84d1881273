//! Files that stay on disk: a storage is read, and its checksum verified, when it is asked for.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, thread};

use torch_pt::{Archive, DType, Fault, LazyArchive, Object, Storage, TensorFault, TensorRef};

/// Two storages, the second as a transposed view too.
fn sample() -> Archive {
    let transposed = TensorRef { storage: 1, offset: 0, shape: vec![3, 2], stride: vec![1, 3] };
    let root = Object::dict([
        ("flags", TensorRef::contiguous(0, &[3]).into()),
        ("weight", TensorRef::contiguous(1, &[2, 3]).into()),
        ("transposed", transposed.into()),
    ]);
    let storages = vec![Storage::of(&[true, false, true]), Storage::of(&[0f32, 1.0, 2.0, 3.0, 4.0, 5.0])];
    Archive { root, storages }
}

fn tensor<'a>(archive: &'a LazyArchive, name: &str) -> &'a TensorRef {
    archive.root.get(name).unwrap().as_tensor().unwrap()
}

#[test]
fn a_mapped_file_gives_what_reading_it_gives() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("some.pt");
    sample().write(&path).unwrap();
    let archive = Archive::open(&path).unwrap();
    assert_eq!(archive.root, sample().root);
    assert_eq!(archive.dtype(tensor(&archive, "flags")), DType::Bool);
    let weight = archive.tensor_bytes(tensor(&archive, "weight")).unwrap();
    assert!(matches!(weight, Cow::Borrowed(_)), "it lies in the file as it is");
    assert_eq!(weight, sample().storages[1].bytes);
    let transposed = archive.view(tensor(&archive, "transposed")).unwrap();
    assert_eq!(transposed.to_vec::<f32>().unwrap(), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    assert_eq!(archive.load().unwrap(), sample());
    // A file that takes its place is another one.
    Archive { root: Object::None, storages: vec![] }.write(&path).unwrap();
    assert_eq!(archive.load().unwrap(), sample());
}

#[test]
fn files_that_cannot_be_mapped_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let absent = Archive::open(&directory.path().join("absent.pt")).unwrap_err();
    assert!(matches!(absent.fault, Fault::Io { action: "read", .. }) && absent.to_string().contains("absent.pt"));
    assert!(matches!(Archive::open(directory.path()).unwrap_err().fault, Fault::Io { .. }));
    let empty = directory.path().join("empty.pt");
    fs::write(&empty, "").unwrap();
    assert!(matches!(Archive::open(&empty).unwrap_err().fault, Fault::NotAnArchive));
}

#[test]
fn a_damaged_storage_is_an_error_when_it_is_asked_for() {
    let mut bytes = sample().to_bytes("memory").unwrap();
    let at = bytes.windows(4).position(|four| four == 5f32.to_le_bytes()).unwrap();
    bytes[at] ^= 1;
    let archive = LazyArchive::new(bytes.clone(), "some.pt").unwrap();
    assert_eq!(archive.view(tensor(&archive, "flags")).unwrap().to_vec::<bool>().unwrap(), [true, false, true]);
    for _ in 0..2 {
        let error = archive.view(tensor(&archive, "weight")).unwrap_err();
        assert_eq!(error.to_string(), Archive::from_bytes(&bytes, "some.pt").unwrap_err().to_string());
    }
}

#[test]
fn a_lazy_file_is_refused_where_a_read_one_is_and_else_the_same() {
    let good = sample();
    let mut bytes = good.to_bytes("memory").unwrap();
    let tried = |bytes: &[u8]| {
        let lazy = LazyArchive::new(bytes.to_vec(), "some.pt").and_then(|archive| archive.load());
        match (lazy, Archive::from_bytes(bytes, "some.pt")) {
            (Ok(lazy), Ok(read)) => assert!(lazy == read),
            (Err(_), Err(_)) => {}
            (lazy, read) => panic!("{lazy:?}, {read:?}"),
        }
    };
    for length in 0..bytes.len() {
        tried(&bytes[..length]);
    }
    for at in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            bytes[at] ^= flip;
            tried(&bytes);
            bytes[at] ^= flip;
        }
    }
}

#[test]
fn a_storage_that_is_not_there_is_named() {
    let archive = LazyArchive::new(sample().to_bytes("memory").unwrap(), "some.pt").unwrap();
    let error = archive.view(&TensorRef::contiguous(2, &[1])).unwrap_err();
    assert!(matches!(error.fault, Fault::Tensor { fault: TensorFault::NoStorage { storage: 2, storages: 2 }, .. }));
    assert!(error.to_string().starts_with("some.pt: tensor in storage 2: "), "{error}");
}

/// Bytes that count how often they are looked at, and turn bad when told to.
struct Watched {
    bytes: Vec<u8>,
    looks: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Watched {
    fn as_ref(&self) -> &[u8] {
        self.looks.fetch_add(1, Ordering::Relaxed);
        &self.bytes
    }
}

#[test]
fn the_file_is_looked_at_only_when_something_is_asked_for() {
    let looks = Arc::new(AtomicUsize::new(0));
    let watched = Watched { bytes: sample().to_bytes("memory").unwrap(), looks: looks.clone() };
    let archive = LazyArchive::new(watched, "some.pt").unwrap();
    assert_eq!(looks.load(Ordering::Relaxed), 1);
    archive.view(tensor(&archive, "weight")).unwrap();
    archive.view(tensor(&archive, "weight")).unwrap();
    assert_eq!(looks.load(Ordering::Relaxed), 3);
}

#[test]
fn threads_may_share_it() {
    let archive = LazyArchive::new(sample().to_bytes("memory").unwrap(), "some.pt").unwrap();
    let sums = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let sum = archive.view(tensor(&archive, "weight")).unwrap().to_vec_f32().unwrap().iter().sum::<f32>();
                sums.lock().unwrap_or_else(PoisonError::into_inner).push(sum);
            });
        }
    });
    assert_eq!(sums.into_inner().unwrap(), [15.0; 4]);
}
