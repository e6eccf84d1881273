//! The zip around a checkpoint: every entry stored as it is, none trusted when reading, all aligned when writing.

use std::io::{self, Read, Seek, SeekFrom, Write};

use zip::read::{ArchiveOffset, Config};
use zip::result::ZipError;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, System, ZipArchive, ZipWriter};

use super::CheckpointError;
use super::error::shown;

type Result<T> = std::result::Result<T, CheckpointError>;

/// Reads entries of a torch archive by their name inside its folder.
pub(super) struct Reader<'a, R> {
    zip: ZipArchive<R>,
    /// The folder all entries lie in, with its slash; torch names it after the file.
    folder: String,
    file: &'a str,
}

impl<'a, R: Read + Seek> Reader<'a, R> {
    /// Opens a zip of `length` bytes and checks everything that can be wrong with it as a whole.
    pub(super) fn open(mut source: R, length: u64, file: &'a str) -> Result<Self> {
        sniff(&mut source, length, file)?;
        check_end(&mut source, length, file)?;
        let config = Config { archive_offset: ArchiveOffset::Known(0) };
        let zip = ZipArchive::with_config(config, source).map_err(|error| broken(error, file))?;
        let folder = String::new();
        let mut reader = Reader { zip, folder, file };
        reader.check_names()?;
        reader.folder = reader.find_folder()?;
        if reader.index("constants.pkl").is_some() {
            let file = file.to_owned();
            return Err(CheckpointError::TorchScript { file });
        }
        reader.check_entries(length)?;
        reader.check_byte_order()?;
        Ok(reader)
    }

    /// Each name once, and each a place inside the archive: a checkpoint that is unpacked must not write elsewhere.
    fn check_names(&self) -> Result<()> {
        let file = self.file.to_owned();
        if self.zip.has_duplicate_names() {
            return Err(CheckpointError::DuplicateEntry { file });
        }
        let inside = |name: &[u8]| {
            let mut parts = name.strip_suffix(b"/").unwrap_or(name).split(|&byte| byte == b'/');
            !name.contains(&b'\\') && !name.contains(&0) && parts.all(|part| !part.is_empty() && part != b"..")
        };
        match self.zip.file_names_raw().find(|name| !inside(name)) {
            Some(name) => Err(CheckpointError::UnsafeName { file, entry: shown(&String::from_utf8_lossy(name)) }),
            None => Ok(()),
        }
    }

    /// No entry may share bytes with another, unpack to more than it is, or reach past the file's end.
    fn check_entries(&mut self, length: u64) -> Result<()> {
        let file = self.file.to_owned();
        let overlapping = self.zip.has_overlapping_entries();
        if overlapping.map_err(|error| broken(error, self.file))? {
            return Err(CheckpointError::OverlappingEntries { file });
        }
        for index in 0..self.zip.len() {
            let entry = self.zip.by_index_data(index).map_err(|error| broken(error, self.file))?;
            let name = shown(&String::from_utf8_lossy(entry.name_raw()));
            if entry.encrypted() {
                return Err(CheckpointError::Encrypted { file, entry: name });
            }
            if entry.compression() != CompressionMethod::Stored {
                return Err(CheckpointError::Compressed { file, entry: name });
            }
            if entry.size() != entry.compressed_size() || entry.size() > length {
                let reason = "its sizes contradict each other".to_owned();
                return Err(CheckpointError::DamagedEntry { file, entry: name, reason });
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
        let Some(folder) = folders.next() else {
            return Err(self.missing("data.pkl"));
        };
        if folders.next().is_some() {
            let (file, reason) = (self.file.to_owned(), "it has two data.pkl".to_owned());
            return Err(CheckpointError::Container { file, reason });
        }
        Ok(folder)
    }

    /// Files from before PyTorch 2.1 do not say; they are little-endian like the machines of their time.
    fn check_byte_order(&mut self) -> Result<()> {
        if self.index("byteorder").is_none() {
            return Ok(());
        }
        let order = self.entry("byteorder")?;
        if order == b"little" {
            return Ok(());
        }
        let (file, found) = (self.file.to_owned(), shown(&String::from_utf8_lossy(&order)));
        Err(CheckpointError::ByteOrder { file, found })
    }

    /// By the name's own bytes: `index_for_name` would decode every name of the archive for one that is not there.
    fn index(&self, name: &str) -> Option<usize> {
        self.zip.index_for_name_raw(format!("{}{name}", self.folder).as_bytes())
    }

    fn missing(&self, name: &str) -> CheckpointError {
        let (file, entry) = (self.file.to_owned(), shown(name));
        CheckpointError::MissingEntry { file, entry }
    }

    /// Bytes in an entry, before reading them.
    pub(super) fn entry_size(&self, name: &str) -> Result<u64> {
        let index = self.index(name).ok_or_else(|| self.missing(name))?;
        let entry = self.zip.by_index_data(index).map_err(|error| broken(error, self.file))?;
        Ok(entry.size())
    }

    /// An entry's bytes, their checksum verified. Its size was found to lie within the file's.
    pub(super) fn entry(&mut self, name: &str) -> Result<Vec<u8>> {
        let file = self.file;
        let size = self.entry_size(name)?;
        let index = self.index(name).ok_or_else(|| self.missing(name))?;
        let damaged =
            |reason: String| CheckpointError::DamagedEntry { file: file.to_owned(), entry: shown(name), reason };
        let mut entry = self.zip.by_index(index).map_err(|error| damaged(error.to_string()))?;
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        entry.read_to_end(&mut bytes).map_err(|error| damaged(error.to_string()))?;
        match bytes.len() as u64 == size {
            true => Ok(bytes),
            false => Err(damaged("it ends too early".to_owned())),
        }
    }
}

/// Tells torch's older formats and other files apart by how they begin.
fn sniff<R: Read + Seek>(source: &mut R, length: u64, file: &str) -> Result<()> {
    let head = bytes_at(source, 0, 512, file)?;
    let file = file.to_owned();
    if head.starts_with(b"PK\x03\x04") {
        Ok(())
    } else if head.starts_with(&[0x80]) || head.get(257..262) == Some(b"ustar") {
        Err(CheckpointError::Legacy { file })
    } else if head.get(8) == Some(&b'{') && number(&head, 0, 8) <= length.saturating_sub(8) {
        Err(CheckpointError::Safetensors { file })
    } else {
        Err(CheckpointError::NotAnArchive { file })
    }
}

/// Checks what a zip says of the list of its entries before that is believed: the list, the record of it and the file end where
/// the next begins or nothing does. Readers that search further differ in what they find, and take room for as many entries as a
/// few bytes care to name.
fn check_end<R: Read + Seek>(source: &mut R, length: u64, file: &str) -> Result<()> {
    const END: u64 = 22;
    const LOCATOR: u64 = 20;
    const END64: u64 = 56;
    const SHORTEST_ENTRY: u64 = 46;
    let at = length.saturating_sub(END);
    let end = bytes_at(source, at, END, file)?;
    if !end.starts_with(b"PK\x05\x06") || number(&end, 20, 2) != 0 {
        return Err(CheckpointError::OpenEnd { file: file.to_owned() });
    }
    // Count, size and start of the list, in few bits; all ones where a wide record before this one knows them.
    let narrow = [(10, 2), (12, 4), (16, 4)].map(|(at, size)| (number(&end, at, size), u64::MAX >> (64 - 8 * size)));
    let (mut list, mut list_end, mut agree) = (narrow.map(|(value, _)| value), at, true);
    let locator = bytes_at(source, at.saturating_sub(LOCATOR), LOCATOR, file)?;
    if locator.starts_with(b"PK\x06\x07") {
        list_end = number(&locator, 8, 8);
        let end64 = bytes_at(source, list_end, END64, file)?;
        list = [32, 40, 48].map(|at| number(&end64, at, 8));
        agree = end64.starts_with(b"PK\x06\x06")
            && list_end.checked_add(END64 + LOCATOR) == Some(at)
            && narrow.iter().zip(list).all(|(&(value, ones), wide)| value == wide || value == ones);
    }
    let [count, size, start] = list;
    if agree && start.checked_add(size) == Some(list_end) && count <= size / SHORTEST_ENTRY {
        return Ok(());
    }
    let (file, reason) = (file.to_owned(), "its list of entries is not where it should be".to_owned());
    Err(CheckpointError::Container { file, reason })
}

/// `count` bytes from `at` on, zeros where the file ends before.
fn bytes_at<R: Read + Seek>(source: &mut R, at: u64, count: u64, file: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = source.seek(SeekFrom::Start(at)).and_then(|_| source.by_ref().take(count).read_to_end(&mut bytes));
    read.map_err(|source| CheckpointError::Io { file: file.to_owned(), action: "read", source })?;
    bytes.resize(count as usize, 0);
    Ok(bytes)
}

/// The little-endian number of `size` bytes at `at`, which must be there.
fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    bytes[at..at + size].iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

fn broken(error: ZipError, file: &str) -> CheckpointError {
    let file = file.to_owned();
    match error {
        ZipError::Io(source) if source.raw_os_error().is_some() => CheckpointError::Io { file, action: "read", source },
        error => CheckpointError::Container { file, reason: shown(&error.to_string()) },
    }
}

/// Writes entries one after the other, without going back.
///
/// torch's `.format_version` is left out: it promises torch's own padding, from which torch then computes where
/// storages lie instead of reading it.
pub(super) struct Writer<W: Write> {
    zip: ZipWriter<StreamWriter<FirstFailure<W>>>,
}

impl<W: Write> Writer<W> {
    /// Storages start at multiples of this, as torch has them, so that `torch.load(mmap=True)` can map them.
    pub(super) const ALIGNMENT: u16 = 64;

    pub(super) fn new(out: W) -> Self {
        let out = FirstFailure { out, failure: None };
        let zip = ZipWriter::new_stream(out);
        Writer { zip }
    }

    /// Writes an entry. A fixed date, system and folder: equal content gives equal bytes.
    pub(super) fn entry(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .system(System::Unix)
            .with_alignment(Self::ALIGNMENT)
            .large_file(u32::try_from(bytes.len()).is_err());
        self.zip.start_file(format!("archive/{name}"), options)?;
        self.zip.write_all(bytes)
    }

    /// Ends the zip and hands the output back, or the first failure to write to it.
    pub(super) fn finish(self) -> io::Result<W> {
        let FirstFailure { mut out, failure } = self.zip.finish()?.into_inner();
        match failure {
            Some(error) => Err(error),
            None => out.flush().map(|()| out),
        }
    }
}

/// Keeps the first failure and swallows what follows: `ZipWriter` would otherwise try to end the archive when dropped,
/// fail again and complain on standard error.
struct FirstFailure<W> {
    out: W,
    failure: Option<io::Error>,
}

impl<W: Write> Write for FirstFailure<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.failure.is_none() {
            self.failure = self.out.write_all(bytes).err();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.failure.is_none() {
            self.failure = self.out.flush().err();
        }
        Ok(())
    }
}
