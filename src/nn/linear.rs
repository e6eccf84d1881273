//! A linear layer, named in the checkpoint as PyTorch names it.

use tch::{Kind, Tensor};

use crate::nn::params::Params;

/// Standard deviation of every Linear and Embedding weight at initialisation (GPT-2).
pub const INIT_STD: f64 = 0.02;

/// `y = x Wᵀ + b`, with `weight` (out, in).
#[derive(Debug)]
pub struct Linear {
    /// (out, in)
    pub weight: Tensor,
    /// (out)
    pub bias: Option<Tensor>,
}

impl Linear {
    /// Weights N(0, `std`), bias zero.
    pub fn new(p: &mut Params, path: &str, (n_in, n_out): (i64, i64), bias: bool, std: f64) -> Self {
        Self {
            weight: p.normal(&format!("{path}.weight"), &[n_out, n_in], std),
            bias: bias.then(|| p.constant(&format!("{path}.bias"), &[n_out], 0.0)),
        }
    }

    /// (…, in) → (…, out), computed in `compute`.
    pub fn forward(&self, x: &Tensor, compute: Kind) -> Tensor {
        let bias = self.bias.as_ref().map(|b| b.to_kind(compute));
        x.to_kind(compute).linear(&self.weight.to_kind(compute), bias)
    }

    /// The same for `n` of its outputs, from `start` on: (…, in) → (…, n).
    pub fn forward_part(&self, x: &Tensor, (start, n): (i64, i64), compute: Kind) -> Tensor {
        let part = |z: &Tensor| z.narrow(0, start, n);
        Self { weight: part(&self.weight), bias: self.bias.as_ref().map(part) }.forward(x, compute)
    }
}
