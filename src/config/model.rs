//! The model's settings: the original's 23 under their own names, then those that are ours.

use serde::{Deserialize, Serialize};
use serde_yaml::Value;

use super::choice::{ContrastiveEnergy, ContrastiveType, EnergyFamily, RefineReduction};
use super::schema::{self, Field, Interval, Kind, field};
use super::{Config, ConfigError, ModelOverrides, suggest};

/// Shape of the transformer, refinement and contrastive training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Number of tokens V; training replaces it by the data's.
    pub vocab_size: i64,
    /// Longest context T; follows `data.block_size`.
    pub block_size: i64,
    /// Transformer blocks.
    pub n_layer: i64,
    /// Attention heads; divides `n_embd`.
    pub n_head: i64,
    /// Width C.
    pub n_embd: i64,
    /// Dropout probability.
    pub dropout: f64,
    /// Whether Linear and LayerNorm have biases.
    pub bias: bool,
    /// Steps of System 2 refinement.
    pub refine_steps: i64,
    /// Step size α of refinement.
    pub alpha_value: f64,
    /// Scale of the noise added in refinement while training.
    pub langevin_noise: f64,
    /// Two consecutive changes of the mean energy below this end refinement; with `adaptive` one change of a position's own.
    pub energy_convergence_threshold: f64,
    /// First training steps, which train System 1 only.
    pub warmup_steps_no_refine: i64,
    /// Whether each refinement step re-embeds the current prediction and reruns the transformer.
    pub use_soft_tokens: bool,
    /// Whether the contrastive divergence loss is added.
    pub use_contrastive: bool,
    /// Where the negatives come from.
    pub contrastive_type: ContrastiveType,
    /// Langevin steps per call (the k of CD-k).
    pub contrastive_k: i64,
    /// Weight of the contrastive loss.
    pub contrastive_weight: f64,
    /// Step size η of the Langevin sampler.
    pub langevin_step_size: f64,
    /// Noise scale s of the Langevin sampler.
    pub langevin_noise_scale: f64,
    /// Particles in PCD's buffer.
    pub n_persistent: i64,
    /// Chains of Fast PCD.
    pub n_chains: i64,
    /// Probability that a Fast PCD chain restarts before a call.
    pub restart_prob: f64,
    /// Standard deviation of fresh particles and chains.
    pub buffer_init_std: f64,
    /// How the energies of the positions are reduced before descending.
    pub refine_reduction: RefineReduction,
    /// Whether System 1 and System 2 share one transformer pass.
    pub share_hidden: bool,
    /// Whether α is a parameter.
    pub alpha_learnable: bool,
    /// Learning-rate multiplier of a learnable α.
    pub alpha_lr_multiplier: f64,
    /// Relative width of the random factor on α while training.
    pub alpha_jitter: f64,
    /// Refinement gradients are clamped to plus or minus this.
    pub grad_clamp: f64,
    /// Temperature τ of the softmax inside the expected energy.
    pub softmax_temperature: f64,
    /// Weight λ of the entropy in the refined objective.
    pub entropy_weight: f64,
    /// Largest move of a logit in one step; 0 is no limit.
    pub think_max_move: f64,
    /// Weight of System 1's cross-entropy beside System 2's.
    pub aux_ce_weight: f64,
    /// Whether energies that see the prediction, with soft tokens or `energy=mixture`, count as constants in the gradient.
    pub mixture_stopgrad: bool,
    /// Weight of the in-batch InfoNCE term.
    pub info_nce_weight: f64,
    /// Temperature of the InfoNCE term.
    pub info_nce_temperature: f64,
    /// Whether the positive phase of contrastive divergence carries gradients.
    pub contrastive_positive_grad: bool,
    /// Which token's energy contrastive divergence lowers.
    pub contrastive_energy: ContrastiveEnergy,
    /// Weight of the squared energies of both phases inside the contrastive loss; files of before it have none.
    #[serde(default)]
    pub contrastive_l2: f64,
    /// Momentum μ of Fast PCD's chains.
    pub langevin_momentum: f64,
    /// What thinking descends; files of before there was a choice have the expected energy.
    #[serde(default = "linear")]
    pub energy: EnergyFamily,
    /// Characters J that `energy=reread` reads again.
    #[serde(default)]
    pub reread_chars: i64,
    /// Whether each position stops thinking on its own, once its energy has settled.
    #[serde(default)]
    pub adaptive: bool,
    /// Steps of refinement in training are this many more or fewer, at random.
    #[serde(default)]
    pub random_steps: i64,
}

fn linear() -> EnergyFamily {
    EnergyFamily::Linear
}

/// Every key of [`ModelConfig`] with what it accepts, in the order of the struct.
pub(super) const FIELDS: &[Field] = &[
    field("vocab_size", Kind::COUNT),
    field("block_size", Kind::COUNT),
    field("n_layer", Kind::COUNT),
    field("n_head", Kind::COUNT),
    field("n_embd", Kind::COUNT),
    field("dropout", Kind::Float(Interval::BELOW_ONE)),
    field("bias", Kind::Bool),
    field("refine_steps", Kind::COUNT_OR_ZERO),
    field("alpha_value", Kind::Float(Interval::NOT_NEGATIVE)),
    field("langevin_noise", Kind::Float(Interval::NOT_NEGATIVE)),
    field("energy_convergence_threshold", Kind::Float(Interval::NOT_NEGATIVE)),
    field("warmup_steps_no_refine", Kind::COUNT_OR_ZERO),
    field("use_soft_tokens", Kind::Bool),
    field("use_contrastive", Kind::Bool),
    field("contrastive_type", Kind::Choice(ContrastiveType::NAMES)),
    field("contrastive_k", Kind::COUNT),
    field("contrastive_weight", Kind::Float(Interval::NOT_NEGATIVE)),
    field("langevin_step_size", Kind::Float(Interval::POSITIVE)),
    field("langevin_noise_scale", Kind::Float(Interval::NOT_NEGATIVE)),
    field("n_persistent", Kind::COUNT),
    field("n_chains", Kind::COUNT),
    field("restart_prob", Kind::Float(Interval::PROBABILITY)),
    field("buffer_init_std", Kind::Float(Interval::NOT_NEGATIVE)),
    field("refine_reduction", Kind::Choice(RefineReduction::NAMES)),
    field("share_hidden", Kind::Bool),
    field("alpha_learnable", Kind::Bool),
    field("alpha_lr_multiplier", Kind::Float(Interval::NOT_NEGATIVE)),
    field("alpha_jitter", Kind::Float(Interval::UP_TO_TWO)),
    field("grad_clamp", Kind::Float(Interval::POSITIVE)),
    field("softmax_temperature", Kind::Float(Interval::POSITIVE)),
    field("entropy_weight", Kind::Float(Interval::NOT_NEGATIVE)),
    field("think_max_move", Kind::Float(Interval::NOT_NEGATIVE)),
    field("aux_ce_weight", Kind::Float(Interval::PROBABILITY)),
    field("mixture_stopgrad", Kind::Bool),
    field("info_nce_weight", Kind::Float(Interval::NOT_NEGATIVE)),
    field("info_nce_temperature", Kind::Float(Interval::POSITIVE)),
    field("contrastive_positive_grad", Kind::Bool),
    field("contrastive_energy", Kind::Choice(ContrastiveEnergy::NAMES)),
    field("contrastive_l2", Kind::Float(Interval::NOT_NEGATIVE)),
    field("langevin_momentum", Kind::Float(Interval::BELOW_ONE)),
    field("energy", Kind::Choice(EnergyFamily::NAMES)),
    field("reread_chars", Kind::COUNT_OR_ZERO),
    field("adaptive", Kind::Bool),
    field("random_steps", Kind::COUNT_OR_ZERO),
];

/// The README's names for three of the keys.
pub(super) const ALIASES: &[(&str, &str)] =
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

    /// The preset `model=upstream`: the original's behaviour, quirks included.
    pub fn upstream() -> Self {
        super::shipped::<Config>(&["model=upstream"]).model
    }

    /// Sets one key by name (with or without `model.`, or by its other name), checking type and range.
    pub fn set(&mut self, key: &str, value: &Value) -> Result<(), ConfigError> {
        let leaf = key.strip_prefix("model.").unwrap_or(key);
        let leaf = ALIASES.iter().find(|(alias, _)| *alias == leaf).map_or(leaf, |(_, name)| *name);
        let Some(field) = FIELDS.iter().find(|field| field.name == leaf) else {
            let nearest = suggest::nearest(leaf, FIELDS.iter().map(|field| field.name));
            let nearest = nearest.iter().map(|name| format!("model.{name}"));
            return Err(ConfigError::unknown_key(key, nearest.collect()));
        };
        let checked = schema::check(&format!("model.{leaf}"), field, value)?;
        let mut tree = serde_yaml::to_value(&*self)?;
        if let Value::Mapping(map) = &mut tree {
            map.insert(leaf.into(), checked);
        }
        *self = serde_yaml::from_value(tree)?;
        Ok(())
    }

    /// Applies the `model.*` overrides given to `sample` or `eval`, then checks the whole.
    pub fn apply(&mut self, overrides: &ModelOverrides) -> Result<(), ConfigError> {
        for (key, value) in overrides {
            self.set(key, value)?;
        }
        self.validate()
    }

    /// Checks every range, and the relations between keys.
    pub fn validate(&self) -> Result<(), ConfigError> {
        schema::check_section("model", FIELDS, self)?;
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

impl Default for ModelConfig {
    fn default() -> Self {
        Config::default().model
    }
}
