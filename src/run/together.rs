//! A training of several processes: what must be alike before they begin, and how all get the state that rank 0 has.

use std::path::{Path, PathBuf};

use ring::digest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use crate::config::Config;
use crate::contrastive::Contrastive;
use crate::data::{Corpus, Vocab};
use crate::ebm::Ebm;
use crate::error::Error;
use crate::nn::optim::AdamW;
use crate::processes::Processes;
use crate::run::resume::Start;

/// What each process may have of its own: where its files are, and its device.
const OWN: [&str; 4] = ["/data/data_path", "/data/num_workers", "/train/device", "/load_checkpoint"];

/// The characters of the checkpoint that rank 0 has read, if it has.
pub fn vocab(processes: &Processes, own: Option<Vocab>) -> Result<Option<Vocab>, Error> {
    let own = own.map(|vocab| vocab.chars().iter().collect::<String>());
    let first = processes.from_first(own.unwrap_or_default().into_bytes())?;
    let chars = String::from_utf8_lossy(&first);
    Ok((!chars.is_empty()).then(|| Vocab::new(chars.chars())))
}

/// Connects the processes of a training, which must have the same settings, and an even share of each batch.
pub fn begin_training(processes: &Processes, config: &Config, corpus: &Corpus, device: Device) -> Result<(), Error> {
    let mut settings = serde_json::to_value(config).unwrap_or_default();
    for path in OWN {
        settings.pointer_mut(path).map(Value::take);
    }
    begin(processes, corpus, device, settings)?;
    let (batch, n) = (config.data.batch_size, processes.size() as i64);
    if batch % n != 0 {
        return Err(Error::Request(format!(
            "data.batch_size={batch} is that of all processes together, and cannot be shared evenly by {n}; take a multiple of {n}"
        )));
    }
    Ok(())
}

/// Connects processes that have the same version, text and kind of device, and also have `more` alike.
pub fn begin(processes: &Processes, corpus: &Corpus, device: Device, more: Value) -> Result<(), Error> {
    // GPUs send by another way than CPUs.
    let kind = if device.is_cuda() { "cuda" } else { "no cuda" };
    let mut alike =
        json!({"version": env!("CARGO_PKG_VERSION"), "the SHA-256 of its text": corpus.sha256, "its device": kind});
    if let (Value::Object(alike), Value::Object(more)) = (&mut alike, more) {
        alike.extend(more);
    }
    processes.agree(&alike)?;
    Ok(processes.join(device)?)
}

/// The run's directory, which rank 0 has.
pub fn directory(processes: &Processes, own: Option<&Path>) -> Result<PathBuf, Error> {
    let mut bytes = own.map(|path| path.as_os_str().as_encoded_bytes().to_vec()).unwrap_or_default();
    processes.broadcast_bytes(&mut bytes, 0);
    processes.check()?;
    Ok(PathBuf::from(String::from_utf8_lossy(&bytes).into_owned()))
}

/// For rank 0, the directory of the run that these processes go on with, and its newest checkpoint, where `torchrun` has started them
/// in place of others.
pub fn restarted(processes: &Processes) -> Result<(Option<PathBuf>, Option<PathBuf>), Error> {
    let noted = if processes.is_first() { processes.noted_run()? } else { None };
    Ok(match noted.filter(|path| path.exists()) {
        Some(checkpoint) if checkpoint.is_file() => (checkpoint.parent().map(Path::to_owned), Some(checkpoint)),
        directory => (directory, None),
    })
}

/// SHA-256 of the bytes of tensors in float32.
pub fn digest<'a>(tensors: impl Iterator<Item = &'a Tensor>) -> Vec<u8> {
    let mut sha256 = digest::Context::new(&digest::SHA256);
    for tensor in tensors {
        let mut bytes = vec![0u8; 4 * tensor.numel()];
        tensor.detach().to_device(Device::Cpu).contiguous().copy_data_u8(&mut bytes, tensor.numel());
        sha256.update(&bytes);
    }
    sha256.finish().as_ref().to_vec()
}

/// An error unless all processes have the same weights, moments and chains, bit for bit: they are one model, and a checkpoint is that
/// of all.
pub fn check_weights(processes: &Processes, optimizer: &AdamW, contrastive: Option<&Contrastive>) -> Result<(), Error> {
    if processes.size() == 1 {
        return Ok(());
    }
    let chains = contrastive.into_iter().flat_map(|c| c.chains.iter().chain(&c.velocity));
    let digest = digest(optimizer.tensors().chain(chains));
    let first = digest.iter().take(7).fold(0, |number, byte| number << 8 | i64::from(*byte));
    if processes.is_alike(first)? {
        return Ok(());
    }
    Err(Error::Request(
        "the processes no longer have the same weights: is one of their machines broken? Go on from the checkpoint before"
            .to_owned(),
    ))
}

/// Who trains, in lines for people.
pub fn announce(processes: &Processes, device: Device, batch_size: i64) -> Vec<String> {
    let threads = tch::get_num_threads();
    if processes.size() == 1 {
        return Vec::new();
    }
    let mut hosts = processes.hosts().to_vec();
    hosts.dedup();
    let (n, own, hosts) = (processes.size(), batch_size / processes.size() as i64, hosts.join(", "));
    let mut lines =
        vec![format!("Processes: {n} on {hosts} | each takes {own} of the {} windows of a batch", own * n as i64)];
    let cores = std::thread::available_parallelism().map_or(1, usize::from) / processes.local().1;
    if device == Device::Cpu && (threads as usize) < cores {
        lines.push(format!(
            "Each process computes on {threads} of its {cores} cores: OMP_NUM_THREADS={cores} gives it all of them"
        ));
    }
    lines
}

/// The shapes that the others make room for.
#[derive(Serialize, Deserialize)]
struct Shapes {
    optimizer_step: i64,
    lr: f64,
    /// Whether there are gradients of an accumulation that is not complete
    held: bool,
    /// Of the chains and of their velocity
    chains: [Option<Vec<i64>>; 2],
}

/// Gives all others the state that rank 0 has: tensors in place, and the rest in return.
pub fn share(
    own: Start,
    ebm: &Ebm,
    optimizer: &mut AdamW,
    contrastive: Option<&mut Contrastive>,
) -> Result<Start, Error> {
    let processes = &ebm.processes;
    if processes.size() == 1 {
        return Ok(own);
    }
    let shape = |tensor: &Option<Tensor>| tensor.as_ref().map(Tensor::size);
    let shapes = Shapes {
        optimizer_step: optimizer.step,
        lr: optimizer.lr,
        held: optimizer.held().next().is_some(),
        chains: contrastive.as_ref().map(|c| [shape(&c.chains), shape(&c.velocity)]).unwrap_or_default(),
    };
    let mut bytes = serde_json::to_vec(&(own, shapes)).unwrap_or_default();
    processes.broadcast_bytes(&mut bytes, 0);
    processes.check()?;
    let (first, shapes): (Start, Shapes) = serde_json::from_slice(&bytes)
        .map_err(|e| Error::Request(format!("rank 0 has sent what is not its state: {e}")))?;
    (optimizer.step, optimizer.lr) = (shapes.optimizer_step, shapes.lr);
    optimizer.tensors().for_each(|tensor| processes.broadcast(tensor));
    processes.broadcast(&ebm.alpha.detach());
    let zeros = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, ebm.device()));
    if shapes.held {
        if !processes.is_first() {
            let room = optimizer.group_sizes().into_iter().map(|n| zeros(&[n])).collect();
            optimizer.hold(room);
        }
        optimizer.held().for_each(|grad| processes.broadcast(grad));
    }
    let chains = contrastive.map(|c| [&mut c.chains, &mut c.velocity]);
    for (tensor, shape) in chains.into_iter().flatten().zip(shapes.chains) {
        if !processes.is_first() {
            *tensor = shape.map(|shape| zeros(&shape));
        }
        tensor.iter().for_each(|tensor| processes.broadcast(tensor));
    }
    processes.check()?;
    Ok(first)
}
