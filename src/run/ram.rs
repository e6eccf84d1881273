//! Whether a model fits into the machine's memory, by arithmetic on its configuration, before any of it is made.

use sysinfo::System;
use tch::Device;

use crate::config::{Config, Dtype, ModelConfig};
use crate::ebm::Ebm;
use crate::energy;
use crate::error::Error;
use crate::model::KEPT_OF_BLOCK;
use crate::processes::Processes;

/// Bytes of a number.
const F32: u128 = 4;
/// What the heads keep, in vocabularies V of each token.
const KEPT_OF_HEAD: u128 = 3;

/// An error where training takes more memory than there is: weights, gradients and AdamW's two moments, and what is kept for the
/// backward pass, by all processes of this host. Only the CPU's memory is looked at.
pub fn check_training(config: &Config, device: Device, processes: &Processes) -> Result<(), Error> {
    let (model, data) = (&config.model, &config.data);
    let [tokens, l, c, v] =
        [data.batch_size * data.block_size, model.n_layer, model.n_embd, model.vocab_size].map(size);
    let kept = match (config.train.remat, config.train.dtype) {
        (true, _) => F32,
        (false, Dtype::Float32) => KEPT_OF_BLOCK * F32,
        (false, Dtype::Bfloat16) => KEPT_OF_BLOCK * F32 / 2,
    };
    // and of each step of thinking
    let steps = size(model.refine_steps + model.random_steps);
    let thinking = energy::kept_per_step(model);
    let activations = tokens * (l * c * kept + v * KEPT_OF_HEAD * F32 + steps * thinking * F32);
    let (here, all) = (processes.local().1 as u128, processes.size() as u128);
    let needed = here * 4 * F32 * Ebm::parameters(model) + activations * here / all;
    check("train", Ebm::parameters(model), needed, device)
}

/// An error where the weights alone take more memory than there is.
pub fn check_weights(model: &ModelConfig, device: Device) -> Result<(), Error> {
    check("read", Ebm::parameters(model), F32 * Ebm::parameters(model), device)
}

fn check(action: &'static str, parameters: u128, needed: u128, device: Device) -> Result<(), Error> {
    match available() {
        Some(available) if device == Device::Cpu && needed > available => {
            let parameters = parameters.to_string();
            Err(Error::TooLarge { action, parameters, needed: gigabytes(needed), available: gigabytes(available) })
        }
        _ => Ok(()),
    }
}

/// Bytes that a process may yet take, swap included, and no more than its control group has; nothing where the system does not say.
fn available() -> Option<u128> {
    let mut system = System::new();
    system.refresh_memory();
    let free = u128::from(system.available_memory()) + u128::from(system.free_swap());
    let group = system
        .cgroup_limits()
        .map_or(u128::MAX, |limits| u128::from(limits.total_memory) + u128::from(limits.free_swap));
    (free > 0).then(|| free.min(group))
}

fn gigabytes(bytes: u128) -> f64 {
    bytes as f64 / 1e9
}

/// Sizes are checked to be 1 or more.
fn size(n: i64) -> u128 {
    u128::from(n.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_configuration_has_a_size() {
        let mut config = Config::default();
        let most = i64::from(i32::MAX);
        (config.model.n_layer, config.model.n_embd, config.data.batch_size) = (most, most, most);
        let error = check_training(&config, Device::Cpu, &Processes::alone()).unwrap_err().to_string();
        assert!(error.contains("GB"), "{error}");
        assert!(check_training(&Config::default(), Device::Cuda(0), &Processes::alone()).is_ok());
    }
}
