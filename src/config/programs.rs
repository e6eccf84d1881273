//! The settings of the programs that read a checkpoint: `sample`, `eval`, `viz` and `compare`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_yaml::Value;

use super::choice::{Context, ContextWeights, Dtype, Mode, PictureFormat, Split, VizMode};
use super::error::ConfigError;

/// Keys of the model's configuration that replace the checkpoint's (see [`super::ModelConfig::apply`]).
pub type ModelOverrides = BTreeMap<String, Value>;

/// How the weights follow the text that is read (see [`crate::fast_weights`]).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ContextConfig {
    /// Descent steps on the energy of each chunk after it was scored; 0 is off.
    pub context_steps: i64,
    /// Windows of a chunk.
    pub context_chunk: i64,
    /// Step size α; null is what suits the weights that move.
    pub context_alpha: Option<f64>,
    /// Which weights move.
    pub context_weights: ContextWeights,
    /// Share of the way back to the trained weights after each step.
    pub context_decay: f64,
    /// Standard deviation of the noise of each step.
    pub context_noise: f64,
}

/// Settings of `sample`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// What happens when the window is full.
    pub context: Context,
    /// Text that is read and descended on before; `@file` reads a file. null is the prompt.
    pub context_text: Option<String>,
    /// Texts to generate.
    pub num_samples: i64,
    /// Seed of the draws.
    pub seed: i64,
    /// `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
    pub device: String,
    /// Precision of the forward pass.
    pub dtype: Dtype,
    /// How the weights follow that text.
    #[serde(flatten)]
    pub fast: ContextConfig,
    /// Keys that replace the checkpoint's.
    pub model: ModelOverrides,
}

/// Settings of `eval`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvalConfig {
    /// Checkpoint to read; null is the newest under `out_dir`.
    pub checkpoint: Option<PathBuf>,
    /// Where the newest checkpoint is looked for.
    pub out_dir: PathBuf,
    /// Text to evaluate on; null is the checkpoint's.
    pub data_path: Option<PathBuf>,
    /// Which part of the text.
    pub split: Split,
    /// Refinement steps; null is the checkpoint's.
    pub refine_steps: Option<i64>,
    /// Numbers of refinement steps to measure side by side; null is `refine_steps` alone.
    pub steps: Option<Vec<i64>>,
    /// Characters from one window to the next, the last ones of each being scored; null is the window's length.
    pub stride: Option<i64>,
    /// Windows to evaluate; null is all.
    pub max_windows: Option<i64>,
    /// Whether to tell text from corrupted text as well.
    pub separation: bool,
    /// Windows at a time; the numbers do not depend on it.
    pub batch_size: i64,
    /// `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
    pub device: String,
    /// Precision of the forward pass.
    pub dtype: Dtype,
    /// How the weights follow the text.
    #[serde(flatten)]
    pub fast: ContextConfig,
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
    /// Text whose validation part is measured; null is the checkpoint's.
    pub data_path: Option<PathBuf>,
    /// What to draw.
    pub mode: VizMode,
    /// Text that is thought about; `@file` reads a file and `-` standard input.
    pub prompt: String,
    /// Steps of thinking.
    pub think_steps: i64,
    /// Characters that the report writes.
    pub max_new_tokens: i64,
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

/// Settings of `compare`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompareConfig {
    /// What the others are compared with.
    pub a: Candidate,
    /// The second.
    pub b: Candidate,
    /// A third, where there is one.
    pub c: Candidate,
    /// A fourth.
    pub d: Candidate,
    /// A fifth.
    pub e: Candidate,
    /// A sixth.
    pub f: Candidate,
    /// Text to evaluate on; null is that of `a`.
    pub data_path: Option<PathBuf>,
    /// Which part of the text.
    pub split: Split,
    /// Refinement steps of all; null is each checkpoint's.
    pub refine_steps: Option<i64>,
    /// Length of the windows; null is the checkpoints', which must then agree.
    pub block_size: Option<i64>,
    /// Windows to evaluate; null is all.
    pub max_windows: Option<i64>,
    /// Windows at a time; the numbers do not depend on it.
    pub batch_size: i64,
    /// Folder of the picture; null draws none.
    pub out: Option<PathBuf>,
    /// `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
    pub device: String,
    /// Precision of the forward pass.
    pub dtype: Dtype,
    /// Keys that replace every checkpoint's.
    pub model: ModelOverrides,
}

/// One of the models that `compare` compares: a checkpoint and settings of its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<PathBuf>,
    /// Its refinement steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refine_steps: Option<i64>,
    /// Keys that replace the checkpoint's, as `model.KEY`.
    #[serde(flatten)]
    pub model: ModelOverrides,
}

impl CompareConfig {
    /// The names of the candidates.
    pub const NAMES: [&'static str; 6] = ["a", "b", "c", "d", "e", "f"];

    /// The candidates that were given, each under its name, with the settings of all beneath its own. Two at least, the first of them
    /// `a`; one with settings needs a checkpoint.
    pub fn candidates(&self) -> Result<Vec<(&'static str, Candidate)>, ConfigError> {
        let all = [&self.a, &self.b, &self.c, &self.d, &self.e, &self.f];
        let mut given = Vec::new();
        for (name, own) in Self::NAMES.into_iter().zip(all) {
            if own.checkpoint.is_none() && *own != Candidate::default() {
                let problem = format!("{name} has settings but no checkpoint; add {name}=FILE");
                return Err(ConfigError::Relation(problem));
            }
            if own.checkpoint.is_some() {
                let mut candidate = own.clone();
                candidate.refine_steps = own.refine_steps.or(self.refine_steps);
                candidate.model =
                    self.model.iter().map(|(key, value)| (format!("model.{key}"), value.clone())).collect();
                candidate.model.extend(own.model.clone());
                given.push((name, candidate));
            }
        }
        if self.a.checkpoint.is_none() || given.len() < 2 {
            let problem = "compare needs two checkpoints or more: a=FILE b=FILE";
            return Err(ConfigError::Relation(problem.to_owned()));
        }
        Ok(given)
    }
}
