//! A `.pt` file: values and storages together, read from and written to disk.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Cursor, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use tch::Tensor;

use super::container::{Reader, Writer};
use super::encode::encode;
use super::error::shown;
use super::pickle::{StorageRecord, decode};
use super::{CheckpointError, DType, Object, Storage, TensorFault, TensorRef};

type Result<T> = std::result::Result<T, CheckpointError>;

/// A checkpoint in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Archive {
    /// The value that was saved, for a checkpoint a dict.
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
        let failed = |source| CheckpointError::Io { file: name.clone(), action: "read", source };
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        read_archive(BufReader::new(file), length, &name, entry)
    }

    /// Reads a file's bytes; `name` stands for the file in messages.
    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Self> {
        read_archive(Cursor::new(bytes), bytes.len() as u64, name, None)
    }

    /// The values in the bytes of a `data.pkl` alone: its tensors say where they would lie, and no storage is read.
    pub fn values(pickle: &[u8], name: &str) -> Result<Object> {
        Ok(decode(pickle, name, budget(pickle.len() as u64))?.0)
    }

    /// Writes what `torch.load(path, weights_only=True)` reads. The same archive gives the same bytes under any name,
    /// and `path` holds its old content or all of the new, whatever happens on the way.
    pub fn write(&self, path: &Path) -> Result<()> {
        let name = path.display().to_string();
        let pickled = self.pickle(&name)?;
        let failed = |source| CheckpointError::Io { file: name.clone(), action: "write", source };
        let sibling = Sibling::beside(path);
        let file = File::create(&sibling.path).map_err(failed)?;
        let out = self.write_entries(&pickled, BufWriter::new(file)).map_err(failed)?;
        let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)?;
        drop(file);
        fs::rename(&sibling.path, path).map_err(failed)
    }

    /// The bytes that [`Archive::write`] writes; `name` stands for the file in messages.
    pub fn to_bytes(&self, name: &str) -> Result<Vec<u8>> {
        let pickled = self.pickle(name)?;
        self.write_entries(&pickled, Vec::new()).map_err(|source| CheckpointError::Io {
            file: name.to_owned(),
            action: "write",
            source,
        })
    }

    /// A tensor's elements, contiguous, row-major and little-endian; copied only where they do not lie so already.
    /// Tensors of an archive that was read were checked then, and never fail here.
    pub fn tensor_bytes(&self, tensor: &TensorRef) -> Result<Cow<'_, [u8]>> {
        let (storage, storages) = (tensor.storage, self.storages.len());
        let found = self.storages.get(storage);
        let found = found.ok_or(TensorFault::NoStorage { storage, storages });
        let bytes = found.and_then(|found| tensor.gather(found));
        bytes.map_err(|fault| CheckpointError::Tensor {
            file: "the archive in memory".to_owned(),
            tensor: format!("in storage {storage}"),
            fault,
        })
    }

    /// A tensor in libtorch's memory, on the CPU.
    pub fn tensor(&self, tensor: &TensorRef) -> Result<Tensor> {
        let bytes = self.tensor_bytes(tensor)?;
        let shape: Vec<i64> = tensor.shape.iter().map(|&extent| extent as i64).collect();
        Ok(Tensor::from_data_size(&bytes, &shape, self.dtype(tensor).kind()))
    }

    /// Elements of the storages that an object's tensors view, each counted once.
    pub(super) fn elements(&self, object: &Object) -> u128 {
        let mut viewed = BTreeSet::new();
        object.each_tensor(&mut |tensor| _ = viewed.insert(tensor.storage));
        let storages = viewed.into_iter().filter_map(|index| self.storages.get(index));
        storages.map(|storage| (storage.bytes.len() / storage.dtype.size()) as u128).sum()
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
    fn pickle(&self, name: &str) -> Result<(Vec<u8>, Vec<usize>)> {
        let (pickle, order) = encode(self, name)?;
        let storages = order.iter().map(|&index| &self.storages[index]);
        let length: u64 = storages.map(|storage| storage.bytes.len() as u64).sum();
        let (_, records) = decode(&pickle, name, budget(length + pickle.len() as u64))?;
        for (record, &index) in records.iter().zip(&order) {
            check_size(record, self.storages[index].bytes.len() as u64, name)?;
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

/// Memory that the values of a file this long may take beside its storages.
fn budget(length: u64) -> usize {
    const FLOOR: usize = 1 << 20;
    usize::try_from(length).map_or(usize::MAX, |length| length.saturating_mul(4).saturating_add(FLOOR))
}

fn read_archive<R: Read + Seek>(source: R, length: u64, name: &str, without: Option<&str>) -> Result<Archive> {
    let mut reader = Reader::open(source, length, name)?;
    let pickle = reader.entry("data.pkl")?;
    let (mut root, records) = decode(&pickle, name, budget(length))?;
    drop(pickle);
    if let (Object::Dict(pairs), Some(without)) = (&mut root, without) {
        pairs.retain(|(key, _)| key.as_str() != Some(without));
    }
    let mut viewed = vec![without.is_none(); records.len()];
    root.each_tensor(&mut |tensor| viewed[tensor.storage] = true);
    let mut storages = Vec::with_capacity(records.len());
    for (record, viewed) in records.iter().zip(viewed) {
        let nothing = || Storage { dtype: record.dtype, bytes: Vec::new() };
        storages.push(if viewed { read_storage(&mut reader, record, name)? } else { nothing() });
    }
    Ok(Archive { root, storages })
}

fn read_storage<R: Read + Seek>(reader: &mut Reader<R>, record: &StorageRecord, name: &str) -> Result<Storage> {
    let entry = format!("data/{}", record.key);
    check_size(record, reader.entry_size(&entry)?, name)?;
    let bytes = reader.entry(&entry)?;
    if record.dtype == DType::Bool && bytes.iter().any(|&byte| byte > 1) {
        return Err(CheckpointError::DamagedEntry {
            file: name.to_owned(),
            entry: shown(&entry),
            reason: "a bool is neither 0 nor 1".to_owned(),
        });
    }
    let dtype = record.dtype;
    Ok(Storage { dtype, bytes })
}

fn check_size(record: &StorageRecord, found: u64, name: &str) -> Result<()> {
    let expected = (record.numel as u64).saturating_mul(record.dtype.size() as u64);
    if expected == found {
        return Ok(());
    }
    Err(CheckpointError::StorageSize { file: name.to_owned(), storage: shown(&record.key), expected, found })
}

/// A temporary file next to its target, so that the rename stays on one disk; gone when dropped, unless renamed.
struct Sibling {
    path: PathBuf,
}

impl Sibling {
    /// The name tells processes and writes apart.
    fn beside(target: &Path) -> Self {
        static WRITES: AtomicUsize = AtomicUsize::new(0);
        let write = WRITES.fetch_add(1, Ordering::Relaxed);
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.{write}.tmp", std::process::id()));
        let path = target.with_file_name(name);
        Sibling { path }
    }
}

impl Drop for Sibling {
    fn drop(&mut self) {
        // After the rename there is nothing to remove, and on failure the first error is the one to report.
        let _ = fs::remove_file(&self.path);
    }
}
