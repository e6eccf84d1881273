//! The settings of the programs that read a checkpoint: `sample`, `eval` and `viz`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_yaml::Value;

use super::choice::{Dtype, Mode, PictureFormat, Split, VizMode};

/// Keys of the model's configuration that replace the checkpoint's (see [`super::ModelConfig::apply`]).
pub type ModelOverrides = BTreeMap<String, Value>;

/// Settings of `sample`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleConfig {
    /// Checkpoint to read; null is the newest under `out_dir`.
    pub checkpoint: Option<PathBuf>,
    /// Where the newest checkpoint is looked for.
    pub out_dir: PathBuf,
    /// Text whose characters are the vocabulary, for checkpoints that carry none.
    pub data_path: PathBuf,
    /// Text to continue; `@file` reads a file and `-` standard input.
    pub prompt: String,
    /// Characters to generate.
    pub max_new_tokens: i64,
    /// Whether to refine before each token.
    pub mode: Mode,
    /// The mode by its other name: true is think, false is fast.
    pub use_thinking: Option<bool>,
    /// Refinement steps when thinking.
    pub think_steps: i64,
    /// Draw among the k most likely only; null is all.
    pub topk: Option<i64>,
    /// Draw (true) or take the most likely (false); null draws when thinking.
    pub sample: Option<bool>,
    /// Softmax temperature when drawing.
    pub sample_temp: f64,
    /// Draw within this much probability only; null is all.
    pub sample_top_p: Option<f64>,
    /// Texts to generate.
    pub num_samples: i64,
    /// Seed of the draws.
    pub seed: i64,
    /// `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
    pub device: String,
    /// Precision of the forward pass.
    pub dtype: Dtype,
    /// Keys that replace the checkpoint's.
    pub model: ModelOverrides,
}

/// Settings of `eval`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvalConfig {
    /// Checkpoint to read; null is the newest under `out_dir`.
    pub checkpoint: Option<PathBuf>,
    /// Where the newest checkpoint is looked for.
    pub out_dir: PathBuf,
    /// Text to evaluate on; null is the checkpoint's, else `shakespeare.txt`.
    pub data_path: Option<PathBuf>,
    /// Which part of the text.
    pub split: Split,
    /// Refinement steps; null is the checkpoint's.
    pub refine_steps: Option<i64>,
    /// Windows to evaluate; null is all.
    pub max_windows: Option<i64>,
    /// Whether to tell text from corrupted text as well.
    pub separation: bool,
    /// Windows per batch.
    pub batch_size: i64,
    /// `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
    pub device: String,
    /// Precision of the forward pass.
    pub dtype: Dtype,
    /// Keys that replace the checkpoint's.
    pub model: ModelOverrides,
}

/// Settings of `viz`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VizConfig {
    /// Checkpoint to read; null is the newest under `out_dir`.
    pub checkpoint: Option<PathBuf>,
    /// Where the newest checkpoint and the newest run are looked for.
    pub out_dir: PathBuf,
    /// Text whose validation part is measured; null is the checkpoint's, else `shakespeare.txt`.
    pub data_path: Option<PathBuf>,
    /// What to draw.
    pub mode: VizMode,
    /// Text that is thought about; `@file` reads a file and `-` standard input.
    pub prompt: String,
    /// Steps of thinking.
    pub think_steps: i64,
    /// Tokens whose path is drawn.
    pub topk: i64,
    /// Character of the prompt after which the next one is predicted, from 0; null is the last.
    pub position: Option<i64>,
    /// Points along each side of the landscape; null is 61, or 31 with soft tokens.
    pub grid: Option<i64>,
    /// Half width of the wide landscape in logits; null follows the path.
    pub extent: Option<f64>,
    /// Validation windows to measure.
    pub max_windows: i64,
    /// Run directories, separated by commas; null is the checkpoint's own, else the newest.
    pub runs: Option<String>,
    /// Logged rows that a training curve is averaged over.
    pub smooth: i64,
    /// Folder of the pictures.
    pub out: PathBuf,
    /// Which files a picture is written to.
    pub format: PictureFormat,
    /// Seed of samples, chains and noise.
    pub seed: i64,
    /// `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
    pub device: String,
    /// Precision of the forward pass.
    pub dtype: Dtype,
    /// Keys that replace the checkpoint's.
    pub model: ModelOverrides,
}
