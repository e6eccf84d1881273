//! Reads the zip around a checkpoint: every entry stored as it is, none trusted.

use std::io::{Read, Seek};
use std::ops::Range;

use zip::read::{ArchiveOffset, Config};
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::Result;
use super::ends::{check_end, sniff};
use crate::error::{Fault, shown};

/// Reads entries of a torch archive by their name inside its folder.
pub(crate) struct Reader<R> {
    zip: ZipArchive<R>,
    /// The folder all entries lie in, with its slash; torch names it after the file.
    folder: String,
}

impl<R: Read + Seek> Reader<R> {
    /// Opens a zip of `length` bytes and checks everything that can be wrong with it as a whole.
    pub(crate) fn open(mut source: R, length: u64) -> Result<Self> {
        sniff(&mut source, length)?;
        check_end(&mut source, length)?;
        let config = Config { archive_offset: ArchiveOffset::Known(0) };
        let zip = ZipArchive::with_config(config, source).map_err(broken)?;
        let mut reader = Reader { zip, folder: String::new() };
        reader.check_names()?;
        reader.folder = reader.find_folder()?;
        if reader.index("constants.pkl").is_some() {
            return Err(Fault::TorchScript);
        }
        reader.check_entries(length)?;
        reader.check_byte_order()?;
        Ok(reader)
    }

    /// Each name once, and each a place inside the archive: a checkpoint that is unpacked must not write elsewhere.
    fn check_names(&self) -> Result<()> {
        if self.zip.has_duplicate_names() {
            return Err(Fault::DuplicateEntry);
        }
        let inside = |name: &[u8]| {
            let mut parts = name.strip_suffix(b"/").unwrap_or(name).split(|&byte| byte == b'/');
            !name.contains(&b'\\') && !name.contains(&0) && parts.all(|part| !part.is_empty() && part != b"..")
        };
        match self.zip.file_names_raw().find(|name| !inside(name)) {
            Some(name) => Err(Fault::UnsafeName { entry: shown(&String::from_utf8_lossy(name)) }),
            None => Ok(()),
        }
    }

    /// No entry may share bytes with another, unpack to more than it is, or reach past the file's end.
    fn check_entries(&mut self, length: u64) -> Result<()> {
        if self.zip.has_overlapping_entries().map_err(broken)? {
            return Err(Fault::OverlappingEntries);
        }
        for index in 0..self.zip.len() {
            let entry = self.zip.by_index_data(index).map_err(broken)?;
            let name = shown(&String::from_utf8_lossy(entry.name_raw()));
            if entry.encrypted() {
                return Err(Fault::Encrypted { entry: name });
            }
            if entry.compression() != CompressionMethod::Stored {
                return Err(Fault::Compressed { entry: name });
            }
            if entry.size() != entry.compressed_size() || entry.size() > length {
                let reason = "its sizes contradict each other".to_owned();
                return Err(Fault::DamagedEntry { entry: name, reason });
            }
        }
        Ok(())
    }

    /// The folder of the one `data.pkl`; empty if there is none.
    fn find_folder(&self) -> Result<String> {
        let mut folders = self.zip.file_names_raw().filter_map(|name| {
            let folder = std::str::from_utf8(name).ok()?.strip_suffix("data.pkl")?;
            let inner = folder.strip_suffix('/').unwrap_or(folder);
            let top = folder.is_empty() || inner.len() < folder.len();
            (top && !inner.contains('/')).then(|| folder.to_owned())
        });
        let folder = folders.next().ok_or_else(|| Fault::MissingEntry { entry: "data.pkl".to_owned() })?;
        if folders.next().is_some() {
            let reason = "it has two data.pkl".to_owned();
            return Err(Fault::Container { reason });
        }
        Ok(folder)
    }

    /// Files from before PyTorch 2.1 do not say; they are little-endian like the machines of their time.
    fn check_byte_order(&mut self) -> Result<()> {
        if self.index("byteorder").is_some() {
            let order = self.entry("byteorder")?;
            if order != b"little" {
                return Err(Fault::ByteOrder { found: shown(&String::from_utf8_lossy(&order)) });
            }
        }
        Ok(())
    }

    /// By the name's own bytes: `index_for_name` would decode every name of the archive for one that is not there.
    fn index(&self, name: &str) -> Option<usize> {
        self.zip.index_for_name_raw(format!("{}{name}", self.folder).as_bytes())
    }

    fn find(&self, name: &str) -> Result<usize> {
        self.index(name).ok_or_else(|| Fault::MissingEntry { entry: shown(name) })
    }

    /// Bytes in an entry, before reading them.
    pub(crate) fn entry_size(&self, name: &str) -> Result<u64> {
        let index = self.find(name)?;
        Ok(self.zip.by_index_data(index).map_err(broken)?.size())
    }

    /// Where an entry's bytes lie, and what their checksum should be.
    pub(crate) fn place(&mut self, name: &str) -> Result<Place> {
        let index = self.find(name)?;
        let entry = self.zip.by_index_raw(index).map_err(|error| damaged(name, error))?;
        let start = entry.data_start().ok_or_else(|| damaged(name, "it is nowhere"))?;
        Ok(Place { range: start..start.saturating_add(entry.size()), checksum: entry.crc32() })
    }

    /// An entry's bytes, their checksum verified. Its size was found to lie within the file's.
    pub(crate) fn entry(&mut self, name: &str) -> Result<Vec<u8>> {
        let index = self.find(name)?;
        let mut entry = self.zip.by_index(index).map_err(|error| damaged(name, error))?;
        let size = entry.size();
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        entry.read_to_end(&mut bytes).map_err(|error| damaged(name, error))?;
        match bytes.len() as u64 == size {
            true => Ok(bytes),
            false => Err(damaged(name, "it ends too early")),
        }
    }
}

/// Where an entry's bytes lie in the file.
#[derive(Debug)]
pub(crate) struct Place {
    range: Range<u64>,
    checksum: u32,
}

impl Place {
    /// The bytes of the entry `name` in a file's, their checksum verified if that is asked for.
    pub(crate) fn bytes<'a>(&self, file: &'a [u8], name: &str, verify: bool) -> Result<&'a [u8]> {
        let [start, end] = [self.range.start, self.range.end].map(|at| usize::try_from(at).unwrap_or(usize::MAX));
        let bytes = file.get(start..end).ok_or_else(|| damaged(name, "it ends too early"))?;
        if verify && crc32fast::hash(bytes) != self.checksum {
            return Err(damaged(name, "Invalid checksum"));
        }
        Ok(bytes)
    }
}

fn damaged(name: &str, reason: impl ToString) -> Fault {
    Fault::DamagedEntry { entry: shown(name), reason: reason.to_string() }
}

fn broken(error: ZipError) -> Fault {
    match error {
        ZipError::Io(source) if source.raw_os_error().is_some() => Fault::Io { action: "read", source },
        error => Fault::Container { reason: shown(&error.to_string()) },
    }
}
