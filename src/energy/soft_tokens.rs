//! Soft tokens: the prediction is re-embedded as `p · wte`, and the transformer reads it in place of the text (the original's
//! `use_soft_tokens`).

use tch::Tensor;

use crate::ebm::Ebm;
use crate::model::Pass;

/// Energies (B, T, V) after reading the prediction x (B, T, V). With `mixture_stopgrad` the embeddings are constants, for wte too.
pub fn energies(ebm: &Ebm, x: &Tensor, pass: Pass) -> Tensor {
    let p = (x / ebm.config.softmax_temperature).softmax(-1, None);
    let soft = p.matmul(&ebm.transformer.wte); // (B, T, V) @ (V, C) → (B, T, C)
    let soft = if ebm.config.mixture_stopgrad { soft.detach() } else { soft };
    ebm.energies(&ebm.transformer.forward_embeddings(&soft, pass), pass)
}
