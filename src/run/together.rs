//! A training of several processes: what must be alike before they begin, and how all get the state that rank 0 has.

use std::path::{Path, PathBuf};

use ring::digest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use crate::config::Config;
use crate::data::batches::Position;
use crate::data::{Corpus, Vocab};
use crate::error::Error;
use crate::processes::Processes;
use crate::run::resume::Start;
use crate::run::state::State;

/// What each process may have of its own: where its files are, and its device.
const OWN: [&str; 4] = ["/data/data_path", "/data/num_workers", "/train/device", "/load_checkpoint"];

/// The characters of the checkpoint that rank 0 has read, if it has.
pub fn vocab(processes: &Processes, own: Option<Vocab>) -> Result<Option<Vocab>, Error> {
    let own = own.map(|vocab| vocab.chars().iter().collect::<String>());
    let first = processes.from_first(own.unwrap_or_default().into_bytes())?;
    let chars = String::from_utf8_lossy(&first);
    Ok((!chars.is_empty()).then(|| Vocab::new(chars.chars())))
}

/// An error unless all processes have the same settings, text and version, and an even share of each batch.
pub fn check(processes: &Processes, config: &Config, corpus: &Corpus) -> Result<(), Error> {
    let mut settings = serde_json::to_value(config).unwrap_or_default();
    for path in OWN {
        settings.pointer_mut(path).map(Value::take);
    }
    let mut alike = json!({"version": env!("CARGO_PKG_VERSION"), "the SHA-256 of its text": corpus.sha256});
    if let (Value::Object(alike), Value::Object(settings)) = (&mut alike, settings) {
        alike.extend(settings);
    }
    processes.agree(&alike)?;
    let (batch, n) = (config.data.batch_size, processes.size() as i64);
    if batch % n != 0 {
        return Err(Error::Request(format!(
            "data.batch_size={batch} is that of all processes together, and cannot be shared evenly by {n}; take a multiple of {n}"
        )));
    }
    Ok(())
}

/// The run's directory, which rank 0 has.
pub fn directory(processes: &Processes, own: Option<&Path>) -> Result<PathBuf, Error> {
    let mut bytes = own.map(|path| path.as_os_str().as_encoded_bytes().to_vec()).unwrap_or_default();
    if let Some(path) = own {
        processes.note_run(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy())?;
    }
    processes.broadcast_bytes(&mut bytes, 0);
    processes.check()?;
    Ok(PathBuf::from(String::from_utf8_lossy(&bytes).into_owned()))
}

/// For rank 0, the directory of the run that these processes go on with, where `torchrun` has started them in place of others.
pub fn restarted(processes: &Processes) -> Option<PathBuf> {
    let dir = processes.noted_run().filter(|_| processes.is_first());
    dir.map(PathBuf::from).filter(|dir| dir.is_dir())
}

/// An error unless all processes have the same weights, bit for bit: they are one model, and a checkpoint is that of all.
pub fn check_weights(state: &State) -> Result<(), Error> {
    let processes = state.processes();
    if processes.size() == 1 {
        return Ok(());
    }
    let mut sha256 = digest::Context::new(&digest::SHA256);
    for tensor in state.optimizer.tensors() {
        let mut bytes = vec![0u8; 4 * tensor.numel()];
        tensor.to_device(Device::Cpu).copy_data_u8(&mut bytes, tensor.numel());
        sha256.update(&bytes);
    }
    let digest = sha256.finish();
    let first = digest.as_ref().iter().take(7).fold(0, |number, byte| number << 8 | i64::from(*byte));
    if processes.is_alike(first)? {
        return Ok(());
    }
    let step = state.step;
    Err(Error::Request(format!(
        "the processes no longer have the same weights after {step} steps: is one of their machines broken? Go on from the checkpoint before"
    )))
}

/// Who trains, in lines for people.
pub fn announce(state: &State) -> Vec<String> {
    let (processes, threads) = (state.processes(), tch::get_num_threads());
    if processes.size() == 1 {
        return Vec::new();
    }
    let mut hosts = processes.hosts().to_vec();
    hosts.dedup();
    let (n, own, hosts) = (processes.size(), state.config.data.batch_size / processes.size() as i64, hosts.join(", "));
    let mut lines =
        vec![format!("Processes: {n} on {hosts} | each takes {own} of the {} windows of a batch", own * n as i64)];
    let cores = std::thread::available_parallelism().map_or(1, usize::from) / processes.local().1;
    if state.ebm.device() == Device::Cpu && (threads as usize) < cores {
        lines.push(format!(
            "Each process computes on {threads} of its {cores} cores: OMP_NUM_THREADS={cores} gives it all of them"
        ));
    }
    lines
}

/// What rank 0 tells the others beside its tensors.
#[derive(Serialize, Deserialize)]
struct Standing {
    step: i64,
    position: Position,
    best_val_nll: Option<f64>,
    nonfinite: i64,
    optimizer_step: i64,
    lr: f64,
    /// Whether there are gradients of an accumulation that is not complete
    held: bool,
    /// The shapes of the chains and of their velocity
    chains: [Option<Vec<i64>>; 2],
    checkpoint: Option<PathBuf>,
    apart: bool,
}

/// Puts rank 0's state into that of all others.
pub fn share(state: &mut State, start: &mut Start) -> Result<(), Error> {
    let processes = state.processes().clone();
    if processes.size() == 1 {
        return Ok(());
    }
    let mut bytes = serde_json::to_vec(&standing(state, start)).unwrap_or_default();
    processes.broadcast_bytes(&mut bytes, 0);
    processes.check()?;
    let first: Standing = serde_json::from_slice(&bytes)
        .map_err(|e| Error::Request(format!("rank 0 has sent what is not its state: {e}")))?;
    (state.step, state.position) = (first.step, first.position);
    (state.best_val_nll, state.nonfinite) = (first.best_val_nll, first.nonfinite);
    (state.optimizer.step, state.optimizer.lr) = (first.optimizer_step, first.lr);
    (start.checkpoint, start.apart) = (first.checkpoint, first.apart);

    state.optimizer.tensors().for_each(|tensor| processes.broadcast(tensor));
    processes.broadcast(&state.ebm.alpha.detach());
    if first.held {
        if !processes.is_first() {
            let zeros = |n| Tensor::zeros([n], (Kind::Float, state.ebm.device()));
            let zeros = state.optimizer.group_sizes().into_iter().map(zeros).collect();
            state.optimizer.hold(zeros);
        }
        state.optimizer.held().for_each(|grad| processes.broadcast(grad));
    }
    if let Some(contrastive) = &mut state.contrastive {
        let device = state.ebm.device();
        for (tensor, shape) in [&mut contrastive.chains, &mut contrastive.velocity].into_iter().zip(first.chains) {
            if !processes.is_first() {
                *tensor = shape.map(|shape| Tensor::zeros(shape, (Kind::Float, device)));
            }
            tensor.iter().for_each(|tensor| processes.broadcast(tensor));
        }
    }
    Ok(processes.check()?)
}

fn standing(state: &State, start: &Start) -> Standing {
    let shape = |tensor: &Option<Tensor>| tensor.as_ref().map(Tensor::size);
    let chains = state.contrastive.as_ref().map(|c| [shape(&c.chains), shape(&c.velocity)]);
    Standing {
        step: state.step,
        position: state.position,
        best_val_nll: state.best_val_nll,
        nonfinite: state.nonfinite,
        optimizer_step: state.optimizer.step,
        lr: state.optimizer.lr,
        held: state.optimizer.held().next().is_some(),
        chains: chains.unwrap_or_default(),
        checkpoint: start.checkpoint.clone(),
        apart: start.apart,
    }
}
