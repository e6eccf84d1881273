//! The expected energy ⟨p, e′⟩ of energies that see the prediction: `e′ = e + tanh(s) · f([h; p·W])`.
//!
//! p·W is the mean row of the energy head under the prediction, h the hidden state, f a network of one hidden layer with an output for
//! each token, and s a scale that begins at 0, so that training begins with System 1's energies. With `mixture_stopgrad` the
//! energies count as constants in ∂/∂x, and the gradient is closed form; without it the gradient flows through p into f as well.

use tch::{Kind, Tensor};

use crate::config::ModelConfig;
use crate::energy::descent::Energy;
use crate::energy::expected::seeing;
use crate::energy::family::{Family, Reading, System1};
use crate::nn::linear::{INIT_STD, Linear};
use crate::nn::params::Params;
use crate::nn::pass::Pass;

/// The correction's parameters.
#[derive(Debug)]
pub struct Mixture {
    /// (C, 2 C) and (C)
    c_fc: Linear,
    /// (V, C) and (V)
    c_proj: Linear,
    /// s, a scalar
    scale: Tensor,
}

impl Family for Mixture {
    fn new(p: &mut Params, config: &ModelConfig) -> Self {
        let (v, c) = (config.vocab_size, config.n_embd);
        Self {
            c_fc: Linear::new(p, "thinking.c_fc", (2 * c, c), true, INIT_STD),
            c_proj: Linear::new(p, "thinking.c_proj", (c, v), true, INIT_STD),
            scale: p.constant("thinking.scale", &[], 0.0),
        }
    }

    fn parameters(config: &ModelConfig) -> u128 {
        let [v, c] = [config.vocab_size, config.n_embd].map(|n| n.max(0) as u128);
        c * (2 * c + 1) + v * (c + 1) + 1
    }

    fn kept_per_step(config: &ModelConfig) -> u128 {
        8 * config.n_embd.max(0) as u128
    }

    /// The hidden states (B, T, C).
    fn keep(&self, _idx: &Tensor, h: &Tensor, _pass: Pass) -> Vec<Tensor> {
        vec![h.shallow_clone()]
    }

    fn energy<'a>(&'a self, system1: System1<'a>, reading: &'a Reading, pass: Pass) -> Box<dyn Energy + 'a> {
        let tau = system1.config.softmax_temperature;
        let p = move |x: &Tensor| (x / tau).softmax(-1, None);
        let energies = move |x: &Tensor| self.corrected(&p(x), reading, &system1.energy_head.weight, pass);
        seeing(system1.config, energies, pass)
    }
}

impl Mixture {
    /// e′ (B, T, V) for probabilities p (B, T, V), given e (B, T, V), hidden states h (B, T, C) and the energy head W (V, C).
    fn corrected(&self, p: &Tensor, reading: &Reading, head: &Tensor, pass: Pass) -> Tensor {
        let mean = p.matmul(&head.to_kind(Kind::Float)); // (B, T, V) @ (V, C) → (B, T, C)
        let h = reading.kept[0].expand_as(&mean);
        let seen = Tensor::cat(&[&h, &mean], -1); // (B, T, 2 C)
        let correction = self.c_proj.forward(&self.c_fc.forward(&seen, pass.compute).gelu("none"), pass.compute);
        &reading.energies + correction.to_kind(Kind::Float) * self.scale.tanh()
    }
}
