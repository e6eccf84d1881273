//! Writing a file whole or not at all.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A temporary file next to its target, so that the rename stays on one disk; gone when dropped, unless renamed.
pub(crate) struct Sibling {
    pub(crate) path: PathBuf,
}

impl Sibling {
    /// The name tells processes and writes apart.
    pub(crate) fn beside(target: &Path) -> Self {
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
