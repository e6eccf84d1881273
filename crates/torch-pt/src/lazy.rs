//! A `.pt` file that stays on disk: its values are read, its storages only when they are asked for.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, Cursor};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use memmap2::Mmap;

use crate::archive::Archive;
use crate::container::{Place, Reader};
use crate::dtype::DType;
use crate::error::{Error, Fault};
use crate::object::Object;
use crate::pickle::{StorageRecord, decode};
use crate::tensor::{Storage, TensorRef};
use crate::view::{View, find_storage};

type Result<T, E = Error> = std::result::Result<T, E>;

/// A `.pt` file whose storages are read when they are asked for. [`Archive::open`] gives one.
///
/// Opening it checks all that can be checked without reading storages: the zip, the values, and that each tensor lies inside a
/// storage of the right length. A storage's checksum is verified when the storage is first asked for, once.
pub struct LazyArchive {
    /// The value that was saved, for most files a dict.
    pub root: Object,
    file: String,
    bytes: Box<dyn AsRef<[u8]> + Send + Sync>,
    storages: Vec<Slot>,
}

/// A storage in the file.
#[derive(Debug)]
struct Slot {
    record: StorageRecord,
    place: Place,
    verified: AtomicBool,
}

impl Archive {
    /// Maps a file into memory, to read of it only what is asked for: a few tensors of a large file take a few pages.
    ///
    /// # The file must not change while it is mapped
    /// What maps a file sees what becomes of it. If another process cuts it short, reading what is gone ends this program with
    /// `SIGBUS`; if one writes into it, tensors change after their checksum was verified, which Rust calls undefined behaviour.
    /// Files that are replaced by a rename, as [`Archive::write`] does it, are safe: the old one stays for those who map it.
    /// Where files are changed in place, use [`Archive::read`], or [`LazyArchive::new`] with bytes of your own.
    pub fn open(path: &Path) -> Result<LazyArchive> {
        let name = path.display().to_string();
        let failed = |source| Error::new(&name, Fault::Io { action: "read", source });
        let map = File::open(path).and_then(|file| map(&file)).map_err(failed)?;
        LazyArchive::new(map, &name)
    }
}

/// The crate's one unsafe place.
#[allow(unsafe_code, reason = "a file cannot be mapped without")]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the map is only ever read, through slices that its owner outlives. That nobody changes the file meanwhile cannot be
    // enforced by any program: it is what the documentation of `Archive::open` asks for, and says what happens otherwise.
    unsafe { Mmap::map(file) }
}

impl LazyArchive {
    /// Reads the values in a file's bytes, which may be a `Vec`, a static slice or a map of your own; `name` stands for the file
    /// in messages.
    pub fn new(bytes: impl AsRef<[u8]> + Send + Sync + 'static, name: &str) -> Result<Self> {
        let read = read(bytes.as_ref());
        let (root, storages) = read.map_err(|fault| Error::new(name, fault))?;
        Ok(LazyArchive { root, file: name.to_owned(), bytes: Box::new(bytes), storages })
    }

    /// A tensor's elements, straight from the file where they are contiguous in it.
    pub fn view(&self, tensor: &TensorRef) -> Result<View<'_>> {
        let (dtype, bytes) = self.storage(tensor.storage)?;
        View::new(&self.file, tensor, dtype, bytes)
    }

    /// The bytes of [`LazyArchive::view`].
    pub fn tensor_bytes(&self, tensor: &TensorRef) -> Result<Cow<'_, [u8]>> {
        Ok(self.view(tensor)?.bytes)
    }

    /// A tensor in libtorch's memory, on the CPU.
    #[cfg(feature = "tch")]
    pub fn tensor(&self, tensor: &TensorRef) -> Result<tch::Tensor> {
        self.view(tensor)?.to_tensor()
    }

    /// A tensor's element type.
    ///
    /// # Panics
    /// If the tensor's storage is not in this archive.
    pub fn dtype(&self, tensor: &TensorRef) -> DType {
        self.storages[tensor.storage].record.dtype()
    }

    /// Reads every storage, as [`Archive::read`] does at once.
    pub fn load(&self) -> Result<Archive> {
        let storages = (0..self.storages.len()).map(|index| {
            let (dtype, bytes) = self.storage(index)?;
            Ok(Storage { dtype, bytes: bytes.to_vec() })
        });
        Ok(Archive { root: self.root.clone(), storages: storages.collect::<Result<_>>()? })
    }

    /// A whole storage's element type and bytes.
    fn storage(&self, index: usize) -> Result<(DType, &[u8])> {
        let slot = find_storage(&self.file, &self.storages, index)?;
        let bytes = slot.bytes((*self.bytes).as_ref()).map_err(|fault| Error::new(&self.file, fault))?;
        Ok((slot.record.dtype(), bytes))
    }
}

impl Slot {
    /// Two threads that come first verify twice, which harms nothing.
    fn bytes<'a>(&self, file: &'a [u8]) -> Result<&'a [u8], Fault> {
        let verified = self.verified.load(Ordering::Relaxed);
        let bytes = self.place.bytes(file, &self.record.entry(), !verified)?;
        if !verified {
            self.record.check_values(bytes)?;
            self.verified.store(true, Ordering::Relaxed);
        }
        Ok(bytes)
    }
}

fn read(bytes: &[u8]) -> Result<(Object, Vec<Slot>), Fault> {
    let length = bytes.len() as u64;
    let mut reader = Reader::open(Cursor::new(bytes), length)?;
    let (root, records) = decode(&reader.entry("data.pkl")?, length)?;
    let storages = records.into_iter().map(|record| {
        let entry = record.entry();
        record.check_size(reader.entry_size(&entry)?)?;
        Ok(Slot { place: reader.place(&entry)?, record, verified: AtomicBool::new(false) })
    });
    Ok((root, storages.collect::<Result<_, Fault>>()?))
}

impl fmt::Debug for LazyArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LazyArchive { root, file, storages, .. } = self;
        f.debug_struct("LazyArchive").field("file", file).field("root", root).field("storages", storages).finish()
    }
}
