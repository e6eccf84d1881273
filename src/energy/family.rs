//! A family of energies over a prediction x, of which `model.energy` names one: what each must say of itself, and what it knows of a
//! text.

use std::fmt::Debug;

use tch::{Kind, Tensor};

use crate::config::ModelConfig;
use crate::energy::descent::Energy;
use crate::model::Transformer;
use crate::nn::linear::Linear;
use crate::nn::params::Params;
use crate::nn::pass::Pass;

/// An energy that thinking descends, with its parameters beyond those of System 1.
pub trait Family: Debug {
    /// Parameters as at the start of a training; they are named `thinking.…`.
    fn new(p: &mut Params, config: &ModelConfig) -> Self
    where
        Self: Sized;

    /// Number of them, without making them.
    fn parameters(config: &ModelConfig) -> u128
    where
        Self: Sized;

    /// Numbers that a step of thinking keeps of each token for the backward pass, about.
    fn kept_per_step(config: &ModelConfig) -> u128
    where
        Self: Sized;

    /// Settings of its own that give its parameters their shapes, with their values.
    fn shape(_config: &ModelConfig) -> Vec<(&'static str, i64)>
    where
        Self: Sized,
    {
        Vec::new()
    }

    /// Whether the energy is linear in p: then thinking sharpens System 1's prediction, and makes it no better.
    fn is_linear(&self) -> bool {
        false
    }

    /// Where thinking starts, as energies of this shape (B, T, V), if not from System 1: such a family predicts nothing without
    /// thinking, and attends to the keys and values of the text.
    fn start(&self, _shape: [i64; 3], _pass: Pass) -> Option<Tensor> {
        None
    }

    /// Whether System 1 predicts something by itself.
    fn has_system1(&self) -> bool {
        true
    }

    /// What it keeps of positions with hidden states `h` (B, T, C), the last ones of the text `idx` (B, T′ ≥ T): (B or 1, T, …) each.
    fn keep(&self, _idx: &Tensor, _h: &Tensor, _pass: Pass) -> Vec<Tensor> {
        Vec::new()
    }

    /// The energy of predictions about the positions of a reading.
    fn energy<'a>(&'a self, system1: System1<'a>, reading: &'a Reading, pass: Pass) -> Box<dyn Energy + 'a>;

    /// What is descended, in words for an axis.
    fn name(&self, config: &ModelConfig) -> &'static str {
        if config.entropy_weight == 0.0 { "expected energy" } else { "free energy" }
    }
}

/// System 1, as an energy may look into it.
#[derive(Debug, Clone, Copy)]
pub struct System1<'a> {
    /// The model's configuration
    pub config: &'a ModelConfig,
    /// Reads the text
    pub transformer: &'a Transformer,
    /// Gives every next token an energy
    pub energy_head: &'a Linear,
}

impl System1<'_> {
    /// Hidden states (B, T, C) → the energy of every next token (B, T, V), fp32.
    pub fn energies(self, h: &Tensor, pass: Pass) -> Tensor {
        self.energy_head.forward(h, pass.compute).to_kind(Kind::Float)
    }
}

/// What was read of a text: System 1's energies, and what the energy that thinking descends knows of each position beside them.
#[derive(Debug)]
pub struct Reading {
    /// Energy of every next token by System 1 (B, T, V); thinking starts from −energies
    pub energies: Tensor,
    /// What the family keeps of each position (B or 1, T, …)
    pub(crate) kept: Vec<Tensor>,
    /// Keys and values of the whole text in every layer (B, H, S, d), where the family attends to them
    pub(crate) past: Vec<(Tensor, Tensor)>,
}

impl Reading {
    /// The same of the last `n` positions.
    pub fn last(&self, n: i64) -> Self {
        self.map(|x| x.narrow(1, x.size()[1] - n, n))
    }

    /// The same tensors again.
    pub fn shallow_clone(&self) -> Self {
        self.map(Tensor::shallow_clone)
    }

    /// The same without a graph.
    pub fn detach(&self) -> Self {
        let past = self.past.iter().map(|(k, v)| (k.detach(), v.detach())).collect();
        Self { past, ..self.map(Tensor::detach) }
    }

    /// This and then `next`, along the positions; the text of `next` holds that of this one.
    pub fn then(&self, next: &Self) -> Self {
        let cat = |a: &Tensor, b: &Tensor| Tensor::cat(&[a, b], 1);
        let kept = self.kept.iter().zip(&next.kept).map(|(a, b)| cat(a, b)).collect();
        Self { energies: cat(&self.energies, &next.energies), kept, ..next.shallow_clone() }
    }

    /// System 1's energies alone in float64: the original's steps of 10⁻⁶ logits are steps then, and no rounding.
    pub(crate) fn fine(&self) -> Self {
        Self { energies: self.energies.to_kind(Kind::Double), kept: Vec::new(), past: Vec::new() }
    }

    fn map(&self, f: impl Fn(&Tensor) -> Tensor) -> Self {
        let past = self.past.iter().map(|(k, v)| (k.shallow_clone(), v.shallow_clone())).collect();
        Self { energies: f(&self.energies), kept: self.kept.iter().map(&f).collect(), past }
    }
}
