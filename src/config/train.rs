//! The settings of the data and of the training loop.

use serde::{Deserialize, Serialize};

use super::Config;
use super::choice::{Dtype, OnNonfinite};
use super::schema::{Field, Interval, Kind, field};
use crate::data::addition;

/// The text and how it is cut into batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// A name for the data, used in reports.
    pub dataset: String,
    /// UTF-8 text file.
    pub data_path: std::path::PathBuf,
    /// Characters per window T.
    pub block_size: i64,
    /// Windows per batch B.
    pub batch_size: i64,
    /// Threads that prepare batches ahead; 0 prepares them in the loop.
    pub num_workers: i64,
    /// Digits of the numbers that `dataset=addition` adds.
    #[serde(default = "three")]
    pub digits: i64,
    /// Whether the answers of `dataset=addition` begin with their last digit.
    #[serde(default = "yes")]
    pub reverse: bool,
}

fn yes() -> bool {
    true
}

fn three() -> i64 {
    3
}

/// Optimiser, schedule and the loop's intervals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Peak learning rate.
    pub learning_rate: f64,
    /// AdamW's β₁.
    pub beta1: f64,
    /// AdamW's β₂.
    pub beta2: f64,
    /// AdamW's weight decay.
    pub weight_decay: f64,
    /// Largest gradient norm; 0 is no limit.
    pub grad_clip: f64,
    /// Whether the learning rate follows the schedule.
    pub decay_lr: bool,
    /// Steps of linear warm-up.
    pub warmup_iters: i64,
    /// Step at which the cosine reaches `min_lr`.
    pub lr_decay_iters: i64,
    /// Learning rate at the end of the schedule.
    pub min_lr: f64,
    /// Steps to train.
    pub max_steps: i64,
    /// Batches whose gradients are summed before an optimiser step.
    pub grad_accum_steps: i64,
    /// Steps between evaluations; 0 or less is never.
    pub eval_interval: i64,
    /// Batches per evaluation.
    pub eval_iters: i64,
    /// Steps between lines of the log.
    pub log_interval: i64,
    /// Seed of everything random.
    pub seed: i64,
    /// `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
    pub device: String,
    /// Precision of the forward pass.
    pub dtype: Dtype,
    /// Accepted for the original's sake; nothing is compiled here.
    pub compile: bool,
    /// Whether activations are computed again in the backward pass instead of kept.
    #[serde(default)]
    pub remat: bool,
    /// Whether the run says at its end where its time went.
    #[serde(default)]
    pub profile: bool,
    /// What happens in a step that holds what is no number.
    #[serde(default = "stop")]
    pub on_nonfinite: OnNonfinite,
    /// Such steps that a run survives.
    #[serde(default)]
    pub nonfinite_retries: i64,
    /// Whether a checkpoint may be resumed on another text than its own.
    #[serde(default)]
    pub allow_other_data: bool,
    /// Whether a checkpoint may be resumed in another shape: what fits is taken over.
    #[serde(default)]
    pub allow_other_shape: bool,
}

/// What runs of before there was a choice did.
fn stop() -> OnNonfinite {
    OnNonfinite::Stop
}

/// Every key of [`DataConfig`] with what it accepts.
pub(super) const DATA_FIELDS: &[Field] = &[
    field("dataset", Kind::Text),
    field("data_path", Kind::Path),
    field("block_size", Kind::COUNT),
    field("batch_size", Kind::COUNT),
    field("num_workers", Kind::COUNT_OR_ZERO),
    field("digits", Kind::Int { min: 1, max: addition::MOST_DIGITS }),
    field("reverse", Kind::Bool),
];

/// Every key of [`TrainConfig`] with what it accepts.
pub(super) const TRAIN_FIELDS: &[Field] = &[
    field("learning_rate", Kind::Float(Interval::POSITIVE)),
    field("beta1", Kind::Float(Interval::BELOW_ONE)),
    field("beta2", Kind::Float(Interval::BELOW_ONE)),
    field("weight_decay", Kind::Float(Interval::NOT_NEGATIVE)),
    field("grad_clip", Kind::Float(Interval::NOT_NEGATIVE)),
    field("decay_lr", Kind::Bool),
    field("warmup_iters", Kind::COUNT_OR_ZERO),
    field("lr_decay_iters", Kind::COUNT_OR_ZERO),
    field("min_lr", Kind::Float(Interval::NOT_NEGATIVE)),
    field("max_steps", Kind::COUNT_OR_ZERO),
    field("grad_accum_steps", Kind::COUNT),
    field("eval_interval", Kind::ANY_INT),
    field("eval_iters", Kind::COUNT),
    field("log_interval", Kind::COUNT),
    field("seed", Kind::ANY_INT),
    field("device", Kind::Device),
    field("dtype", Kind::Choice(Dtype::NAMES)),
    field("compile", Kind::Bool),
    field("remat", Kind::Bool),
    field("profile", Kind::Bool),
    field("on_nonfinite", Kind::Choice(OnNonfinite::NAMES)),
    field("nonfinite_retries", Kind::COUNT_OR_ZERO),
    field("allow_other_data", Kind::Bool),
    field("allow_other_shape", Kind::Bool),
];

impl Default for DataConfig {
    fn default() -> Self {
        Config::default().data
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Config::default().train
    }
}
