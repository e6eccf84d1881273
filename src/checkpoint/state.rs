//! What nanoEBM keeps in a checkpoint, under the names that PyTorch knows: reading.
//!
//! `{"model": state_dict, "optimizer": AdamW state_dict, "step": int, "config": {…}}`, and one key of our own, `nanoebm`, with
//! everything that the original has no place for ([`Extra`]). A file without it was written by the original.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, no_grad};
use torch_pt::{Archive, DType, Object, TensorRef};

use crate::checkpoint::provenance::Provenance;
use crate::config::{Config, ContrastiveType, ModelConfig};
use crate::contrastive::Contrastive;
use crate::data::Vocab;
use crate::data::addition::Addition;
use crate::data::batches::Position;
use crate::ebm::Ebm;
use crate::energy;
use crate::nn::optim::AdamW;

/// The key of everything that is ours.
pub(super) const OUR_KEY: &str = "nanoebm";
/// Persistent chains, under [`OUR_KEY`].
pub(super) const CHAINS: &str = "chains";
/// Gradients of an accumulation that the run ended in the middle of, under [`OUR_KEY`].
pub(super) const GRADIENTS: &str = "gradients";
/// Tied to `wte`; in every checkpoint, though the EBM does not use it.
pub(super) const LM_HEAD: &str = "transformer.lm_head.weight";
/// The tensor that [`LM_HEAD`] shares its storage with.
pub(super) const WTE: &str = "transformer.transformer.wte.weight";
/// A row for each character, as [`WTE`] has.
const ENERGY_HEAD: &str = "energy_head.weight";
/// What `torch.compile` puts before every name.
const COMPILED_PREFIX: &str = "_orig_mod.";

/// Why a readable archive is not a usable nanoEBM checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file itself cannot be read or written.
    #[error(transparent)]
    Archive(#[from] torch_pt::Error),
    /// Not the dict that nanoEBM saves.
    #[error("{file}: no usable {key:?} entry; a nanoEBM checkpoint is a dict with model, optimizer, step and config")]
    Entry {
        /// The file
        file: PathBuf,
        /// Where in the dict
        key: String,
    },
    /// Fast weights need to know how large gradients are.
    #[error(
        "{file}: the optimizer has taken no step, so that it knows no gradients; \
         context_steps needs a checkpoint of a training that has begun"
    )]
    NoStatistics {
        /// The file
        file: PathBuf,
    },
    /// The energy head alone cannot follow a text where nothing is predicted by it.
    #[error(
        "{file}: context_weights=head moves the energy head, which model.energy=ebt does not use; context_weights=all moves what it does"
    )]
    NoHead {
        /// The file
        file: PathBuf,
    },
    /// A configuration that this program does not understand.
    #[error("{file}: its configuration: {reason}")]
    Config {
        /// The file
        file: PathBuf,
        /// What is wrong
        reason: String,
    },
    /// A configuration of a larger model than the file has weights for.
    #[error(
        "{file}: its configuration is that of a model of {expected} parameters, but it holds {found}: the file is damaged, or made \
         to exhaust the memory"
    )]
    Parameters {
        /// The file
        file: PathBuf,
        /// What the model would need
        expected: u128,
        /// Elements of the storages under `model`
        found: u128,
    },
    /// A tensor that the model needs.
    #[error("{file}: tensor {name} is missing")]
    Missing {
        /// The file
        file: PathBuf,
        /// The tensor
        name: String,
    },
    /// A tensor that the model does not have.
    #[error("{file}: tensor {name} belongs to no parameter of this model")]
    Unexpected {
        /// The file
        file: PathBuf,
        /// The tensor
        name: String,
    },
    /// A tensor of another shape.
    #[error("{file}: tensor {name} has shape {found:?}, but this model wants {expected:?}")]
    Shape {
        /// The file
        file: PathBuf,
        /// The tensor
        name: String,
        /// What the model has
        expected: Vec<i64>,
        /// What the file has
        found: Vec<i64>,
    },
    /// A tensor of integers where numbers with a fraction belong.
    #[error("{file}: tensor {name} holds {found:?}, but weights are float32, float64, float16 or bfloat16")]
    DType {
        /// The file
        file: PathBuf,
        /// The tensor
        name: String,
        /// What the file has
        found: DType,
    },
    /// `lm_head` and `wte` are one tensor in this model.
    #[error("{file}: transformer.lm_head.weight differs from wte, but the two are tied")]
    Untied {
        /// The file
        file: PathBuf,
    },
    /// A resume under other shapes.
    #[error(
        "{file} was trained with model.{key}={found}, but this run has {expected}; \
         repeat the overrides of that run (its overrides.yaml lists them) next to load_checkpoint=, or take over what fits \
         with train.allow_other_shape=true"
    )]
    OtherShape {
        /// The file
        file: PathBuf,
        /// The key
        key: &'static str,
        /// This run's value
        expected: String,
        /// The file's value
        found: String,
    },
}

/// What our checkpoints carry beyond the original's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Extra {
    /// What made the file
    #[serde(flatten)]
    pub made_by: Provenance,
    /// The full effective configuration
    pub config: Config,
    /// All characters, in the order of their ids
    pub vocab: String,
    /// Where the run stood in its data
    pub position: Position,
    /// Best validation loss so far
    pub best_val_nll: Option<f64>,
    /// Steps so far that held what is no number
    #[serde(default)]
    pub nonfinite: i64,
}

/// A checkpoint that was read; its tensors are still as they were in the file.
#[derive(Debug)]
pub struct Checkpoint {
    /// Where it came from
    pub path: PathBuf,
    /// Training steps done
    pub step: i64,
    /// The model's configuration: the file's own, or the original's behaviour where the original wrote it
    pub model: ModelConfig,
    /// The original's `config["data"]["data_path"]`, or ours
    pub data_path: Option<PathBuf>,
    /// What only our files have
    pub ours: Option<Extra>,
    archive: Archive,
}

impl Checkpoint {
    /// Reads and understands a file; weights are looked at when they are loaded into a model.
    pub fn read(path: &Path) -> Result<Self, StateError> {
        Self::understand(path, Archive::read(path)?)
    }

    /// [`Checkpoint::read`] for predicting: the optimizer, two thirds of a file, stays where it is.
    pub fn read_model(path: &Path) -> Result<Self, StateError> {
        Self::understand(path, Archive::read_without(path, Some("optimizer"))?)
    }

    /// An archive as a checkpoint; `path` stands for its file in messages.
    pub fn understand(path: &Path, archive: Archive) -> Result<Self, StateError> {
        let entry = |key: &str| StateError::Entry { file: path.to_owned(), key: key.to_owned() };
        let root = &archive.root;
        let step = root.get("step").and_then(Object::as_i64).filter(|&step| step >= 0).ok_or_else(|| entry("step"))?;
        let config = root.get("config").ok_or_else(|| entry("config"))?;
        let bad_config = |reason: String| StateError::Config { file: path.to_owned(), reason };
        let ours = match root.get(OUR_KEY) {
            Some(object) => {
                Some(serde_json::from_value::<Extra>(to_json(object)).map_err(|e| bad_config(e.to_string()))?)
            }
            None => None,
        };
        let model = match &ours {
            Some(extra) => extra.config.model.clone(),
            None => original_model(config).map_err(bad_config)?,
        };
        model.validate().map_err(|e| bad_config(e.to_string()))?;
        // Before a model of that size is made. A file that lacks a few tensors is told which when they are looked for.
        let weights = root.get("model").ok_or_else(|| entry("model"))?;
        let (expected, found) = (Ebm::parameters(&model), archive.elements(weights));
        if expected > 4 * found {
            return Err(StateError::Parameters { file: path.to_owned(), expected, found });
        }
        let data_path = config.get("data").and_then(|d| d.get("data_path")).and_then(Object::as_str).map(PathBuf::from);
        Ok(Self { path: path.to_owned(), step, model, data_path, ours, archive })
    }

    /// The vocabulary, where the file carries it.
    pub fn vocab(&self) -> Option<Vocab> {
        self.ours.as_ref().map(|extra| Vocab::new(extra.vocab.chars()))
    }

    /// An error unless the model of this run has the shapes of the file's.
    pub fn check_shapes(&self, run: &ModelConfig) -> Result<(), StateError> {
        let file = &self.model;
        let shape = |model: &ModelConfig| {
            let shared = [
                ("vocab_size", model.vocab_size.to_string()),
                ("block_size", model.block_size.to_string()),
                ("n_layer", model.n_layer.to_string()),
                ("n_head", model.n_head.to_string()),
                ("n_embd", model.n_embd.to_string()),
                ("bias", model.bias.to_string()),
                ("energy", model.energy.to_string()),
            ];
            let own = energy::shape(model).into_iter().map(|(key, value)| (key, value.to_string()));
            shared.into_iter().chain(own).collect::<Vec<_>>()
        };
        match shape(run).into_iter().zip(shape(file)).find(|(run, file)| run != file) {
            None => Ok(()),
            Some(((key, expected), (_, found))) => {
                Err(StateError::OtherShape { file: self.path.clone(), key, expected, found })
            }
        }
    }

    /// Copies the weights into a model; every tensor must be there, fit, and belong.
    pub fn load_model(&self, ebm: &Ebm) -> Result<(), StateError> {
        let mut tensors = self.model_tensors()?;
        let missing = |name: &str| StateError::Missing { file: self.path.clone(), name: name.to_owned() };
        for (name, mut target) in state_dict(ebm) {
            let source = tensors.remove(name.as_str()).ok_or_else(|| missing(&name))?;
            let values = self.tensor(&name, source, &target.size())?;
            // lm_head comes after wte, which is the same tensor: by then the two must agree.
            if name == LM_HEAD && values != target.to_device(Device::Cpu) {
                return Err(StateError::Untied { file: self.path.clone() });
            }
            no_grad(|| target.copy_(&values));
        }
        match tensors.into_keys().next() {
            Some(name) => Err(StateError::Unexpected { file: self.path.clone(), name: name.to_owned() }),
            None => Ok(()),
        }
    }

    /// Copies the weights that have the same name and shape in a model, and those of the characters only where the model's are
    /// the `same_characters`. The names of the model's others, which stay as they are.
    pub fn load_what_fits(&self, ebm: &Ebm, same_characters: bool) -> Result<Vec<String>, StateError> {
        let mut tensors = self.model_tensors()?;
        // What thinking adds has rows for characters as well, and another energy's step size means something else.
        let of_characters = |name: &str| [WTE, ENERGY_HEAD].contains(&name) || name.starts_with("thinking.");
        let same_energy = self.model.energy == ebm.config.energy;
        tensors.retain(|name, _| (same_characters || !of_characters(name)) && (same_energy || *name != "alpha"));
        let mut others = Vec::new();
        for (name, mut target) in state_dict(ebm).into_iter().filter(|(name, _)| name != LM_HEAD) {
            let source = tensors.get(name.as_str());
            match source.map(|source| self.tensor(&name, source, &target.size())).transpose() {
                Ok(Some(values)) => no_grad(|| target.copy_(&values)),
                Ok(None) | Err(StateError::Shape { .. }) => {
                    others.push(name);
                    continue;
                }
                Err(error) => return Err(error),
            };
        }
        Ok(others)
    }

    /// The file's weights by their names in a model that is not compiled.
    fn model_tensors(&self) -> Result<BTreeMap<&str, &TensorRef>, StateError> {
        let entry = || StateError::Entry { file: self.path.clone(), key: "model".to_owned() };
        let Some(Object::Dict(pairs)) = self.archive.root.get("model") else { return Err(entry()) };
        let mut tensors = BTreeMap::new();
        for (name, value) in pairs {
            let (Some(name), Object::Tensor(tensor)) = (name.as_str(), value) else { return Err(entry()) };
            tensors.insert(name.strip_prefix(COMPILED_PREFIX).unwrap_or(name), tensor);
        }
        Ok(tensors)
    }

    /// Copies the optimizer's memory; parameters are matched by position, as PyTorch does.
    pub fn load_optimizer(&self, optimizer: &mut AdamW) -> Result<(), StateError> {
        let entry = |key: String| StateError::Entry { file: self.path.clone(), key };
        let saved = self.archive.root.get("optimizer");
        let state = saved.and_then(|o| o.get("state"));
        let Some(Object::Dict(pairs)) = state else { return Err(entry("optimizer.state".to_owned())) };
        // A run that takes no further step writes it again.
        if let Some(Object::List(groups)) = saved.and_then(|o| o.get("param_groups")) {
            optimizer.lr = groups.first().and_then(|group| group.get("lr")?.as_f64()).unwrap_or(optimizer.lr);
        }
        let moments = optimizer.moments();
        self.load_gradients(optimizer)?;
        if pairs.is_empty() {
            return Ok(()); // no step was taken
        }
        if pairs.len() != moments.len() {
            return Err(entry(format!("optimizer.state of {} parameters", moments.len())));
        }
        for (i, moments) in moments.into_iter().enumerate() {
            let of = pairs.iter().find(|(k, _)| k.as_i64() == Some(i as i64)).map(|(_, v)| v);
            let field = |name: &str| match of.and_then(|o| o.get(name)) {
                Some(Object::Tensor(tensor)) => Ok(tensor),
                _ => Err(entry(format!("optimizer.state.{i}.{name}"))),
            };
            let shape = moments.exp_avg.size();
            let named = |kind: &str| format!("optimizer {kind} of {}", moments.name);
            for (kind, mut target) in [("exp_avg", moments.exp_avg), ("exp_avg_sq", moments.exp_avg_sq)] {
                let values = self.tensor(&named(kind), field(kind)?, &shape)?;
                no_grad(|| target.copy_(&values));
            }
            optimizer.step = self.tensor(&named("step"), field("step")?, &[])?.double_value(&[]) as i64;
        }
        Ok(())
    }

    fn load_gradients(&self, optimizer: &mut AdamW) -> Result<(), StateError> {
        let held = self.archive.root.get(OUR_KEY).and_then(|ours| ours.get(GRADIENTS));
        let Some(Object::List(held)) = held else { return Ok(()) };
        let grads = held.iter().zip(optimizer.group_sizes()).map(|(grad, size)| match grad {
            Object::Tensor(tensor) => self.tensor("accumulated gradients", tensor, &[size]),
            _ => Err(StateError::Entry { file: self.path.clone(), key: format!("{OUR_KEY}.{GRADIENTS}") }),
        });
        let grads = grads.collect::<Result<Vec<_>, _>>()?;
        optimizer.hold(grads);
        Ok(())
    }

    /// Puts persistent chains back, where the file has some; of another shape than this run's they are an error.
    pub fn load_chains(
        &self,
        contrastive: &mut Contrastive,
        config: &Config,
        device: Device,
    ) -> Result<(), StateError> {
        let Some(chains) = self.archive.root.get(OUR_KEY).and_then(|ours| ours.get(CHAINS)) else { return Ok(()) };
        let (run, file) = (&config.model, &self.model);
        let (n, key, found) = match run.contrastive_type {
            ContrastiveType::Cd => return Ok(()),
            ContrastiveType::Pcd => (run.n_persistent, "n_persistent", file.n_persistent),
            ContrastiveType::FastPcd => (run.n_chains, "n_chains", file.n_chains),
        };
        // Chains of another kind mean something else: logits are no displacements, particles no parallel chains.
        let settings = [
            ("contrastive_type", run.contrastive_type.to_string(), file.contrastive_type.to_string()),
            ("contrastive_energy", run.contrastive_energy.to_string(), file.contrastive_energy.to_string()),
            (key, n.to_string(), found.to_string()),
        ];
        if let (Some(_), Some((key, expected, found))) =
            (chains.get("particles"), settings.into_iter().find(|(_, run, file)| run != file))
        {
            return Err(StateError::OtherShape { file: self.path.clone(), key, expected, found });
        }
        let positions = Addition::of(&config.data).map_or(config.data.block_size, Addition::answer_len);
        let shape = [n, positions, config.model.vocab_size];
        for (name, target) in [("particles", &mut contrastive.chains), ("velocity", &mut contrastive.velocity)] {
            if let Some(Object::Tensor(tensor)) = chains.get(name) {
                *target = Some(self.tensor(&format!("chains {name}"), tensor, &shape)?.to_device(device));
            }
        }
        Ok(())
    }

    /// A tensor of the file as fp32 on the CPU, of the given shape.
    fn tensor(&self, name: &str, source: &TensorRef, expected: &[i64]) -> Result<Tensor, StateError> {
        let (file, name) = (self.path.clone(), name.to_owned());
        let found: Vec<i64> = source.shape.iter().map(|&n| n as i64).collect();
        if found != expected {
            return Err(StateError::Shape { file, name, expected: expected.to_vec(), found });
        }
        match self.archive.dtype(source) {
            DType::F32 | DType::F64 | DType::F16 | DType::BF16 => Ok(self.archive.tensor(source)?.to_kind(Kind::Float)),
            found => Err(StateError::DType { file, name, found }),
        }
    }
}

/// The model's tensors under the checkpoint's names, in `state_dict()` order.
pub fn state_dict(ebm: &Ebm) -> Vec<(String, Tensor)> {
    let mut named = vec![("alpha".to_owned(), ebm.alpha.shallow_clone())];
    for param in ebm.params().iter().filter(|p| p.name != "alpha") {
        if param.name == ENERGY_HEAD {
            named.push((LM_HEAD.to_owned(), ebm.transformer.wte.shallow_clone()));
        }
        named.push((param.name.clone(), param.tensor.shallow_clone()));
    }
    named
}

/// The original's `config["model"]` on top of the original's behaviour.
fn original_model(config: &Object) -> Result<ModelConfig, String> {
    let Some(Object::Dict(pairs)) = config.get("model") else { return Err("it has no model section".to_owned()) };
    let mut model = ModelConfig::upstream();
    for (key, value) in pairs {
        let key = key.as_str().ok_or("a key is not text")?;
        let value = serde_yaml::to_value(to_json(value)).map_err(|e| e.to_string())?;
        model.set(key, &value).map_err(|e| e.to_string())?;
    }
    Ok(model)
}

/// The part of an object that JSON has words for; tensors become null.
fn to_json(object: &Object) -> serde_json::Value {
    use serde_json::Value;
    match object {
        Object::None | Object::Tensor(_) => Value::Null,
        Object::Bool(b) => Value::Bool(*b),
        Object::Int(i) => Value::from(*i),
        Object::Float(f) => Value::from(*f),
        Object::Str(s) => Value::from(s.as_str()),
        Object::List(items) | Object::Tuple(items) => Value::Array(items.iter().map(to_json).collect()),
        Object::Dict(pairs) => {
            Value::Object(pairs.iter().filter_map(|(k, v)| Some((k.as_str()?.to_owned(), to_json(v)))).collect())
        }
    }
}
