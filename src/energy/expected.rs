//! `energy=linear`: the expected energy of the next token, `J(x) = ⟨p, e⟩ − λ H(p)` with `p = softmax(x/τ)`, as in the original.
//!
//! It is linear in p and knows no more than System 1 does, so that descending it sharpens System 1's prediction, and no more. With soft
//! tokens (the original's `use_soft_tokens`) the prediction is embedded as `p · wte`, and the transformer reads it in place of the text.

use tch::Tensor;

use crate::config::ModelConfig;
use crate::energy::descent::{Autograd, Energy, expectation};
use crate::energy::family::{Family, Reading, System1};
use crate::nn::params::Params;
use crate::nn::pass::Pass;

/// `J(x)` (B, T, 1) of predictions x and energies e (B, T, V), with temperature τ and entropy weight λ.
pub fn free_energy(x: &Tensor, energies: &Tensor, temperature: f64, entropy_weight: f64) -> Tensor {
    let log_p = scaled(x, temperature).log_softmax(-1, None);
    let p = log_p.exp();
    if entropy_weight == 0.0 {
        expectation(&p, energies)
    } else {
        expectation(&p, &(energies + log_p * entropy_weight))
    }
}

/// [`free_energy`] with energies that do not depend on x; the gradient is closed form:
/// `∂J/∂x = (1/τ) p ⊙ (g − ⟨g, p⟩)`, `g = e + λ (log p + 1)`.
#[derive(Debug)]
pub struct ExpectedEnergy<'a> {
    /// Energy of every token (B, T, V)
    pub energies: &'a Tensor,
    /// τ
    pub temperature: f64,
    /// λ
    pub entropy_weight: f64,
}

impl<'a> ExpectedEnergy<'a> {
    /// τ = 1, λ = 0.
    pub fn plain(energies: &'a Tensor) -> Self {
        Self { energies, temperature: 1.0, entropy_weight: 0.0 }
    }

    /// τ and λ of a model.
    fn of(energies: &'a Tensor, config: &ModelConfig) -> Self {
        Self { energies, temperature: config.softmax_temperature, entropy_weight: config.entropy_weight }
    }
}

impl Energy for ExpectedEnergy<'_> {
    fn value_and_grad(&self, x: &Tensor) -> (Tensor, Tensor) {
        let x = scaled(x, self.temperature);
        if self.entropy_weight == 0.0 {
            let p = x.softmax(-1, None);
            let value = expectation(&p, self.energies); // (B, T, 1)
            let grad = p * (self.energies - &value);
            return (value, scaled(&grad, self.temperature));
        }
        let log_p = x.log_softmax(-1, None);
        let p = log_p.exp();
        let g = self.energies + (log_p + 1.0) * self.entropy_weight; // (B, T, V)
        let mean = expectation(&p, &g); // ⟨g, p⟩ = J + λ
        let grad = p * (g - &mean);
        (mean - self.entropy_weight, scaled(&grad, self.temperature))
    }
}

/// x / τ, without a kernel where τ = 1.
fn scaled(x: &Tensor, temperature: f64) -> Tensor {
    if temperature == 1.0 { x.shallow_clone() } else { x / temperature }
}

/// The expected energy of energies, x (B, T, V) → (B, T, V), that see the prediction: with `mixture_stopgrad` they count as constants
/// in ∂/∂x.
pub(super) fn seeing<'a>(
    config: &'a ModelConfig,
    energies: impl Fn(&Tensor) -> Tensor + 'a,
    pass: Pass,
) -> Box<dyn Energy + 'a> {
    if config.mixture_stopgrad {
        return Box::new(Stopped { config, energies });
    }
    let (tau, lambda) = (config.softmax_temperature, config.entropy_weight);
    Box::new(Autograd {
        energy: move |x: &Tensor| free_energy(x, &energies(x), tau, lambda),
        create_graph: pass.through(),
    })
}

/// The gradient is closed form where the energies are constants, and no second derivative is needed.
struct Stopped<'a, F> {
    config: &'a ModelConfig,
    energies: F,
}

impl<F: Fn(&Tensor) -> Tensor> Energy for Stopped<'_, F> {
    fn value_and_grad(&self, x: &Tensor) -> (Tensor, Tensor) {
        ExpectedEnergy::of(&(self.energies)(&x.detach()), self.config).value_and_grad(x)
    }
}

/// No parameters beyond System 1's.
#[derive(Debug)]
pub struct Expected;

impl Family for Expected {
    fn new(_: &mut Params, _: &ModelConfig) -> Self {
        Self
    }

    fn parameters(_: &ModelConfig) -> u128 {
        0
    }

    fn kept_per_step(_: &ModelConfig) -> u128 {
        0
    }

    fn is_linear(&self) -> bool {
        true
    }

    fn energy<'a>(&'a self, system1: System1<'a>, reading: &'a Reading, pass: Pass) -> Box<dyn Energy + 'a> {
        if !system1.config.use_soft_tokens {
            return Box::new(ExpectedEnergy::of(&reading.energies, system1.config));
        }
        let pass = Pass { second_order: pass.through() && !system1.config.mixture_stopgrad, ..pass };
        seeing(system1.config, move |x| soft_token_energies(system1, x, pass), pass)
    }
}

/// Energies (B, T, V) after reading the prediction x (B, T, V). With `mixture_stopgrad` the embeddings are constants, for wte too.
fn soft_token_energies(system1: System1, x: &Tensor, pass: Pass) -> Tensor {
    let p = (x / system1.config.softmax_temperature).softmax(-1, None);
    let soft = p.matmul(&system1.transformer.wte); // (B, T, V) @ (V, C) → (B, T, C)
    let soft = if system1.config.mixture_stopgrad { soft.detach() } else { soft };
    system1.energies(&system1.transformer.forward_embeddings(&soft, pass), pass)
}
