//! Configuration in Hydra's manner: YAML files in groups, overrides on the command line, plain structs at the end.
//!
//! What is typed for a key is read by the key's kind (see `schema`), so that `prompt=123` is text and `seed=x` an error
//! that names key, value and type.

mod choice;
mod cli;
mod compose;
mod error;
mod files;
mod help;
mod interpolate;
mod model;
mod overrides;
mod programs;
mod root;
mod schema;
mod suggest;
mod train;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use choice::{
    Context, ContextWeights, ContrastiveEnergy, ContrastiveType, Dtype, EnergyFamily, Mode, OnNonfinite, PictureFormat,
    RefineReduction, Split, VizMode,
};
pub use cli::{Action, Flags, Job, Program, parse};
pub use error::ConfigError;
pub use files::SHIPPED;
pub use help::help_of;
pub use model::ModelConfig;
pub use overrides::{Override, Verb};
pub use programs::{Candidate, CompareConfig, ContextConfig, EvalConfig, ModelOverrides, SampleConfig, VizConfig};
pub use root::{Root, Schema};
pub use train::{DataConfig, TrainConfig};

/// Settings of `train`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The model.
    pub model: ModelConfig,
    /// The data.
    pub data: DataConfig,
    /// The training loop.
    pub train: TrainConfig,
    /// Where the run writes.
    pub out_dir: PathBuf,
    /// Weights & Biases project; null sends nothing.
    pub wandb_project: Option<String>,
    /// Name of the run there; null leaves it to the server.
    pub wandb_name: Option<String>,
    /// Whether TensorBoard's event files are written.
    #[serde(default)]
    pub tensorboard: bool,
    /// Steps between checkpoints; 0 or less saves none on the way.
    pub save_interval: i64,
    /// Checkpoint to go on from.
    pub load_checkpoint: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        shipped(&[])
    }
}

impl Default for SampleConfig {
    fn default() -> Self {
        shipped(&[])
    }
}

impl Default for EvalConfig {
    fn default() -> Self {
        shipped(&[])
    }
}

impl Default for VizConfig {
    fn default() -> Self {
        shipped(&[])
    }
}

impl Default for CompareConfig {
    fn default() -> Self {
        shipped(&[])
    }
}

/// The shipped configuration with these overrides, which must be right.
fn shipped<T: Root>(overrides: &[&str]) -> T {
    let overrides: Result<Vec<Override>, _> = overrides.iter().map(|arg| Override::parse(arg)).collect();
    match overrides.and_then(|overrides| compose::job(&files::Files::default(), &overrides)) {
        Ok(job) => job.config,
        // The shipped files are part of the program, and tests compose every one.
        Err(error) => unreachable!("shipped configuration: {error}"),
    }
}

/// A configuration as YAML.
pub fn to_yaml(config: &impl Serialize) -> String {
    serde_yaml::to_string(config).unwrap_or_else(|error| format!("# {error}\n"))
}
