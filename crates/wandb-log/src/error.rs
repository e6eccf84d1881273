use std::io;
use std::path::{Path, PathBuf};

/// Why no run begins. What only keeps a run from being sent is no error: the run is then kept on the disk.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that has no meaning.
    #[error("{name}={value:?}: expected {expected}")]
    Setting {
        /// The environment variable that has it, or would have it
        name: String,
        /// What it is
        value: String,
        /// What it may be
        expected: String,
    },
    /// The run cannot be gone on with, or must not: `WANDB_RESUME=must` without a run, `never` with one, or a
    /// [`resume_file`](crate::Settings::resume_file) that is damaged.
    #[error("{0}")]
    Resume(String),
    /// A file.
    #[error("W&B cannot write or read {path}")]
    Io {
        /// The file
        path: PathBuf,
        /// The system's reason
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: an I/O error that names its file.
    pub(crate) fn io(path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Error::Io { path: path.clone(), source }
    }
}
