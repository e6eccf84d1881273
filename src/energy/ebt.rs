//! The scalar energy of an Energy-Based Transformer (Gladstone et al., 2025): the model reads the candidate in its place after the
//! text, with the weights that read the text, and a linear map of what comes out is the energy.
//!
//! Two streams: the text's tokens, whose keys and values do not depend on the candidates, and at each position t a candidate for what
//! follows, softmax(x)·W with an embedding W of its own, which attends to the tokens up to t and to itself. Thinking starts from
//! noise in training and from its mean, no prediction at all, elsewhere: there is no System 1. The gradient by x goes through the
//! whole stream, and training through that gradient.

use tch::{Device, Kind, Tensor};

use crate::config::ModelConfig;
use crate::model::{INIT_STD, Linear, Pass, Transformer};
use crate::nn::cache::Cache;
use crate::nn::params::Params;

/// The energy's parameters beside the transformer's.
#[derive(Debug)]
pub struct Ebt {
    /// W, the candidates' embeddings, before scaling by √C (V, C)
    wte: Tensor,
    /// (1, C), no bias: an energy has no zero
    head: Linear,
}

/// What the text's stream left: keys and values (B, H, S, d) of each layer, and the places of the positions that think.
#[derive(Debug)]
pub struct Observed {
    layers: Vec<(Tensor, Tensor)>,
    /// (1, T) int64
    places: Tensor,
}

impl Observed {
    /// What a cache holds, for its last `wanted` positions.
    pub fn of(cache: &Cache, wanted: i64) -> Self {
        let layers = cache.keys_and_values();
        let device = layers.first().map_or(Device::Cpu, |(k, _)| k.device());
        let places = Tensor::arange(cache.len(), (Kind::Int64, device)).narrow(0, cache.len() - wanted, wanted);
        Self { layers, places: places.unsqueeze(0) }
    }

    /// Of other positions: `f` is given a tensor (1, T, …).
    pub(super) fn map(&self, f: impl Fn(&Tensor) -> Tensor) -> Self {
        Self { places: f(&self.places), ..self.shallow_clone() }
    }

    /// These places and then those of a later reading, whose keys and values are those of both.
    pub(super) fn then(&self, next: &Self) -> Self {
        next.map(|places| Tensor::cat(&[&self.places, places], 1))
    }

    fn shallow_clone(&self) -> Self {
        let layers = self.layers.iter().map(|(k, v)| (k.shallow_clone(), v.shallow_clone())).collect();
        Self { layers, places: self.places.shallow_clone() }
    }

    /// With its keys and values cut off from the graph that made them.
    pub(super) fn detach(&self) -> Self {
        let layers = self.layers.iter().map(|(k, v)| (k.detach(), v.detach())).collect();
        Self { layers, places: self.places.shallow_clone() }
    }
}

impl Ebt {
    /// Parameters named `path.…`.
    pub fn new(p: &mut Params, path: &str, config: &ModelConfig) -> Self {
        let (v, c) = (config.vocab_size, config.n_embd);
        Self {
            wte: p.normal(&format!("{path}.wte.weight"), &[v, c], INIT_STD),
            head: Linear::new(p, &format!("{path}.head"), (c, 1), false, INIT_STD),
        }
    }

    /// Number of them.
    pub fn parameters(config: &ModelConfig) -> u128 {
        let [v, c] = [config.vocab_size, config.n_embd].map(|n| n.max(0) as u128);
        v * c + c
    }

    /// Where thinking starts (B, T, V), as energies.
    pub fn start(&self, shape: [i64; 3], pass: Pass) -> Tensor {
        let options = (Kind::Float, self.wte.device());
        if pass.train { Tensor::randn(shape, options) } else { Tensor::zeros(shape, options) }
    }

    /// The energy (B, T, 1) of predictions x (B, T, V).
    pub fn energy(&self, transformer: &Transformer, x: &Tensor, observed: &Observed, pass: Pass) -> Tensor {
        let scale = (self.wte.size()[1] as f64).sqrt();
        let candidate = x.softmax(-1, None).matmul(&(&self.wte * scale)); // (B, T, V) @ (V, C) → (B, T, C)
        let out = transformer.forward_candidates(&candidate, &observed.layers, &observed.places, pass); // (B, T, C)
        self.head.forward(&out, pass.compute).to_kind(Kind::Float)
    }
}
