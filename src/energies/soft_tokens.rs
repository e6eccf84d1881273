//! Soft tokens: the prediction is re-embedded as `p · wte`, and the transformer reads it in place of the text (the original's
//! `use_soft_tokens`).

use tch::Tensor;

use crate::ebm::Ebm;
use crate::transformer::Pass;

/// Energies (B, T, V) after reading the prediction x (B, T, V).
pub fn energies(ebm: &Ebm, x: &Tensor, pass: Pass) -> Tensor {
    let p = (x / ebm.config.softmax_temperature).softmax(-1, None);
    let soft = p.matmul(&ebm.transformer.wte); // (B, T, V) @ (V, C) → (B, T, C)
    ebm.energies(&ebm.transformer.forward_embeddings(&soft, pass), pass)
}
