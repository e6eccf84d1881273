//! The configuration of a program: its keys, its other names for them, and the relations between them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_yaml::Value;

use super::choice::{
    Context, ContextWeights, ContrastiveEnergy, Dtype, EnergyFamily, Mode, PictureFormat, RefineReduction, Split,
    VizMode,
};
use super::error::ConfigError;
use super::schema::{self, Field, Kind, field, optional, show};
use super::{CompareConfig, Config, EvalConfig, SampleConfig, VizConfig, model, train};
use crate::addition::{self, Addition};

/// Values by dotted key.
pub type Tree = BTreeMap<String, Value>;

/// One key of a program.
#[derive(Debug, Clone)]
pub(super) struct Key {
    /// Its dotted name.
    pub name: String,
    /// What it accepts.
    pub field: Field,
    /// Whether it stands in an open section: absent unless set.
    pub open: bool,
}

/// Every key of a program, in the order of its struct.
#[derive(Debug, Default)]
pub struct Schema {
    /// The keys.
    pub(super) keys: Vec<Key>,
    /// Other names of keys: (other, own).
    pub(super) aliases: Vec<(String, String)>,
}

/// The configuration of a program.
pub trait Root: Serialize + DeserializeOwned {
    /// The name of its file, without `.yaml`.
    const FILE: &'static str;

    /// Its keys.
    fn schema() -> Schema;

    /// Lets what was typed for one key decide another; `base` is what the files say. Returns notices for the user.
    fn settle(typed: &mut Tree, base: &Tree) -> Result<Vec<String>, ConfigError>;

    /// Checks ranges and relations of the whole.
    fn validate(&self) -> Result<(), ConfigError>;
}

impl Schema {
    /// Adds the keys of a section; those of the empty section stand at the top.
    fn section(mut self, section: &str, fields: &[Field], open: bool) -> Self {
        self.keys.extend(fields.iter().map(|field| Key {
            name: match section {
                "" => field.name.to_owned(),
                _ => format!("{section}.{}", field.name),
            },
            field: *field,
            open,
        }));
        self
    }

    fn alias(mut self, other: &str, own: &str) -> Self {
        self.keys.retain(|key| key.name != other);
        self.aliases.push((other.to_owned(), own.to_owned()));
        self
    }

    /// The README's names of the model's keys, with and without `model.`, all below `prefix`.
    fn model_aliases(mut self, prefix: &str) -> Self {
        for (other, own) in model::ALIASES {
            for other in [format!("{prefix}{other}"), format!("{prefix}model.{other}")] {
                // `sample` has steps of its own.
                if self.keys.iter().all(|key| key.name != other) {
                    self = self.alias(&other, &format!("{prefix}model.{own}"));
                }
            }
        }
        self
    }

    /// The name a key goes by.
    pub(super) fn own_name<'a>(&'a self, name: &'a str) -> &'a str {
        self.aliases.iter().find(|(other, _)| other == name).map_or(name, |(_, own)| own)
    }

    /// What a key accepts, by either name.
    pub(super) fn field(&self, name: &str) -> Option<&Field> {
        self.key(name).map(|key| &key.field)
    }

    /// A key, by either name.
    pub(super) fn key(&self, name: &str) -> Option<&Key> {
        let own = self.own_name(name);
        self.keys.iter().find(|key| key.name == own)
    }

    /// Whether `name` is a section, or a group whose keys stand below that name.
    pub(super) fn has_section(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key.name.split_once('.').is_some_and(|(section, _)| section == name))
    }

    /// Every name a user may type.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let own = self.keys.iter().map(|key| key.name.as_str());
        own.chain(self.aliases.iter().map(|(other, _)| other.as_str()))
    }
}

/// The keys of [`Config`] that stand at the top.
const TRAIN_TOP: &[Field] = &[
    field("out_dir", Kind::Path),
    optional("wandb_project", Kind::Text),
    optional("wandb_name", Kind::Text),
    field("tensorboard", Kind::Bool),
    field("save_interval", Kind::ANY_INT),
    optional("load_checkpoint", Kind::Path),
];

/// The keys of [`SampleConfig`] that stand at the top.
const SAMPLE_TOP: &[Field] = &[
    optional("checkpoint", Kind::Path),
    field("out_dir", Kind::Path),
    field("data_path", Kind::Path),
    field("prompt", Kind::Text),
    field("max_new_tokens", Kind::COUNT_OR_ZERO),
    field("mode", Kind::Choice(Mode::NAMES)),
    optional("use_thinking", Kind::Bool),
    field("think_steps", Kind::COUNT_OR_ZERO),
    optional("topk", Kind::COUNT),
    optional("sample", Kind::Bool),
    field("sample_temp", Kind::Float(schema::Interval::POSITIVE)),
    optional("sample_top_p", Kind::Float(schema::Interval::SHARE)),
    field("context", Kind::Choice(Context::NAMES)),
    optional("context_text", Kind::Text),
    field("num_samples", Kind::COUNT),
    field("seed", Kind::ANY_INT),
    field("device", Kind::Device),
    field("dtype", Kind::Choice(Dtype::NAMES)),
];

/// The keys of [`super::ContextConfig`].
const CONTEXT: &[Field] = &[
    field("context_steps", Kind::COUNT_OR_ZERO),
    field("context_chunk", Kind::COUNT),
    optional("context_alpha", Kind::Float(schema::Interval::POSITIVE)),
    field("context_weights", Kind::Choice(ContextWeights::NAMES)),
    field("context_decay", Kind::Float(schema::Interval::PROBABILITY)),
    field("context_noise", Kind::Float(schema::Interval::NOT_NEGATIVE)),
];

/// The keys of [`EvalConfig`] that stand at the top.
const EVAL_TOP: &[Field] = &[
    optional("checkpoint", Kind::Path),
    field("out_dir", Kind::Path),
    optional("data_path", Kind::Path),
    field("split", Kind::Choice(Split::NAMES)),
    optional("refine_steps", Kind::COUNT_OR_ZERO),
    optional("steps", Kind::COUNTS_OR_ZERO),
    optional("stride", Kind::COUNT),
    optional("max_windows", Kind::COUNT),
    field("separation", Kind::Bool),
    field("batch_size", Kind::COUNT),
    field("device", Kind::Device),
    field("dtype", Kind::Choice(Dtype::NAMES)),
];

/// The keys of [`VizConfig`] that stand at the top.
const VIZ_TOP: &[Field] = &[
    optional("checkpoint", Kind::Path),
    field("out_dir", Kind::Path),
    optional("data_path", Kind::Path),
    field("mode", Kind::Choice(VizMode::NAMES)),
    field("prompt", Kind::Text),
    field("think_steps", Kind::COUNT),
    field("max_new_tokens", Kind::COUNT_OR_ZERO),
    field("topk", Kind::COUNT),
    optional("position", Kind::COUNT_OR_ZERO),
    optional("grid", Kind::Int { min: 5, max: 201 }),
    optional("extent", Kind::Float(schema::Interval::POSITIVE)),
    field("max_windows", Kind::COUNT),
    optional("runs", Kind::Text),
    field("smooth", Kind::COUNT),
    field("out", Kind::Path),
    field("format", Kind::Choice(PictureFormat::NAMES)),
    field("seed", Kind::ANY_INT),
    field("device", Kind::Device),
    field("dtype", Kind::Choice(Dtype::NAMES)),
];

/// The keys of [`super::Candidate`] beside those of its model.
const CANDIDATE: &[Field] = &[optional("checkpoint", Kind::Path), optional("refine_steps", Kind::COUNT_OR_ZERO)];

/// The keys of [`CompareConfig`] that stand at the top.
const COMPARE_TOP: &[Field] = &[
    optional("data_path", Kind::Path),
    field("split", Kind::Choice(Split::NAMES)),
    optional("refine_steps", Kind::COUNT_OR_ZERO),
    optional("block_size", Kind::COUNT),
    optional("max_windows", Kind::COUNT),
    field("batch_size", Kind::COUNT),
    optional("out", Kind::Path),
    field("device", Kind::Device),
    field("dtype", Kind::Choice(Dtype::NAMES)),
];

impl Root for Config {
    const FILE: &'static str = "config";

    fn schema() -> Schema {
        Schema::default()
            .section("model", model::FIELDS, false)
            .section("data", train::DATA_FIELDS, false)
            .section("train", train::TRAIN_FIELDS, false)
            .section("", TRAIN_TOP, false)
            .model_aliases("")
    }

    fn settle(typed: &mut Tree, base: &Tree) -> Result<Vec<String>, ConfigError> {
        size_problems(typed, base);
        share_block_size(typed)?;
        let mut notices = Vec::new();
        notices.extend(switch_contrastive_on(typed, base));
        Ok(notices)
    }

    fn validate(&self) -> Result<(), ConfigError> {
        self.model.validate()?;
        schema::check_section("data", train::DATA_FIELDS, &self.data)?;
        schema::check_section("train", train::TRAIN_FIELDS, &self.train)?;
        schema::check_section("", TRAIN_TOP, self)?;
        if self.model.block_size != self.data.block_size {
            return Err(block_sizes(self.model.block_size, self.data.block_size));
        }
        check_problems(self)?;
        check_ebt(self)
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
    let Some(adder) = Addition::of(&config.data) else { return Ok(()) };
    if config.data.block_size != adder.block_size() {
        return Err(ConfigError::Relation(format!(
            "data.block_size={} does not fit data.digits={}, whose problems have {}; leave it out",
            config.data.block_size,
            config.data.digits,
            adder.block_size()
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
    let addition = value("data.dataset").and_then(Value::as_str) == Some(addition::NAME);
    let digits = value("data.digits").and_then(Value::as_i64);
    if let (true, Some(digits), false) = (addition, digits, typed.contains_key("data.block_size")) {
        typed.insert("data.block_size".to_owned(), Addition::new(digits, true).block_size().into());
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

impl Root for SampleConfig {
    const FILE: &'static str = "sample";

    fn schema() -> Schema {
        Schema::default()
            .section("", SAMPLE_TOP, false)
            .section("", CONTEXT, false)
            .section("model", model::FIELDS, true)
            .model_aliases("")
            .steps_aliases("", "think_steps", "refine_steps")
    }

    fn settle(typed: &mut Tree, base: &Tree) -> Result<Vec<String>, ConfigError> {
        let flag = typed.get("use_thinking").or_else(|| base.get("use_thinking"));
        let Some(flag) = flag.and_then(Value::as_bool) else {
            return Ok(Vec::new());
        };
        let wanted = if flag { Mode::Think } else { Mode::Fast }.as_str();
        match typed.get("mode") {
            Some(mode) if mode.as_str() != Some(wanted) && typed.contains_key("use_thinking") => {
                Err(ConfigError::Relation(format!(
                    "use_thinking={flag} and mode={} contradict one another: they are one setting with two names; give one",
                    show(mode)
                )))
            }
            // What is typed beats what a file says under the other name.
            Some(_) => {
                typed.entry("use_thinking".to_owned()).or_insert(Value::Null);
                Ok(Vec::new())
            }
            None => {
                typed.insert("mode".to_owned(), wanted.into());
                Ok(Vec::new())
            }
        }
    }

    fn validate(&self) -> Result<(), ConfigError> {
        schema::check_section("", SAMPLE_TOP, self)?;
        schema::check_section("", CONTEXT, &self.fast)
    }
}

impl Root for EvalConfig {
    const FILE: &'static str = "eval";

    fn schema() -> Schema {
        Schema::default()
            .section("", EVAL_TOP, false)
            .section("", CONTEXT, false)
            .section("model", model::FIELDS, true)
            .model_aliases("")
            .steps_aliases("", "refine_steps", "think_steps")
    }

    fn settle(_typed: &mut Tree, _base: &Tree) -> Result<Vec<String>, ConfigError> {
        Ok(Vec::new())
    }

    fn validate(&self) -> Result<(), ConfigError> {
        if let (Some(steps), Some(refine_steps)) = (&self.steps, self.refine_steps) {
            let steps: Vec<String> = steps.iter().map(i64::to_string).collect();
            return Err(ConfigError::Relation(format!(
                "steps={} and refine_steps={refine_steps} both say how many steps to measure; give one",
                steps.join(",")
            )));
        }
        schema::check_section("", EVAL_TOP, self)?;
        schema::check_section("", CONTEXT, &self.fast)
    }
}

impl Root for VizConfig {
    const FILE: &'static str = "viz";

    fn schema() -> Schema {
        Schema::default()
            .section("", VIZ_TOP, false)
            .section("model", model::FIELDS, true)
            .model_aliases("")
            .steps_aliases("", "think_steps", "refine_steps")
    }

    fn settle(_typed: &mut Tree, _base: &Tree) -> Result<Vec<String>, ConfigError> {
        Ok(Vec::new())
    }

    fn validate(&self) -> Result<(), ConfigError> {
        schema::check_section("", VIZ_TOP, self)
    }
}

impl Root for CompareConfig {
    const FILE: &'static str = "compare";

    fn schema() -> Schema {
        let mut schema = Schema::default();
        for name in Self::NAMES {
            let prefix = format!("{name}.");
            schema = schema
                .section(name, CANDIDATE, true)
                .section(&format!("{name}.model"), model::FIELDS, true)
                .alias(name, &format!("{name}.checkpoint"))
                .model_aliases(&prefix)
                .steps_aliases(&prefix, "refine_steps", "think_steps");
        }
        schema.section("", COMPARE_TOP, false).section("model", model::FIELDS, true).model_aliases("").steps_aliases(
            "",
            "refine_steps",
            "think_steps",
        )
    }

    fn settle(_typed: &mut Tree, _base: &Tree) -> Result<Vec<String>, ConfigError> {
        Ok(Vec::new())
    }

    fn validate(&self) -> Result<(), ConfigError> {
        schema::check_section("", COMPARE_TOP, self)
    }
}

impl Schema {
    /// Makes the number of steps a setting of the program, or of what `prefix` names: every other name, the model's too, leads to
    /// `own`.
    fn steps_aliases(mut self, prefix: &str, own: &str, other: &str) -> Self {
        let model = format!("{prefix}model.refine_steps");
        self.aliases.retain(|(_, name)| *name != model);
        for name in [format!("{prefix}{other}"), model, format!("{prefix}model.think_steps")] {
            self = self.alias(&name, &format!("{prefix}{own}"));
        }
        self
    }
}
