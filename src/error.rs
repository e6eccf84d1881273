//! What can go wrong in a run, in the library's own types. Programs print the chain and set the exit status.

use std::path::PathBuf;

use crate::checkpoint::CheckpointError;
use crate::config::ConfigError;
use crate::data::DataError;
use crate::device::DeviceError;
use crate::fast_weights::Diverged;
use crate::fs::FileError;
use crate::processes::ProcessesError;

/// An error of training, sampling or evaluation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The text.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The other processes.
    #[error(transparent)]
    Processes(#[from] ProcessesError),
    /// A checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Weights that follow a text.
    #[error(transparent)]
    FastWeights(#[from] Diverged),
    /// Any other file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Two trainers for one run.
    #[error(
        "{dir} is in use by another train ({holder}): nothing was changed; wait for its end, or give a run of its own \
         with another out_dir="
    )]
    RunInUse {
        /// The run directory
        dir: PathBuf,
        /// What the lock file says of its holder
        holder: String,
    },
    /// Weights & Biases.
    #[error(transparent)]
    Wandb(#[from] wandb_log::Error),
    /// A line of a metrics file.
    #[error("{path}: line {line} is not a JSON object: {reason}")]
    Metrics {
        /// The file
        path: PathBuf,
        /// Its line, from 1
        line: usize,
        /// What the JSON reader says
        reason: String,
    },
    /// A model that the memory cannot hold.
    #[error(
        "the model has {parameters} parameters: to {action} it takes at least {needed:.1} GB of memory, and {available:.1} GB are \
         available; make it smaller (model.n_layer, model.n_embd, data.batch_size)"
    )]
    TooLarge {
        /// train or read
        action: &'static str,
        /// Parameters of the model
        parameters: String,
        /// GB that it takes at least
        needed: f64,
        /// GB that there are
        available: f64,
    },
    /// A training step that holds NaN or infinity.
    #[error(
        "{fault} at step {step} (learning rate {lr:.3e}): the run is stopped{after}. {last_good}; \
         a smaller train.learning_rate or train.grad_clip often helps, or train.on_nonfinite=skip or rollback"
    )]
    NonFinite {
        /// What is NaN or infinite
        fault: String,
        /// The step it arose in
        step: i64,
        /// How many others the run had survived, in words
        after: String,
        /// Learning rate of that step
        lr: f64,
        /// Which checkpoint to go on from
        last_good: String,
    },
    /// Weights that hold NaN or infinity are not saved.
    #[error(
        "the weights are not finite after step {step} (learning rate {lr:.3e}), and are not saved: the run is stopped. {last_good}"
    )]
    NonFiniteWeights {
        /// The last step
        step: i64,
        /// Learning rate of that step
        lr: f64,
        /// Which checkpoint to go on from
        last_good: String,
    },
    /// Nothing left to train.
    #[error(
        "{path} is at step {step}, and train.max_steps={max_steps}: there is nothing to train; raise train.max_steps"
    )]
    AlreadyDone {
        /// The checkpoint
        path: PathBuf,
        /// Its step
        step: i64,
        /// The goal
        max_steps: i64,
    },
    /// A checkpoint of another text.
    #[error(
        "{checkpoint} knows {found} characters and {data} has {expected} of its own: the vocabularies differ; \
         take the text it was trained on, or with train.allow_other_data=true one that has no other characters"
    )]
    OtherVocabulary {
        /// The checkpoint
        checkpoint: PathBuf,
        /// The text
        data: PathBuf,
        /// Characters of the text
        expected: usize,
        /// Characters of the checkpoint
        found: usize,
    },
    /// A text that has not the characters of a model whose file does not tell them.
    #[error(
        "{checkpoint} predicts {found} characters and does not say which, and {data} has {expected}; give the text that \
         it was trained on with data_path="
    )]
    UnknownVocabulary {
        /// The checkpoint
        checkpoint: PathBuf,
        /// The text
        data: PathBuf,
        /// Characters of the text
        expected: usize,
        /// Characters of the checkpoint
        found: usize,
    },
    /// A resume on another text.
    #[error(
        "{checkpoint} was trained on another text than {data} (SHA-256 {recorded} and {found}); give that text with \
         data.data_path=, or go on with this one by train.allow_other_data=true"
    )]
    OtherData {
        /// The checkpoint
        checkpoint: PathBuf,
        /// The text
        data: PathBuf,
        /// The digest in the checkpoint, shortened
        recorded: String,
        /// That of the text
        found: String,
    },
    /// The text of a checkpoint is not where it was.
    #[error("{checkpoint} was trained on {data}, which is not here; give a text with data_path=FILE")]
    NoData {
        /// The checkpoint
        checkpoint: PathBuf,
        /// The text
        data: PathBuf,
    },
    /// No checkpoint given and none found.
    #[error("no checkpoint under {out_dir}; train first (cargo run --release --bin train), or give checkpoint=FILE")]
    NoCheckpoint {
        /// Where it was looked for
        out_dir: PathBuf,
    },
    /// No training curves where they were looked for.
    #[error("no metrics.jsonl in {dir}; give run directories with runs=out_ebt/run_…")]
    NoRun {
        /// Where it was looked for
        dir: PathBuf,
    },
    /// A picture that cannot be drawn.
    #[error("cannot draw the picture: {0}")]
    Picture(String),
    /// A request that does not fit the checkpoint.
    #[error("{0}")]
    Request(String),
}

impl Error {
    /// What this process tells the others of it; nothing where it ended because another one did.
    pub fn own(&self) -> Option<String> {
        match self {
            Self::Processes(error) if !error.is_own() => None,
            error => Some(error.to_string()),
        }
    }
}
