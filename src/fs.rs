//! Files that are whole or absent.

use std::fs::{self, File};
use std::io::{self, Write};
#[cfg(unix)]
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A file, or a folder, that the system does not let us write or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot write or read {path}")]
pub struct FileError {
    /// The file
    pub path: PathBuf,
    /// The system's reason
    pub source: io::Error,
}

impl FileError {
    /// For `map_err`: an error that names its file.
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self { path, source }
    }
}

/// The folder that a path stands in.
pub fn parent(path: &Path) -> Option<&Path> {
    path.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

/// Makes a folder, and those it stands in, where they are not there yet.
pub fn make_folder(path: &Path) -> Result<(), FileError> {
    let in_the_way = |e: &io::Error| e.kind() == io::ErrorKind::AlreadyExists; // what stands there is no folder
    fs::create_dir_all(path).map_err(|e| if in_the_way(&e) { no_folder() } else { e }).map_err(FileError::at(path))
}

/// An error where files cannot go into `folder`, which need not exist yet: asked before the work, and without touching the disk.
/// What only writing shows (another user's folder, a full disk) is found later.
pub fn check_folder(folder: &Path) -> Result<(), FileError> {
    let absolute = std::path::absolute(folder).map_err(FileError::at(folder))?;
    let existing = absolute.ancestors().find(|path| path.exists()).unwrap_or(&absolute);
    let metadata = fs::metadata(existing).map_err(FileError::at(existing))?;
    let source = match (metadata.is_dir(), metadata.permissions().readonly()) {
        (false, _) => no_folder(),
        (true, true) => io::ErrorKind::PermissionDenied.into(),
        (true, false) => return Ok(()),
    };
    Err(FileError { path: folder.to_owned(), source })
}

fn no_folder() -> io::Error {
    io::Error::other("it is a file, and a folder is needed")
}

/// Writes a sibling, flushes it to the disk and renames it over `path`, so that a crash leaves the old file or the new one.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let sibling = sibling(path);
    let write = || {
        let mut file = File::create(&sibling)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&sibling, path)
    };
    write().map_err(|source| {
        let _ = fs::remove_file(&sibling);
        FileError { path: path.to_owned(), source }
    })
}

/// Makes `link` lead to `target`, which is named from the link's own folder. A link that was there is replaced at once; any other file
/// stays, and so does everything where the file system has no links.
pub fn link_atomically(link: &Path, target: &Path) -> Result<(), FileError> {
    let theirs = |found: fs::Metadata| !found.is_symlink();
    if fs::symlink_metadata(link).is_ok_and(theirs) {
        return Ok(());
    }
    let sibling = sibling(link);
    let _ = fs::remove_file(&sibling);
    match symlink(target, &sibling) {
        Ok(()) => fs::rename(&sibling, link).map_err(FileError::at(link)),
        Err(_) => Ok(()),
    }
}

/// Where this process makes a file before it takes its place.
fn sibling(path: &Path) -> PathBuf {
    let mut sibling = path.as_os_str().to_owned();
    sibling.push(format!(".{}.tmp", std::process::id()));
    sibling.into()
}

#[cfg(not(unix))]
fn symlink(_target: &Path, _link: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Waits until the disk has the names of a folder: what was renamed into it then outlives a power cut.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes a file or folder `stem` in `dir`; where that exists, `stem_2`, `stem_3`, … What `make` gives, and the path.
pub fn make_new<T>(
    dir: &Path,
    stem: &str,
    extension: &str,
    make: impl Fn(&Path) -> io::Result<T>,
) -> Result<(PathBuf, T), FileError> {
    for n in 1u32.. {
        let number = if n == 1 { String::new() } else { format!("_{n}") };
        let path = dir.join(format!("{stem}{number}{extension}"));
        match make(&path) {
            Ok(made) => return Ok((path, made)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(FileError { path, source }),
        }
    }
    Err(FileError { path: dir.to_owned(), source: io::ErrorKind::AlreadyExists.into() })
}
