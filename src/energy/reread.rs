//! An energy that reads the text again: `F(p) = ⟨p, e⟩ − H(p) + 1/(2γ) Σ_m relu(a_m)²` with `a = d − γ U(p·W)`.
//!
//! The first two terms alone are least at System 1's own prediction softmax(−e). The third is a memory of M patterns (relatives of Krotov
//! & Hopfield's, 2016). The drive d says how much the text calls for each: it holds the last J characters, each place with a table of its
//! own, and the hidden state. A pattern that is called for and that the candidate p·W does not supply costs energy.
//!
//! F is convex in p, so that it has one minimum, and with steps that are small enough longer thinking comes closer to it, whatever the
//! number of steps in training was.
//! Descent is mirror descent: the step is ∂F/∂p, in logits,
//! `x ← x − α (e + log p − relu(a)·U·Wᵀ)` up to a constant, which softmax does not see,
//! where α = 1 would do it in one step if a did not depend on p. All is closed form: training needs no second derivative.

use tch::{Kind, Tensor};

use crate::config::ModelConfig;
use crate::energy::descent::{Energy, expectation};
use crate::energy::family::{Family, Reading, System1};
use crate::nn::linear::{INIT_STD, Linear};
use crate::nn::params::Params;
use crate::nn::pass::Pass;

/// Embeddings are multiplied by √C (Vaswani et al., 2017), so that they learn as fast as they must: Adam moves each weight by about
/// the learning rate, whatever its size.
fn embedding_scale(config: &ModelConfig) -> f64 {
    (config.n_embd as f64).sqrt()
}

/// γ: how far a candidate supplies what is called for. At 0 the memory's term is linear in p; the larger, the smaller steps must be.
const FEEDBACK: f64 = 0.5;
/// Up to so many positions the factors of the patterns are applied one after another.
const FEW: i64 = 32;
/// Standard deviation of the candidates' embeddings once they are scaled, and of U.
const CANDIDATE_STD: f64 = 0.1;
const PATTERN_STD: f64 = 0.05;

/// The memory's parameters.
#[derive(Debug)]
pub struct Reread {
    /// W, the candidates' embeddings, before scaling (V, C)
    wte: Tensor,
    /// U (M, C)
    c_fc: Linear,
    /// From hidden states (M, C), and a bias (M)
    c_h: Linear,
    /// For each of the last J places a row for each character (J·V, M), before scaling
    wce: Tensor,
    places: i64,
    scale: f64,
}

impl Family for Reread {
    fn new(p: &mut Params, config: &ModelConfig) -> Self {
        let (v, c, m, j) = (config.vocab_size, config.n_embd, hidden(config), config.reread_chars);
        let scale = embedding_scale(config);
        Self {
            wte: p.normal("thinking.wte.weight", &[v, c], CANDIDATE_STD / scale),
            c_fc: Linear::new(p, "thinking.c_fc", (c, m), false, PATTERN_STD),
            c_h: Linear::new(p, "thinking.c_h", (c, m), true, INIT_STD),
            wce: p.normal("thinking.wce.weight", &[j * v, m], INIT_STD),
            places: j,
            scale,
        }
    }

    fn parameters(config: &ModelConfig) -> u128 {
        let [v, c, m, j] =
            [config.vocab_size, config.n_embd, hidden(config), config.reread_chars].map(|n| n.max(0) as u128);
        v * c + m * (2 * c + 1) + j * v * m
    }

    /// Candidates and what they supply of each pattern.
    fn kept_per_step(config: &ModelConfig) -> u128 {
        12 * config.n_embd.max(0) as u128
    }

    fn shape(config: &ModelConfig) -> Vec<(&'static str, i64)> {
        vec![("reread_chars", config.reread_chars)]
    }

    /// The drive (B, T, M).
    fn keep(&self, idx: &Tensor, h: &Tensor, pass: Pass) -> Vec<Tensor> {
        vec![self.drive(idx, h, pass)]
    }

    fn energy<'a>(&'a self, _system1: System1<'a>, reading: &'a Reading, pass: Pass) -> Box<dyn Energy + 'a> {
        Box::new(self.of(&reading.energies, &reading.kept[0], pass))
    }

    fn name(&self, _config: &ModelConfig) -> &'static str {
        "free energy"
    }
}

impl Reread {
    /// The drive d (B, T, M) of positions with hidden states `h` (B, T, C), the last ones of the text `idx` (B, T′ ≥ T).
    fn drive(&self, idx: &Tensor, h: &Tensor, pass: Pass) -> Tensor {
        let (wanted, read) = (h.size()[1], idx.size()[1]);
        let v = self.wte.size()[0];
        let mut drive = self.c_h.forward(h, pass.compute).to_kind(Kind::Float);
        for place in 0..self.places.min(read) {
            // the character `place` before each position; the first positions have none
            let n = wanted.min(read - place);
            let before = idx.narrow(1, read - place - n, n) + place * v; // (B, n)
            let said = Tensor::embedding(&self.wce, &before, -1, false, false); // (B, n, M)
            drive += said.constant_pad_nd([0, 0, wanted - n, 0]) * self.scale;
        }
        drive
    }

    /// The energy of predictions after positions with this drive (B, T, M) and System 1's energies (B, T, V).
    fn of<'a>(&self, energies: &'a Tensor, drive: &'a Tensor, pass: Pass) -> FreeEnergy<'a> {
        let (wte, u) = (&self.wte * self.scale, &self.c_fc.weight);
        let positions = drive.size()[0] * drive.size()[1];
        let patterns = if positions > FEW { vec![wte.matmul(&u.tr())] } else { vec![wte, u.tr()] };
        FreeEnergy { patterns, energies, drive, compute: pass.compute }
    }
}

/// M
fn hidden(config: &ModelConfig) -> i64 {
    4 * config.n_embd
}

/// The energy F of each position.
#[derive(Debug)]
struct FreeEnergy<'a> {
    /// What each token supplies of each pattern, W·Uᵀ (V, M); for few positions its factors, whose product would cost more than it saves
    patterns: Vec<Tensor>,
    energies: &'a Tensor,
    drive: &'a Tensor,
    compute: Kind,
}

impl Energy for FreeEnergy<'_> {
    /// F (B, T, 1), and its gradient by p (B, T, V): the direction of mirror descent in logits.
    fn value_and_grad(&self, x: &Tensor) -> (Tensor, Tensor) {
        let log_p = x.log_softmax(-1, None);
        let p = log_p.exp();
        let product =
            |a: &Tensor, b: &Tensor| a.to_kind(self.compute).matmul(&b.to_kind(self.compute)).to_kind(Kind::Float);
        let supplied = self.patterns.iter().fold(p.shallow_clone(), |x, factor| product(&x, factor)); // (B, T, V) → (B, T, M)
        let missing = (self.drive - supplied * FEEDBACK).relu();
        let back = self.patterns.iter().rev();
        let called = back.fold(missing.shallow_clone(), |x, factor| product(&x, &factor.tr())); // (B, T, M) → (B, T, V)
        let own = self.energies + log_p;
        let grad = &own - called;
        let cost = missing.square().sum_dim_intlist([-1i64].as_slice(), true, None::<Kind>) / (2.0 * FEEDBACK);
        let value = expectation(&p, &own) + cost; // (B, T, 1)
        let mean = expectation(&p, &grad); // along the simplex: softmax does not see a constant, but a clamp would
        (value, grad - mean)
    }
}
