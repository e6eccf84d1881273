//! A `.pt` file in memory: values and storages together, read from and written to disk.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Cursor, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::container::{Reader, Writer};
use crate::dtype::DType;
use crate::error::{Error, Fault};
use crate::object::Object;
use crate::pickle::{decode, encode};
use crate::tensor::{Storage, TensorRef};
use crate::view::{View, find_storage};

type Result<T, E = Error> = std::result::Result<T, E>;

/// What messages call an archive that was not read from a file, or was changed since.
const IN_MEMORY: &str = "the archive in memory";

/// A `.pt` file in memory, every storage with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Archive {
    /// The value that was saved, for most files a dict.
    pub root: Object,
    /// What its tensors view. Tensors that were tied view the same storage.
    pub storages: Vec<Storage>,
}

impl Archive {
    /// Reads a file that `torch.save` or [`Archive::write`] wrote. Nothing in it is run or trusted.
    pub fn read(path: &Path) -> Result<Self> {
        Self::read_without(path, None)
    }

    /// [`Archive::read`], but for one entry of the dict: neither it nor the storages that only it views are read.
    pub fn read_without(path: &Path, entry: Option<&str>) -> Result<Self> {
        let name = path.display().to_string();
        let failed = |source| Fault::Io { action: "read", source };
        let read = || {
            let file = File::open(path).map_err(failed)?;
            let length = file.metadata().map_err(failed)?.len();
            read_archive(BufReader::new(file), length, entry)
        };
        read().map_err(|fault| Error::new(&name, fault))
    }

    /// Reads a file's bytes; `name` stands for the file in messages.
    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Self> {
        read_archive(Cursor::new(bytes), bytes.len() as u64, None).map_err(|fault| Error::new(name, fault))
    }

    /// The values in the bytes of a `data.pkl` alone: its tensors say where they would lie, and no storage is read.
    pub fn values(pickle: &[u8], name: &str) -> Result<Object> {
        let decoded = decode(pickle, pickle.len() as u64);
        decoded.map(|(root, _)| root).map_err(|fault| Error::new(name, fault))
    }

    /// Writes what `torch.load(path, weights_only=True)` reads. The same archive gives the same bytes under any name,
    /// and `path` holds its old content or all of the new, whatever happens on the way.
    pub fn write(&self, path: &Path) -> Result<()> {
        self.write_file(path).map_err(|fault| Error::new(&path.display().to_string(), fault))
    }

    fn write_file(&self, path: &Path) -> Result<(), Fault> {
        let pickled = self.pickle()?;
        let sibling = sibling(path);
        let write = || {
            let out = self.write_entries(&pickled, BufWriter::new(File::create(&sibling)?))?;
            out.into_inner()?.sync_all()?;
            fs::rename(&sibling, path)
        };
        write().map_err(|source| {
            // The first error is the one to report.
            let _ = fs::remove_file(&sibling);
            Fault::Io { action: "write", source }
        })
    }

    /// The bytes that [`Archive::write`] writes; `name` stands for the file in messages.
    pub fn to_bytes(&self, name: &str) -> Result<Vec<u8>> {
        let failed = |source| Fault::Io { action: "write", source };
        let written = self.pickle().and_then(|pickled| self.write_entries(&pickled, Vec::new()).map_err(failed));
        written.map_err(|fault| Error::new(name, fault))
    }

    /// A tensor's elements, to be had as Rust's numbers or as bytes. Tensors of an archive that was read were checked then,
    /// and never fail here.
    pub fn view(&self, tensor: &TensorRef) -> Result<View<'_>> {
        let storage = find_storage(IN_MEMORY, &self.storages, tensor.storage)?;
        View::new(IN_MEMORY, tensor, storage.dtype, &storage.bytes)
    }

    /// The bytes of [`Archive::view`].
    pub fn tensor_bytes(&self, tensor: &TensorRef) -> Result<Cow<'_, [u8]>> {
        Ok(self.view(tensor)?.bytes)
    }

    /// A tensor in libtorch's memory, on the CPU.
    #[cfg(feature = "tch")]
    pub fn tensor(&self, tensor: &TensorRef) -> Result<tch::Tensor> {
        self.view(tensor)?.to_tensor()
    }

    /// Elements of the storages that an object's tensors view, each counted once.
    pub fn elements(&self, object: &Object) -> u128 {
        let mut viewed = BTreeSet::new();
        object.each_tensor(&mut |tensor| _ = viewed.insert(tensor.storage));
        let storages = viewed.into_iter().filter_map(|index| self.storages.get(index));
        storages.map(|storage| storage.numel() as u128).sum()
    }

    /// A tensor's element type.
    ///
    /// # Panics
    /// If the tensor's storage is not in this archive.
    pub fn dtype(&self, tensor: &TensorRef) -> DType {
        self.storages[tensor.storage].dtype
    }

    /// The pickle and the order of storages. It is read back before anything reaches the disk, so a value that could
    /// not be loaded again is an error while its training run is still there.
    fn pickle(&self) -> Result<(Vec<u8>, Vec<usize>), Fault> {
        let (pickle, order) = encode(&self.root, &self.storages)?;
        let storages = order.iter().map(|&index| &self.storages[index]);
        let length: u64 = storages.map(|storage| storage.bytes.len() as u64).sum();
        let (_, records) = decode(&pickle, length + pickle.len() as u64)?;
        for (record, &index) in records.iter().zip(&order) {
            record.check_size(self.storages[index].bytes.len() as u64)?;
        }
        Ok((pickle, order))
    }

    fn write_entries<W: Write>(&self, pickled: &(Vec<u8>, Vec<usize>), out: W) -> std::io::Result<W> {
        let (pickle, order) = pickled;
        let mut writer = Writer::new(out);
        writer.entry("data.pkl", pickle)?;
        writer.entry(".storage_alignment", Writer::<W>::ALIGNMENT.to_string().as_bytes())?;
        writer.entry("byteorder", b"little")?;
        for (key, &index) in order.iter().enumerate() {
            writer.entry(&format!("data/{key}"), &self.storages[index].bytes)?;
        }
        writer.entry("version", b"3\n")?;
        writer.finish()
    }
}

fn read_archive<R: Read + Seek>(source: R, length: u64, without: Option<&str>) -> Result<Archive, Fault> {
    let mut reader = Reader::open(source, length)?;
    let (mut root, records) = decode(&reader.entry("data.pkl")?, length)?;
    if let (Object::Dict(pairs), Some(without)) = (&mut root, without) {
        pairs.retain(|(key, _)| key.as_str() != Some(without));
    }
    let mut viewed = vec![without.is_none(); records.len()];
    root.each_tensor(&mut |tensor| viewed[tensor.storage] = true);
    let mut storages = Vec::with_capacity(records.len());
    for (record, viewed) in records.iter().zip(viewed) {
        let mut bytes = Vec::new();
        if viewed {
            let entry = record.entry();
            record.check_size(reader.entry_size(&entry)?)?;
            bytes = reader.entry(&entry)?;
            record.check_values(&bytes)?;
        }
        storages.push(Storage { dtype: record.dtype(), bytes });
    }
    Ok(Archive { root, storages })
}

/// A path beside `path`, so that the rename stays on one disk; its name tells processes and writes apart.
fn sibling(path: &Path) -> PathBuf {
    static WRITES: AtomicUsize = AtomicUsize::new(0);
    let write = WRITES.fetch_add(1, Ordering::Relaxed);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.{write}.tmp", std::process::id()));
    path.with_file_name(name)
}
