//! The settings of `train`: its loop, and all of it together with the model and the data.

use std::path::PathBuf;

use hydra_conf::{ConfigError, Package, Root, Schema, Tree, Value, show};

use super::choice::{ContrastiveEnergy, Dtype, EnergyFamily, OnNonfinite, RefineReduction};
use super::data::{ADDITION, DataConfig, block_size_of_addition};
use super::limits::{COUNT, COUNT_OR_ZERO, DEVICE, POSITIVE};
use super::model::{self, ModelConfig};
use super::package::{PACKAGE, shipped};
use crate::processes::TIMEOUT;

hydra_conf::section! {
    /// Optimiser, schedule and the loop's intervals.
    #[serde(deny_unknown_fields)]
    pub struct TrainConfig {
        /// peak learning rate
        learning_rate: f64 = 3e-4, in POSITIVE;
        /// AdamW's first decay rate
        beta1: f64 = 0.9, in 0.0..1.0;
        /// AdamW's second decay rate
        beta2: f64 = 0.95, in 0.0..1.0;
        /// AdamW's weight decay
        weight_decay: f64 = 0.1, in 0.0..;
        /// largest gradient norm; 0 is no limit
        grad_clip: f64 = 1.0, in 0.0..;
        /// follow the schedule; false keeps the peak
        decay_lr: bool = true;
        /// steps of linear warm-up
        warmup_iters: i64 = 2000, in COUNT_OR_ZERO;
        /// step at which the cosine reaches min_lr
        lr_decay_iters: i64 = 100_000, in COUNT_OR_ZERO;
        /// learning rate at the end of the schedule
        min_lr: f64 = 3e-5, in 0.0..;
        /// steps to train
        max_steps: i64 = 5000, in COUNT_OR_ZERO;
        /// batches whose gradients make one optimiser step
        grad_accum_steps: i64 = 1, in COUNT;
        /// steps between evaluations; 0 or less evaluates none on the way
        eval_interval: i64 = 500;
        /// batches per evaluation
        eval_iters: i64 = 50, in COUNT;
        /// steps between lines of the log
        log_interval: i64 = 10, in COUNT;
        /// seed of everything random
        seed: i64 = 1337;
        /// auto (CUDA, then MPS, then CPU), cpu, cuda, cuda:N or mps
        device: String = "auto", in DEVICE;
        /// precision of the forward pass: float32 or bfloat16
        dtype: Dtype = "float32";
        /// accepted for the original's sake; there is nothing to compile here
        compile: bool = false;
        /// compute activations again in the backward pass: about a third more time, a fraction of the memory
        #[serde(default)]
        remat: bool = false;
        /// say at the end where the time went, phase by phase
        #[serde(default)]
        profile: bool = false;
        /// at NaN or infinity in a step: stop, skip its update, or rollback to the last good checkpoint and reorder the
        /// data
        #[serde(default = "stop")]
        on_nonfinite: OnNonfinite = "stop";
        /// steps that skip and rollback survive in a run, before it stops
        #[serde(default)]
        nonfinite_retries: i64 = 10, in COUNT_OR_ZERO;
        /// seconds in which the processes that torchrun starts must answer each other
        #[serde(default = "patience")]
        timeout: i64 = TIMEOUT, in COUNT;
        /// go on from a checkpoint of another text, whose characters the checkpoint must know
        #[serde(default)]
        allow_other_data: bool = false;
        /// go on from a checkpoint of another shape: tensors that fit are taken over, the others begin anew
        #[serde(default)]
        allow_other_shape: bool = false;
    }
}

/// What a run of before it was a setting is given.
fn patience() -> i64 {
    TIMEOUT
}

/// What runs of before there was a choice did.
fn stop() -> OnNonfinite {
    OnNonfinite::Stop
}

hydra_conf::section! {
    /// Settings of `train`.
    #[serde(deny_unknown_fields)]
    pub struct Config {
        /// the model
        #[section]
        model: ModelConfig;
        /// the data
        #[section]
        data: DataConfig;
        /// the training loop
        #[section]
        train: TrainConfig;
        /// folder the run writes to
        out_dir: PathBuf = "out_ebt";
        /// Weights & Biases project; null sends nothing
        wandb_project: Option<String>;
        /// name of the run there; null leaves it to the server
        wandb_name: Option<String>;
        /// also write event files that TensorBoard reads
        #[serde(default)]
        tensorboard: bool = false;
        /// steps between checkpoints; 0 or less saves none on the way
        save_interval: i64 = 1000;
        /// checkpoint (.pt) to go on from
        load_checkpoint: Option<PathBuf>;
    }
}

impl Root for Config {
    const FILE: &'static str = "config";
    const PACKAGE: Package = PACKAGE;

    fn schema() -> Schema {
        model::aliases(Schema::of::<Self>(), "")
    }

    fn settle(typed: &mut Tree, base: &Tree) -> Result<Vec<String>, ConfigError> {
        size_problems(typed, base);
        share_block_size(typed)?;
        Ok(switch_contrastive_on(typed, base).into_iter().collect())
    }

    fn relations(&self) -> Result<(), ConfigError> {
        self.model.relations()?;
        if self.model.block_size != self.data.block_size {
            return Err(block_sizes(self.model.block_size, self.data.block_size));
        }
        check_problems(self)?;
        check_ebt(self)
    }
}

impl Default for Config {
    fn default() -> Self {
        shipped(&[])
    }
}

impl Default for ModelConfig {
    fn default() -> Self {
        Config::default().model
    }
}

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

impl ModelConfig {
    /// The preset `model=upstream`: the original's behaviour, quirks included.
    pub fn upstream() -> Self {
        shipped::<Config>(&["model=upstream"]).model
    }
}

/// EBT has no System 1, whose energies others could use.
fn check_ebt(config: &Config) -> Result<(), ConfigError> {
    let model = &config.model;
    let problem = match model.energy {
        EnergyFamily::Ebt if model.refine_steps == 0 => {
            "model.energy=ebt predicts nothing without thinking: model.refine_steps must be 1 or more"
        }
        EnergyFamily::Ebt if config.train.remat => {
            "train.remat=true keeps no keys of the text, which model.energy=ebt attends to; give one"
        }
        EnergyFamily::Ebt if model.aux_ce_weight > 0.0 => {
            "model.aux_ce_weight is a part of System 1's loss, and model.energy=ebt starts from noise; give one"
        }
        EnergyFamily::Ebt if model.use_contrastive || model.info_nce_weight > 0.0 => {
            "model.energy=ebt has no energies of single tokens, which contrastive losses compare; give one"
        }
        _ => return Ok(()),
    };
    Err(ConfigError::Relation(problem.to_owned()))
}

/// Addition has windows of one length, and no text that a contrastive loss could read again.
fn check_problems(config: &Config) -> Result<(), ConfigError> {
    if config.data.dataset != ADDITION {
        return Ok(());
    }
    let block_size = block_size_of_addition(config.data.digits);
    if config.data.block_size != block_size {
        return Err(ConfigError::Relation(format!(
            "data.block_size={} does not fit data.digits={}, whose problems have {block_size}; leave it out",
            config.data.block_size, config.data.digits
        )));
    }
    if config.model.use_soft_tokens || config.model.refine_reduction == RefineReduction::Mean {
        let problem = "data=addition scores answers alone: model.use_soft_tokens and model.refine_reduction=mean, where every position \
                       thinks of all others, do not go with it";
        return Err(ConfigError::Relation(problem.to_owned()));
    }
    if config.model.use_contrastive && config.model.contrastive_energy == ContrastiveEnergy::SameToken {
        let problem = "model.contrastive_energy=same_token reads the targets as a text, which the answers of data=addition are not; use \
                       next_token";
        return Err(ConfigError::Relation(problem.to_owned()));
    }
    Ok(())
}

/// A problem is as long as its digits make it.
fn size_problems(typed: &mut Tree, base: &Tree) {
    let value = |key: &str| typed.get(key).or_else(|| base.get(key));
    let addition = value("data.dataset").and_then(Value::as_str) == Some(ADDITION);
    let digits = value("data.digits").and_then(Value::as_i64);
    if let (true, Some(digits), false) = (addition, digits, typed.contains_key("data.block_size")) {
        typed.insert("data.block_size".to_owned(), block_size_of_addition(digits).into());
    }
}

/// `model.block_size` follows `data.block_size`, and leads it where it alone is typed.
fn share_block_size(typed: &mut Tree) -> Result<(), ConfigError> {
    const MODEL: &str = "model.block_size";
    const DATA: &str = "data.block_size";
    match (typed.get(MODEL), typed.get(DATA)) {
        (Some(model), Some(data)) if model.is_number() && data.is_number() && model != data => {
            Err(block_sizes(show(model), show(data)))
        }
        (Some(model), None) if model.is_number() => {
            typed.insert(DATA.to_owned(), model.clone());
            Ok(())
        }
        (None, Some(_)) => {
            typed.insert(MODEL.to_owned(), format!("${{{DATA}}}").into());
            Ok(())
        }
        _ => Ok(()),
    }
}

fn block_sizes(model: impl std::fmt::Display, data: impl std::fmt::Display) -> ConfigError {
    ConfigError::Relation(format!(
        "model.block_size={model} and data.block_size={data} differ; set one, the other follows"
    ))
}

/// Whoever names a contrastive type means contrastive training, unless they say otherwise.
fn switch_contrastive_on(typed: &mut Tree, base: &Tree) -> Option<String> {
    const SWITCH: &str = "model.use_contrastive";
    let name = show(typed.get("model.contrastive_type")?);
    if typed.contains_key(SWITCH) || base.get(SWITCH) == Some(&Value::Bool(true)) {
        return None;
    }
    typed.insert(SWITCH.to_owned(), true.into());
    Some(format!("model.contrastive_type={name} switches {SWITCH} on; add {SWITCH}=false to leave it off"))
}
