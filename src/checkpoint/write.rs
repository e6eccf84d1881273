//! Writing a checkpoint that PyTorch and the original's classes take.

use std::path::Path;

use serde_json::Value;
use tch::{Kind, Tensor};
use torch_pt::{Archive, DType, Object, Storage, TensorRef};

use crate::checkpoint::error::{CheckpointError, CheckpointFault};
use crate::checkpoint::names::{CHAINS, Extra, GRADIENTS, LM_HEAD, OUR_KEY, WTE, state_dict};
use crate::config::{Config, ModelConfig};
use crate::contrastive::Contrastive;
use crate::ebm::Ebm;
use crate::nn::optim::{AdamW, GroupSettings};

/// Writes a checkpoint that `torch.load(path, weights_only=True)` and the original's classes accept.
pub fn save(
    path: &Path,
    ebm: &Ebm,
    optimizer: &AdamW,
    contrastive: Option<&Contrastive>,
    step: i64,
    extra: &Extra,
) -> Result<(), CheckpointError> {
    let mut writer = Writer::default();
    let model = writer.model(ebm);
    let gradients: Vec<&Tensor> = optimizer.held().collect();
    let optimizer = writer.optimizer(optimizer);
    let ours = serde_json::to_value(extra).map_err(|e| CheckpointFault::Config { reason: e.to_string() }.of(path))?;
    let mut our_entry = from_json(&ours);
    if let Object::Dict(pairs) = &mut our_entry {
        let held = gradients.iter().map(|grad| Object::Tensor(writer.tensor(grad))).collect();
        pairs.push((GRADIENTS.into(), Object::List(held)));
        pairs.push((CHAINS.into(), writer.chains(contrastive)));
    }
    let root = dict([
        ("model", model),
        ("optimizer", optimizer),
        ("step", Object::Int(step)),
        ("config", original_config(&extra.config, &ours["config"])),
        (OUR_KEY, our_entry),
    ]);
    Ok(Archive { root, storages: writer.storages }.write(path)?)
}

#[derive(Default)]
struct Writer {
    storages: Vec<Storage>,
}

impl Writer {
    fn tensor(&mut self, tensor: &Tensor) -> TensorRef {
        let tensor = tensor.detach().to_device(tch::Device::Cpu).to_kind(Kind::Float).contiguous();
        let mut bytes = vec![0u8; tensor.numel() * 4];
        tensor.copy_data_u8(&mut bytes, tensor.numel());
        self.storages.push(Storage { dtype: DType::F32, bytes });
        let size = |v: Vec<i64>| v.into_iter().map(|n| n as usize).collect();
        TensorRef {
            storage: self.storages.len() - 1,
            offset: 0,
            shape: size(tensor.size()),
            stride: size(tensor.stride()),
        }
    }

    fn model(&mut self, ebm: &Ebm) -> Object {
        let mut wte = None;
        let mut pairs = Vec::new();
        for (name, tensor) in state_dict(ebm) {
            // Tied: one storage, as in PyTorch.
            let written = match &wte {
                Some(wte) if name == LM_HEAD => TensorRef::clone(wte),
                _ => self.tensor(&tensor),
            };
            if name == WTE {
                wte = Some(written.clone());
            }
            pairs.push((Object::Str(name), Object::Tensor(written)));
        }
        Object::Dict(pairs)
    }

    /// Persistent chains and their velocity, where there are any.
    fn chains(&mut self, contrastive: Option<&Contrastive>) -> Object {
        let named = contrastive.map(|c| [("particles", &c.chains), ("velocity", &c.velocity)]);
        let there = named.into_iter().flatten().filter_map(|(name, tensor)| Some((name, tensor.as_ref()?)));
        Object::Dict(there.map(|(name, tensor)| (name.into(), Object::Tensor(self.tensor(tensor)))).collect())
    }

    fn optimizer(&mut self, optimizer: &AdamW) -> Object {
        let mut state = Vec::new();
        if optimizer.step > 0 {
            for (i, moments) in optimizer.moments().into_iter().enumerate() {
                let step = Tensor::from(optimizer.step as f32);
                let entry = dict([
                    ("step", Object::Tensor(self.tensor(&step))),
                    ("exp_avg", Object::Tensor(self.tensor(&moments.exp_avg))),
                    ("exp_avg_sq", Object::Tensor(self.tensor(&moments.exp_avg_sq))),
                ]);
                state.push((Object::Int(i as i64), entry));
            }
        }
        let mut first = 0;
        let groups = optimizer.group_settings().iter().map(|g| param_group(g, &mut first)).collect();
        dict([("state", Object::Dict(state)), ("param_groups", Object::List(groups))])
    }
}

/// What `torch.optim.AdamW` (2.11) writes of a group.
fn param_group(g: &GroupSettings, first: &mut i64) -> Object {
    let params = (*first..*first + g.len as i64).map(Object::Int).collect();
    *first += g.len as i64;
    dict([
        ("lr", Object::Float(g.lr)),
        ("betas", Object::Tuple(vec![Object::Float(g.betas.0), Object::Float(g.betas.1)])),
        ("weight_decay", Object::Float(g.weight_decay)),
        ("eps", Object::Float(g.eps)),
        ("amsgrad", Object::Bool(false)),
        ("maximize", Object::Bool(false)),
        ("foreach", Object::None),
        ("capturable", Object::Bool(false)),
        ("differentiable", Object::Bool(false)),
        ("fused", Object::None),
        ("decoupled_weight_decay", Object::Bool(true)),
        ("params", Object::List(params)),
    ])
}

/// The configuration with exactly the original's keys: its classes refuse others.
fn original_config(config: &Config, json: &Value) -> Object {
    let model = ModelConfig::ORIGINAL_KEYS.map(|key| (key, from_json(&json["model"][key])));
    dict([
        ("model", dict(model)),
        ("data", from_json(&json["data"])),
        ("train", from_json(&json["train"])),
        ("out_dir", from_json(&json["out_dir"])),
        ("wandb_project", from_json(&json["wandb_project"])),
        ("wandb_name", from_json(&json["wandb_name"])),
        ("save_interval", Object::Int(config.save_interval)),
        ("load_checkpoint", from_json(&json["load_checkpoint"])),
    ])
}

fn dict<const N: usize>(pairs: [(&str, Object); N]) -> Object {
    Object::Dict(pairs.into_iter().map(|(key, value)| (Object::Str(key.to_owned()), value)).collect())
}

fn from_json(value: &Value) -> Object {
    match value {
        Value::Null => Object::None,
        Value::Bool(b) => Object::Bool(*b),
        Value::Number(n) => n.as_i64().map_or_else(|| Object::Float(n.as_f64().unwrap_or(f64::NAN)), Object::Int),
        Value::String(s) => Object::Str(s.clone()),
        Value::Array(items) => Object::List(items.iter().map(from_json).collect()),
        Value::Object(map) => Object::Dict(map.iter().map(|(k, v)| (Object::Str(k.clone()), from_json(v))).collect()),
    }
}
