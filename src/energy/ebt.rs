//! The scalar energy of an Energy-Based Transformer (Gladstone et al., 2025): the model reads the candidate in its place after the
//! text, with the weights that read the text, and a linear map of what comes out is the energy.
//!
//! Two streams: the text's tokens, whose keys and values do not depend on the candidates, and at each position t a candidate for what
//! follows, softmax(x)·W with an embedding W of its own, which attends to the tokens up to t and to itself. Thinking starts from
//! noise in training and from its mean, no prediction at all, elsewhere: there is no System 1. The gradient by x goes through the
//! whole stream, and training through that gradient.

use tch::{Kind, Tensor};

use crate::config::ModelConfig;
use crate::energy::descent::{Autograd, Energy};
use crate::energy::family::{Family, Reading, System1};
use crate::model::KEPT_OF_BLOCK;
use crate::nn::linear::{INIT_STD, Linear};
use crate::nn::params::Params;
use crate::nn::pass::Pass;

/// The energy's parameters beside the transformer's.
#[derive(Debug)]
pub struct Ebt {
    /// W, the candidates' embeddings, before scaling by √C (V, C)
    wte: Tensor,
    /// (1, C), no bias: an energy has no zero
    head: Linear,
}

impl Family for Ebt {
    fn new(p: &mut Params, config: &ModelConfig) -> Self {
        let (v, c) = (config.vocab_size, config.n_embd);
        Self {
            wte: p.normal("thinking.wte.weight", &[v, c], INIT_STD),
            head: Linear::new(p, "thinking.head", (c, 1), false, INIT_STD),
        }
    }

    fn parameters(config: &ModelConfig) -> u128 {
        let [v, c] = [config.vocab_size, config.n_embd].map(|n| n.max(0) as u128);
        v * c + c
    }

    /// A second stream through the transformer, twice differentiated.
    fn kept_per_step(config: &ModelConfig) -> u128 {
        let [l, c] = [config.n_layer, config.n_embd].map(|n| n.max(0) as u128);
        3 * l * c * KEPT_OF_BLOCK
    }

    fn start(&self, shape: [i64; 3], pass: Pass) -> Option<Tensor> {
        let options = (Kind::Float, self.wte.device());
        Some(if pass.train { Tensor::randn(shape, options) } else { Tensor::zeros(shape, options) })
    }

    fn has_system1(&self) -> bool {
        false
    }

    /// The places of the positions in the text (1, T), int64.
    fn keep(&self, idx: &Tensor, h: &Tensor, _pass: Pass) -> Vec<Tensor> {
        let (read, wanted) = (idx.size()[1], h.size()[1]);
        vec![Tensor::arange(read, (Kind::Int64, h.device())).narrow(0, read - wanted, wanted).unsqueeze(0)]
    }

    fn energy<'a>(&'a self, system1: System1<'a>, reading: &'a Reading, pass: Pass) -> Box<dyn Energy + 'a> {
        let energy = move |x: &Tensor| {
            let scale = (self.wte.size()[1] as f64).sqrt();
            let candidate = x.softmax(-1, None).matmul(&(&self.wte * scale)); // (B, T, V) @ (V, C) → (B, T, C)
            let (past, places) = (&reading.past, &reading.kept[0]);
            let out = system1.transformer.forward_candidates(&candidate, past, places, pass); // (B, T, C)
            self.head.forward(&out, pass.compute).to_kind(Kind::Float) // (B, T, 1)
        };
        Box::new(Autograd { energy, create_graph: pass.through() })
    }

    fn name(&self, _config: &ModelConfig) -> &'static str {
        "energy"
    }
}
