//! The model's settings: the original's 23 under their own names, then those that are ours.

use std::collections::BTreeMap;

use hydra_conf::{ConfigError, Schema, Section, Value};

use super::choice::{ContrastiveEnergy, ContrastiveType, EnergyFamily, RefineReduction};
use super::limits::{COUNT, COUNT_OR_ZERO, POSITIVE};

hydra_conf::section! {
    /// Shape of the transformer, refinement and contrastive training.
    #[serde(deny_unknown_fields)]
    pub struct ModelConfig {
        /// characters V; replaced by the data's
        vocab_size: i64 = 256, in COUNT;
        /// longest context T; follows data.block_size
        block_size: i64 = "${data.block_size}", in COUNT;
        /// transformer blocks
        n_layer: i64 = 6, in COUNT;
        /// attention heads; must divide n_embd
        n_head: i64 = 6, in COUNT;
        /// width C
        n_embd: i64 = 384, in COUNT;
        /// dropout probability
        dropout: f64 = 0.1, in 0.0..1.0;
        /// whether Linear and LayerNorm have biases
        bias: bool = true;

        /// System 2 steps (also think_steps)
        refine_steps: i64 = 4, in COUNT_OR_ZERO;
        /// step size of refinement (also think_lr)
        alpha_value: f64 = 0.02, in 0.0..;
        /// noise added while refining in training
        langevin_noise: f64 = 0.005, in 0.0..;
        /// two energy changes in a row below this end refinement
        energy_convergence_threshold: f64 = 1e-4, in 0.0..;
        /// first steps, which train System 1 only
        warmup_steps_no_refine: i64 = 50, in COUNT_OR_ZERO;
        /// re-embed the prediction and rerun the transformer at every step
        use_soft_tokens: bool = false;

        /// add the contrastive divergence loss; naming a contrastive_type switches it on
        use_contrastive: bool = false;
        /// source of negatives: cd, pcd or fast_pcd
        contrastive_type: ContrastiveType = "cd";
        /// Langevin steps per call
        contrastive_k: i64 = 1, in COUNT;
        /// weight of the contrastive loss
        contrastive_weight: f64 = 0.1, in 0.0..;
        /// step size of the Langevin sampler
        langevin_step_size: f64 = 0.01, in POSITIVE;
        /// noise scale of the Langevin sampler
        langevin_noise_scale: f64 = 0.005, in 0.0..;
        /// particles in PCD's buffer
        n_persistent: i64 = 100, in COUNT;
        /// chains of Fast PCD
        n_chains: i64 = 20, in COUNT;
        /// probability that a chain restarts before a call
        restart_prob: f64 = 0.01, in 0.0..=1.0;
        /// standard deviation of fresh particles
        buffer_init_std: f64 = 1.0, in 0.0..;

        /// energy that refinement descends: sum (each position its own) or mean
        refine_reduction: RefineReduction = "sum";
        /// one transformer pass for System 1 and System 2
        share_hidden: bool = true;
        /// make the step size a parameter (also think_lr_learnable)
        alpha_learnable: bool = false;
        /// learning-rate factor of a learnable step size
        alpha_lr_multiplier: f64 = 3.0, in 0.0..;
        /// width of the random factor on the step size in training
        alpha_jitter: f64 = 0.1, in 0.0..=2.0;
        /// refinement gradients are clamped to plus or minus this
        grad_clamp: f64 = 5.0, in POSITIVE;
        /// temperature of the softmax inside the expected energy
        softmax_temperature: f64 = 1.0, in POSITIVE;
        /// weight of the entropy in what refinement descends
        entropy_weight: f64 = 0.0, in 0.0..;
        /// largest move of a logit per step; 0 is no limit
        think_max_move: f64 = 0.0, in 0.0..;
        /// weight of System 1's cross-entropy beside System 2's
        aux_ce_weight: f64 = 0.0, in 0.0..=1.0;
        /// energies that see the prediction (soft tokens, energy=mixture) are constants in the gradient: no second
        /// derivative
        mixture_stopgrad: bool = false;
        /// weight of the in-batch InfoNCE term
        info_nce_weight: f64 = 0.0, in 0.0..;
        /// temperature of the InfoNCE term
        info_nce_temperature: f64 = 1.0, in POSITIVE;
        /// let the positive phase of contrastive divergence carry gradients
        contrastive_positive_grad: bool = true;
        /// token whose energy is contrasted: next_token or same_token
        contrastive_energy: ContrastiveEnergy = "next_token";
        /// weight of both phases' squared energies in the contrastive loss: fixes where zero is
        #[serde(default)]
        contrastive_l2: f64 = 0.3, in 0.0..;
        /// momentum of Fast PCD's chains
        langevin_momentum: f64 = 0.9, in 0.0..1.0;

        /// what thinking descends: linear (expected energy), mixture, reread or ebt; model=reread and so on choose
        /// their settings too
        #[serde(default = "linear")]
        energy: EnergyFamily = "linear";
        /// last characters that energy=reread reads again, each place with a table of its own
        #[serde(default)]
        reread_chars: i64 = 5, in COUNT_OR_ZERO;
        /// outside of training each position stops on its own, once a step changes its energy by less than
        /// energy_convergence_threshold
        #[serde(default)]
        adaptive: bool = false;
        /// refinement steps in training are up to this many more or fewer, at random; 1 at least
        #[serde(default)]
        random_steps: i64 = 0, in COUNT_OR_ZERO;
    }
}

/// What files of before there was a choice have.
fn linear() -> EnergyFamily {
    EnergyFamily::Linear
}

/// Keys of the model's configuration that replace the checkpoint's (see [`ModelConfig::apply`]).
pub type ModelOverrides = BTreeMap<String, Value>;

/// The README's names for three of the keys.
const ALIASES: &[(&str, &str)] =
    &[("think_steps", "refine_steps"), ("think_lr", "alpha_value"), ("think_lr_learnable", "alpha_learnable")];

impl ModelConfig {
    /// The keys of the original's configuration class, in its order; it refuses any other.
    pub const ORIGINAL_KEYS: [&'static str; 23] = [
        "vocab_size",
        "block_size",
        "n_layer",
        "n_head",
        "n_embd",
        "dropout",
        "bias",
        "refine_steps",
        "alpha_value",
        "langevin_noise",
        "energy_convergence_threshold",
        "warmup_steps_no_refine",
        "use_soft_tokens",
        "use_contrastive",
        "contrastive_type",
        "contrastive_k",
        "contrastive_weight",
        "langevin_step_size",
        "langevin_noise_scale",
        "n_persistent",
        "n_chains",
        "restart_prob",
        "buffer_init_std",
    ];

    /// Sets one key by name (with or without `model.`, or by its other name), checking type and range.
    pub fn set(&mut self, key: &str, value: &Value) -> Result<(), ConfigError> {
        let leaf = key.strip_prefix("model.").unwrap_or(key);
        let own = ALIASES.iter().find(|(alias, _)| *alias == leaf).map_or(key, |(_, own)| own);
        Section::set(self, "model", own, value)
    }

    /// Whether the step size of thinking is among some overrides.
    pub fn names_alpha(overrides: &ModelOverrides) -> bool {
        overrides.keys().any(|key| key.ends_with("alpha_value") || key.ends_with("think_lr"))
    }

    /// Applies the `model.*` overrides given to `sample` or `eval`, then checks the whole.
    pub fn apply(&mut self, overrides: &ModelOverrides) -> Result<(), ConfigError> {
        for (key, value) in overrides {
            self.set(key, value)?;
        }
        self.validate()
    }

    /// Checks every range, and how the keys go together.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.check("model")?;
        self.relations()
    }

    /// Checks how the keys go together.
    pub(super) fn relations(&self) -> Result<(), ConfigError> {
        if self.n_embd % self.n_head != 0 {
            return Err(ConfigError::Relation(format!(
                "model.n_embd={} is not divisible by model.n_head={}; each head takes an equal share of the width",
                self.n_embd, self.n_head
            )));
        }
        if self.use_soft_tokens && self.energy != EnergyFamily::Linear {
            return Err(ConfigError::Relation(format!(
                "model.use_soft_tokens=true and model.energy={} are two energies to descend; give one",
                self.energy
            )));
        }
        Ok(())
    }
}

/// The README's names of the model's keys, with and without `model.`, all below `prefix`.
pub(super) fn aliases(schema: Schema, prefix: &str) -> Schema {
    ALIASES.iter().fold(schema, |schema, (other, own)| {
        let names = [format!("{prefix}{other}"), format!("{prefix}model.{other}")];
        names.iter().fold(schema, |schema, other| match schema.has(other) {
            true => schema, // `sample` has steps of its own
            false => schema.alias(other, &format!("{prefix}model.{own}")),
        })
    })
}
