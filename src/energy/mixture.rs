//! The expected energy ⟨p, e′⟩ of energies that see the prediction: `e′ = e + tanh(s) · f([h; p·W])`.
//!
//! p·W is the mean row of the energy head under the prediction, h the hidden state, f a network of one hidden layer with an output for
//! each token, and s a scale that begins at 0, so that training begins with System 1's energies. With `mixture_stopgrad` the
//! energies count as constants in ∂/∂x, and the gradient is closed form; without it the gradient flows through p into f as well.

use tch::{Kind, Tensor};

use crate::config::ModelConfig;
use crate::model::{INIT_STD, Linear, Pass};
use crate::nn::params::Params;

/// The correction's parameters.
#[derive(Debug)]
pub struct Correction {
    /// (C, 2 C) and (C)
    c_fc: Linear,
    /// (V, C) and (V)
    c_proj: Linear,
    /// s, a scalar
    scale: Tensor,
}

impl Correction {
    /// Parameters named `path.…`.
    pub fn new(p: &mut Params, path: &str, config: &ModelConfig) -> Self {
        let (v, c) = (config.vocab_size, config.n_embd);
        Self {
            c_fc: Linear::new(p, &format!("{path}.c_fc"), (2 * c, c), true, INIT_STD),
            c_proj: Linear::new(p, &format!("{path}.c_proj"), (c, v), true, INIT_STD),
            scale: p.constant(&format!("{path}.scale"), &[], 0.0),
        }
    }

    /// Number of them.
    pub fn parameters(config: &ModelConfig) -> u128 {
        let [v, c] = [config.vocab_size, config.n_embd].map(|n| n.max(0) as u128);
        c * (2 * c + 1) + v * (c + 1) + 1
    }

    /// e′ (B, T, V) for probabilities p (B, T, V), given e (B, T, V), hidden states h (B, T, C) and the energy head W (V, C).
    pub fn energies(&self, p: &Tensor, energies: &Tensor, h: &Tensor, head: &Tensor, pass: Pass) -> Tensor {
        let mean = p.matmul(&head.to_kind(Kind::Float)); // (B, T, V) @ (V, C) → (B, T, C)
        let seen = Tensor::cat(&[&h.expand_as(&mean), &mean], -1); // (B, T, 2 C)
        let correction = self.c_proj.forward(&self.c_fc.forward(&seen, pass.compute).gelu("none"), pass.compute);
        energies + correction.to_kind(Kind::Float) * self.scale.tanh()
    }
}
