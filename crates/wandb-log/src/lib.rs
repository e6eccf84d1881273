//! Weights & Biases. The training writes its rows to a `.wandb` file, as the official client does, and never waits for
//! the network; a thread reads the file and posts what is new. What cannot be sent stays on the disk, in a form that the
//! official `wandb sync` takes.
//!
//! A killed process leaves `wandb/run-…` with all that was logged, whether sent or not. A resumed training sends the rest
//! of it. Without one, `wandb sync --include-online --id NEW-ID DIR` makes a whole new run of it; without `--id` it would
//! send again what the server has.
//!
//! - `settings`, `secret`: what the user set, and the key
//! - `records`, `datastore`, `dir`: the file and its directory
//! - `api`, `retry`, `run`, `chunk`, `stream`: the server, a request at a time; the run there; its lines; the thread
//! - `past`: going on with the run of a resumed training
//! - `system`: samples of the machine
//! - `start`, `tracker`, `finish`: the listener that the training talks to, from its beginning to its end

mod api;
mod chunk;
mod datastore;
mod dir;
mod finish;
mod past;
mod records;
mod retry;
mod run;
mod secret;
mod settings;
mod start;
mod stream;
mod system;
mod tracker;

use std::path::{Path, PathBuf};

use serde_json::Value;

pub use settings::Vars;
pub use tracker::Wandb;

/// What a training tells about itself.
#[derive(Debug)]
pub struct RunInfo<'a> {
    /// The project of the run
    pub project: &'a str,
    /// The name people see; without it `WANDB_NAME`, or the server invents one
    pub name: Option<&'a str>,
    /// The configuration, as a tree
    pub config: &'a Value,
    /// The training's run directory: `wandb.json` there says which run a resumed training goes on with
    pub run_dir: &'a Path,
}

/// Why no run begins. What only keeps it from being sent is no error: it is then kept on the disk.
#[derive(Debug, thiserror::Error)]
pub enum WandbError {
    /// A setting that has no meaning.
    #[error("{name}={value:?}: expected {expected}")]
    Setting {
        /// The environment variable, or its name in a settings file
        name: String,
        /// What it is
        value: String,
        /// What it may be
        expected: String,
    },
    /// `WANDB_RESUME=must` without a run, or `never` with one.
    #[error("{0}: give another WANDB_RUN_ID or WANDB_RESUME")]
    Resume(String),
    /// The note of which run to go on with is not readable.
    #[error("{path} does not say which W&B run to go on with ({reason}): remove it, and a new run begins")]
    Sidecar {
        /// The file
        path: PathBuf,
        /// What the JSON reader says
        reason: String,
    },
    /// A file.
    #[error("W&B cannot write or read {path}")]
    Io {
        /// The file
        path: PathBuf,
        /// The system's reason
        source: std::io::Error,
    },
}
