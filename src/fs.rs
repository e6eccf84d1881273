//! Files that are whole or absent.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Writes a sibling, flushes it to the disk and renames it over `path`, so that a crash leaves the old file or the new one.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let sibling = path.with_extension(format!("tmp{}", std::process::id()));
    let write = || {
        let mut file = File::create(&sibling)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&sibling, path)
    };
    write().map_err(|source| {
        let _ = fs::remove_file(&sibling);
        Error::Io { path: path.to_owned(), source }
    })
}

/// Makes `run_YYYYMMDD_HHMMSS` under `out_dir`; a second run in the same second gets `_2`, and so on.
pub fn create_run_dir(out_dir: &Path) -> Result<PathBuf, Error> {
    fs::create_dir_all(out_dir).map_err(Error::io(out_dir))?;
    let name = chrono::Local::now().format("run_%Y%m%d_%H%M%S").to_string();
    for n in 1u32.. {
        let path = out_dir.join(if n == 1 { name.clone() } else { format!("{name}_{n}") });
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(Error::Io { path, source }),
        }
    }
    Err(Error::Io { path: out_dir.to_owned(), source: std::io::ErrorKind::AlreadyExists.into() })
}
