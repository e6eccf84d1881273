//! Our keys: what can be set for each program. Each key is declared once, with its type, its value at the start, its
//! limit and its line of `--help`; `hydra-conf` makes the command line of it.

mod choice;
mod data;
mod limits;
mod model;
mod package;
mod programs;
mod train;

pub use choice::{
    ContrastiveEnergy, ContrastiveType, Dtype, EnergyFamily, FullWindow, Mode, MovingWeights, OnNonfinite,
    PictureFormat, RefineReduction, Split, VizMode,
};
pub use data::{ADDITION, DataConfig, MOST_DIGITS, block_size_of_addition};
pub use hydra_conf::{
    Action, ConfigError, Flags, Job, Override, Program, Root, Schema, Verb, help_of, parse, quote, to_yaml,
};
pub use model::{ModelConfig, ModelOverrides};
pub use package::SHIPPED;
pub use programs::{
    Candidate, CompareConfig, ComputeConfig, DoctorConfig, EvalConfig, FastWeightsConfig, FromConfig, SampleConfig,
    VizConfig,
};
pub use train::{Config, TrainConfig};
