//! Reading a checkpoint: what it says of itself, its weights into a model, its optimizer's memory and its chains.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tch::{Device, Kind, Tensor, no_grad};
use torch_pt::{Archive, DType, Object, TensorRef};

use crate::checkpoint::error::{CheckpointError, CheckpointFault};
use crate::checkpoint::find::resolved;
use crate::checkpoint::names::{CHAINS, ENERGY_HEAD, Extra, GRADIENTS, LM_HEAD, OUR_KEY, WTE, plain_name, state_dict};
use crate::config::{Config, ContrastiveType, ModelConfig};
use crate::contrastive::Contrastive;
use crate::data::Vocab;
use crate::data::addition::Addition;
use crate::ebm::Ebm;
use crate::energy;
use crate::nn::optim::AdamW;

/// A checkpoint that was read; its tensors are still as they were in the file.
#[derive(Debug)]
pub struct Checkpoint {
    /// Where it came from; of `out_dir/final.pt`, the run's own file that it leads to
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
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        let path = &resolved(path);
        Self::understand(path, Archive::read(path)?)
    }

    /// [`Checkpoint::read`] for predicting: the optimizer, two thirds of a file, stays where it is.
    pub fn read_model(path: &Path) -> Result<Self, CheckpointError> {
        let path = &resolved(path);
        Self::understand(path, Archive::read_without(path, Some("optimizer"))?)
    }

    /// An archive as a checkpoint; `path` stands for its file in messages.
    pub fn understand(path: &Path, archive: Archive) -> Result<Self, CheckpointError> {
        let entry = |key: &str| CheckpointFault::Entry { key: key.to_owned() }.of(path);
        let root = &archive.root;
        let step = root.get("step").and_then(Object::as_i64).filter(|&step| step >= 0).ok_or_else(|| entry("step"))?;
        let config = root.get("config").ok_or_else(|| entry("config"))?;
        let bad_config = |reason: String| CheckpointFault::Config { reason }.of(path);
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
            let (expected, found) = (expected.to_string(), found.to_string());
            return Err(CheckpointFault::Parameters { expected, found }.of(path));
        }
        let data_path = config.get("data").and_then(|d| d.get("data_path")).and_then(Object::as_str).map(PathBuf::from);
        Ok(Self { path: path.to_owned(), step, model, data_path, ours, archive })
    }

    /// The vocabulary, where the file carries it.
    pub fn vocab(&self) -> Option<Vocab> {
        self.ours.as_ref().map(|extra| Vocab::new(extra.vocab.chars()))
    }

    /// An error unless the model of this run has the shapes of the file's.
    pub fn check_shapes(&self, run: &ModelConfig) -> Result<(), CheckpointError> {
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
                Err(CheckpointFault::OtherShape { key, expected, found }.of(&self.path))
            }
        }
    }

    /// Copies the weights into a model; every tensor must be there, fit, and belong.
    pub fn load_model(&self, ebm: &Ebm) -> Result<(), CheckpointError> {
        let mut tensors = self.model_tensors()?;
        let wanted = state_dict(ebm);
        if let Some(prefix) = foreign_prefix(&tensors, &wanted) {
            return Err(CheckpointFault::Prefix { prefix }.of(&self.path));
        }
        let missing = |name: &str| CheckpointFault::Missing { name: name.to_owned() }.of(&self.path);
        for (name, mut target) in wanted {
            let source = tensors.remove(name.as_str()).ok_or_else(|| missing(&name))?;
            let values = self.finite(&name, source, &target.size())?;
            // lm_head comes after wte, which is the same tensor: by then the two must agree.
            if name == LM_HEAD && values != target.to_device(Device::Cpu) {
                return Err(CheckpointFault::Untied.of(&self.path));
            }
            no_grad(|| target.copy_(&values));
        }
        match tensors.into_keys().next() {
            Some(name) => Err(CheckpointFault::Unexpected { name: name.to_owned() }.of(&self.path)),
            None => Ok(()),
        }
    }

    /// Copies the weights that have the same name and shape in a model, and those of the characters only where the model's are
    /// the `same_characters`. The names of the model's others, which stay as they are.
    pub fn load_what_fits(&self, ebm: &Ebm, same_characters: bool) -> Result<Vec<String>, CheckpointError> {
        let mut tensors = self.model_tensors()?;
        // What thinking adds has rows for characters as well, and another energy's step size means something else.
        let of_characters = |name: &str| [WTE, ENERGY_HEAD].contains(&name) || name.starts_with("thinking.");
        let same_energy = self.model.energy == ebm.config.energy;
        tensors.retain(|name, _| (same_characters || !of_characters(name)) && (same_energy || *name != "alpha"));
        let mut others = Vec::new();
        for (name, mut target) in state_dict(ebm).into_iter().filter(|(name, _)| name != LM_HEAD) {
            let source = tensors.get(name.as_str());
            match source.map(|source| self.finite(&name, source, &target.size())).transpose() {
                Ok(Some(values)) => no_grad(|| target.copy_(&values)),
                Ok(None) | Err(CheckpointError { fault: CheckpointFault::Shape { .. }, .. }) => {
                    others.push(name);
                    continue;
                }
                Err(error) => return Err(error),
            };
        }
        Ok(others)
    }

    /// The file's weights by their names in a model that is neither compiled nor wrapped.
    fn model_tensors(&self) -> Result<BTreeMap<&str, &TensorRef>, CheckpointError> {
        let entry = || CheckpointFault::Entry { key: "model".to_owned() }.of(&self.path);
        let Some(Object::Dict(pairs)) = self.archive.root.get("model") else { return Err(entry()) };
        let mut tensors = BTreeMap::new();
        for (name, value) in pairs {
            let (Some(name), Object::Tensor(tensor)) = (name.as_str(), value) else { return Err(entry()) };
            tensors.insert(plain_name(name), tensor);
        }
        Ok(tensors)
    }

    /// Copies the optimizer's memory; parameters are matched by position, as PyTorch does.
    pub fn load_optimizer(&self, optimizer: &mut AdamW) -> Result<(), CheckpointError> {
        let entry = |key: String| CheckpointFault::Entry { key }.of(&self.path);
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
                let values = self.finite(&named(kind), field(kind)?, &shape)?;
                if kind == "exp_avg_sq" && values.lt(0.0).any().int64_value(&[]) != 0 {
                    return Err(CheckpointFault::Negative { name: named(kind) }.of(&self.path));
                }
                no_grad(|| target.copy_(&values));
            }
            let step = self.finite(&named("step"), field("step")?, &[])?.double_value(&[]);
            if step < 0.0 {
                return Err(CheckpointFault::Negative { name: named("step") }.of(&self.path));
            }
            optimizer.step = step as i64;
        }
        Ok(())
    }

    fn load_gradients(&self, optimizer: &mut AdamW) -> Result<(), CheckpointError> {
        let held = self.archive.root.get(OUR_KEY).and_then(|ours| ours.get(GRADIENTS));
        let Some(Object::List(held)) = held else { return Ok(()) };
        let grads = held.iter().zip(optimizer.group_sizes()).map(|(grad, size)| match grad {
            Object::Tensor(tensor) => self.finite("accumulated gradients", tensor, &[size]),
            _ => Err(CheckpointFault::Entry { key: format!("{OUR_KEY}.{GRADIENTS}") }.of(&self.path)),
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
    ) -> Result<(), CheckpointError> {
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
            return Err(CheckpointFault::OtherShape { key, expected, found }.of(&self.path));
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

    /// [`Checkpoint::tensor`], where NaN or infinity is an error.
    fn finite(&self, name: &str, source: &TensorRef, expected: &[i64]) -> Result<Tensor, CheckpointError> {
        let values = self.tensor(name, source, expected)?;
        // In doubles, a sum of floats is infinite or NaN only where one of them is.
        match values.sum(Kind::Double).double_value(&[]).is_finite() {
            true => Ok(values),
            false => Err(CheckpointFault::NonFinite { name: name.to_owned() }.of(&self.path)),
        }
    }

    /// A tensor of the file as fp32 on the CPU, of the given shape.
    fn tensor(&self, name: &str, source: &TensorRef, expected: &[i64]) -> Result<Tensor, CheckpointError> {
        let name = name.to_owned();
        let found: Vec<i64> = source.shape.iter().map(|&n| n as i64).collect();
        if found != expected {
            return Err(CheckpointFault::Shape { name, expected: expected.to_vec(), found }.of(&self.path));
        }
        match self.archive.dtype(source) {
            DType::F32 | DType::F64 | DType::F16 | DType::BF16 => Ok(self.archive.tensor(source)?.to_kind(Kind::Float)),
            found => Err(CheckpointFault::DType { name, found }.of(&self.path)),
        }
    }
}

/// What stands before every name of a file whose names are otherwise those that are wanted.
fn foreign_prefix(tensors: &BTreeMap<&str, &TensorRef>, wanted: &[(String, Tensor)]) -> Option<String> {
    let (first, _) = wanted.first()?;
    let prefix = tensors.keys().find_map(|name| name.strip_suffix(first)).filter(|prefix| !prefix.is_empty())?;
    tensors.keys().all(|name| name.starts_with(prefix)).then(|| prefix.to_owned())
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
