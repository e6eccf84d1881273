//! The names in a checkpoint: those of the original's `state_dict()`, and those of what is ours. No other place knows them.
//!
//! `{"model": state_dict, "optimizer": AdamW state_dict, "step": int, "config": {…}}`, and one key of our own, `nanoebm`, with
//! everything that the original has no place for ([`Extra`]). A file without it was written by the original.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::checkpoint::provenance::Provenance;
use crate::config::Config;
use crate::data::batches::Position;
use crate::ebm::Ebm;

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
pub(super) const ENERGY_HEAD: &str = "energy_head.weight";
/// What PyTorch's wrappers put before every name: `torch.compile`, and those that train on several devices.
const WRAPPERS: [&str; 2] = ["_orig_mod.", "module."];

/// The name of a tensor in a model that no wrapper is around.
pub(super) fn plain_name(name: &str) -> &str {
    WRAPPERS.iter().find_map(|wrapper| name.strip_prefix(wrapper)).map_or(name, plain_name)
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
    /// Steps so far that held NaN or infinity
    #[serde(default)]
    pub nonfinite: i64,
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
