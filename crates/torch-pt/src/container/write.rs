//! Writes the zip around a checkpoint: every entry stored as it is, all aligned.

use std::io::{self, Write};

use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, System, ZipWriter};

/// Writes entries one after the other, without going back.
///
/// torch's `.format_version` is left out: it promises torch's own padding, from which torch then computes where
/// storages lie instead of reading it.
pub(crate) struct Writer<W: Write> {
    zip: ZipWriter<StreamWriter<FirstFailure<W>>>,
}

impl<W: Write> Writer<W> {
    /// Storages start at multiples of this, as torch has them, so that `torch.load(mmap=True)` can map them.
    pub(crate) const ALIGNMENT: u16 = 64;

    pub(crate) fn new(out: W) -> Self {
        let out = FirstFailure { out, failure: None };
        let zip = ZipWriter::new_stream(out);
        Writer { zip }
    }

    /// Writes an entry. A fixed date, system and folder: equal content gives equal bytes.
    pub(crate) fn entry(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
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
    pub(crate) fn finish(self) -> io::Result<W> {
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
