//! Thinking about the text that was read: descent on its energy, by fast weights.
//!
//! The energy of a text is E(θ) = −log p_θ(text) per character: low where the weights θ expected it. After a chunk of text was
//! scored, its energy is descended from the weights as they stand, by the one loop of [`crate::energy`]:
//!
//! ```text
//! θ ← θ − α η P ∇E(θ) (+ noise)      P = 1 / (rms of the training gradients + a little)
//! ```
//!
//! With η, the highest learning rate of the training, α counts steps of Adam: the same α is right for models that learnt fast or slowly.
//! As in the training, a gradient longer than `train.grad_clip` is cut to that length: one strange chunk cannot throw the weights away.
//!
//! Score first, then descend: the prediction of a chunk depends on the text before it alone, so that the sum of the scores is the
//! negative log-likelihood of the whole text under one predictor that goes on learning (prequential, Dawid, 1984). In language
//! modelling this is known as dynamic evaluation (Mikolov et al., 2010; Krause et al., 2018, whose preconditioner this is), lately
//! as test-time training (Sun et al., 2020). It remembers text beyond the window, which no frozen table of energies does.

use std::cell::{Cell, RefCell};

use tch::{Kind, Tensor, no_grad};

use crate::checkpoint::{Checkpoint, CheckpointError, CheckpointFault};
use crate::config::{FastWeightsConfig, MovingWeights, TrainConfig};
use crate::ebm::{Ebm, cross_entropy};
use crate::energy::{Descent, Energy, Noise, Reading, descend};
use crate::nn::optim::AdamW;
use crate::nn::params::{Param, flatten, views};
use crate::nn::pass::Pass;

/// α where none is given, chosen on the last tenth of the training split, with models that were trained without it (docs/thinking.md):
/// for all weights, for all of a model that thinks (half as long, since some of these ran away), and for the head alone.
const ALPHA: [f64; 3] = [0.08, 0.04, 0.3];
/// Added to the gradients' rms, as a share of its mean: weights whose gradients are tiny do not run away.
const RMS_FLOOR: f64 = 1e-2;

/// Weights that followed a text too fast.
#[derive(Debug, thiserror::Error)]
#[error("the weights that follow the text became NaN or infinity, with context_alpha={alpha}; a smaller one helps")]
pub struct Diverged {
    /// The α that was used
    pub alpha: f64,
}

/// A model whose weights follow the text that it reads.
#[derive(Debug)]
pub struct FastWeights<'a> {
    ebm: &'a Ebm,
    /// How they do that, with the α that is used
    pub settings: FastWeightsConfig,
    pass: Pass,
    params: Vec<&'a Param>,
    /// The weights as trained (P)
    trained: Tensor,
    /// As they are now (P)
    theta: Tensor,
    /// α η P (P)
    step_size: Tensor,
    /// To which length gradients are cut, as in the training; 0 is no limit
    max_norm: f64,
}

impl<'a> FastWeights<'a> {
    /// Starts from the trained weights. The statistics of the preconditioner are Adam's mean squared gradients, which every
    /// checkpoint of a training carries.
    ///
    /// # Errors
    /// If the energy head is to move in a model that does not use it, or if the file holds no optimizer state that fits the model, or one that has seen no gradient.
    pub fn new(
        ebm: &'a Ebm,
        checkpoint: &Checkpoint,
        mut settings: FastWeightsConfig,
        compute: Kind,
    ) -> Result<Self, CheckpointError> {
        let uses_head = ebm.family.has_system1();
        if settings.context_weights == MovingWeights::Head && !uses_head {
            return Err(CheckpointFault::NoHead.of(&checkpoint.path));
        }
        let moves = |p: &&Param| match settings.context_weights {
            MovingWeights::All => p.name != "alpha" && (p.name != "energy_head.weight" || uses_head),
            MovingWeights::Head => p.name == "energy_head.weight",
        };
        let params: Vec<&Param> = ebm.params().iter().filter(moves).collect();
        let alpha = *settings.context_alpha.get_or_insert(match settings.context_weights {
            MovingWeights::All if ebm.family.is_linear() => ALPHA[0],
            MovingWeights::All => ALPHA[1],
            MovingWeights::Head => ALPHA[2],
        });
        let train = checkpoint.ours.as_ref().map_or_else(TrainConfig::default, |ours| ours.config.train.clone());
        let squares = mean_squares(ebm, checkpoint, &train)?;
        let squares = squares.into_iter().filter(|(name, _)| params.iter().any(|p| p.name == *name));
        let step_size = no_grad(|| {
            let rms = flatten(squares.map(|(_, square)| square)).sqrt();
            let p = (&rms + rms.mean(Kind::Float) * RMS_FLOOR).reciprocal();
            p * train.learning_rate * alpha
        });
        let trained = no_grad(|| flatten(params.iter().map(|p| p.tensor.shallow_clone())));
        let theta = trained.copy();
        Ok(Self {
            ebm,
            settings,
            pass: Pass::eval(compute),
            params,
            trained,
            theta,
            step_size,
            max_norm: train.grad_clip,
        })
    }

    /// Shows `look` what the weights as they stand read in a chunk, idx (B, T) and targets (B, A); then the weights descend the energy of
    /// its text. Gives the mean NLL of the chunk in nats per character, as it was scored.
    ///
    /// # Errors
    /// If a step is so long that weights become NaN or infinity.
    pub fn read(&mut self, idx: &Tensor, targets: &Tensor, look: impl FnMut(&Reading)) -> Result<f64, Diverged> {
        let energy =
            TextEnergy { weights: self, idx, targets, look: RefCell::new(Some(look)), scored: Cell::new(f64::NAN) };
        let s = self.settings;
        let noise = if s.context_noise > 0.0 { Noise::Constant(s.context_noise) } else { Noise::Off };
        let descent = Descent { noise, ..Descent::new(s.context_steps, self.step_size.shallow_clone()) };
        let theta = no_grad(|| descend(&energy, self.theta.shallow_clone(), &descent)).x;
        let nll = energy.scored.get();
        if !nll.is_finite() || theta.isfinite().all().int64_value(&[]) == 0 {
            self.forget();
            return Err(Diverged { alpha: s.context_alpha.unwrap_or_default() });
        }
        self.theta = theta;
        self.put(&self.theta);
        Ok(nll)
    }

    /// [`FastWeights::read`] where nobody looks.
    ///
    /// # Errors
    /// As [`FastWeights::read`].
    pub fn score(&mut self, idx: &Tensor, targets: &Tensor) -> Result<f64, Diverged> {
        self.read(idx, targets, |_| {})
    }

    /// Steps of thinking behind the prediction whose likelihood is descended: System 1's of an expected energy, which thinking does not
    /// improve, and where the head alone moves; otherwise as many as in training.
    pub fn thinking_steps(&self) -> i64 {
        let system1 = self.ebm.family.is_linear() || self.settings.context_weights == MovingWeights::Head;
        if system1 { 0 } else { self.ebm.config.refine_steps }
    }

    /// Reads the ids of a text in windows, chunk by chunk, the last window as long as it is. Gives the mean NLL of each chunk in
    /// nats per character, as it was scored; calls `progress` with the number of characters read after each.
    ///
    /// # Errors
    /// As [`FastWeights::read`].
    pub fn read_text(&mut self, ids: &[i64], mut progress: impl FnMut(u64)) -> Result<Vec<f64>, Diverged> {
        let t = self.ebm.config.block_size as usize;
        let last = ids.len().saturating_sub(1); // the last character has no target
        let whole = last / t * t; // characters in whole windows
        let rows = |start: usize, end: usize, t: usize| {
            let row = |from: usize| Tensor::from_slice(&ids[start + from..end + from]).view([-1, t as i64]); // (B, T)
            (row(0).to_device(self.ebm.device()), row(1).to_device(self.ebm.device()))
        };
        let chunk = t * self.settings.context_chunk as usize;
        let mut chunks: Vec<(Tensor, Tensor)> =
            (0..whole).step_by(chunk).map(|start| rows(start, (start + chunk).min(whole), t)).collect();
        if last > whole {
            chunks.push(rows(whole, last, last - whole));
        }
        let mut score = |(idx, targets): (Tensor, Tensor)| {
            let nll = self.score(&idx, &targets)?;
            progress(idx.numel() as u64);
            Ok(nll)
        };
        chunks.into_iter().map(&mut score).collect()
    }

    /// Back to the trained weights.
    pub fn forget(&mut self) {
        self.theta = self.trained.copy();
        self.put(&self.theta);
    }

    /// Lets the model compute with weights that lie in a flat tensor (P).
    fn put(&self, theta: &Tensor) {
        let shapes = self.params.iter().map(|p| p.tensor.size());
        for (param, view) in self.params.iter().zip(views(theta, shapes)) {
            no_grad(|| param.tensor.shallow_clone().set_data(&view));
        }
    }
}

/// The energy of a text as a function of the weights θ (P).
struct TextEnergy<'a, 'b, F> {
    weights: &'a FastWeights<'b>,
    idx: &'a Tensor,
    targets: &'a Tensor,
    /// Called with the first reading, which is that before any step, where it holds no NaN and no infinity
    look: RefCell<Option<F>>,
    /// The mean NLL of that reading
    scored: Cell<f64>,
}

impl<F: FnMut(&Reading)> Energy for TextEnergy<'_, '_, F> {
    fn value_and_grad(&self, theta: &Tensor) -> (Tensor, Tensor) {
        let FastWeights { ebm, settings, pass, params, trained, step_size, max_norm, .. } = self.weights;
        self.weights.put(theta);
        let frozen = settings.context_weights == MovingWeights::Head; // the gradient begins at the hidden states
        let (value, mut grad) = tch::with_grad(|| {
            let reading = if frozen {
                let h = no_grad(|| ebm.hidden_states(self.idx, *pass));
                ebm.read_hidden(self.idx, &h, *pass).last(self.targets.size()[1])
            } else {
                ebm.read_for(self.idx, self.targets, *pass)
            };
            let through = Pass { second_order: true, ..*pass }; // thinking itself descends
            let logits = ebm.predict(&reading, self.weights.thinking_steps(), through);
            let nll = cross_entropy(&logits, self.targets);
            if let Some(mut look) = self.look.borrow_mut().take() {
                self.scored.set(nll.double_value(&[]));
                if self.scored.get().is_finite() {
                    no_grad(|| look(&reading.detach()));
                }
            }
            let tensors: Vec<&Tensor> = params.iter().map(|p| &p.tensor).collect();
            let grads = Tensor::run_backward(&[&nll], &tensors, false, false);
            // What the prediction does not depend on has no gradient.
            let reached = |(grad, p): (Tensor, &&Tensor)| if grad.defined() { grad } else { p.zeros_like() };
            (nll.detach().view([1]), flatten(grads.into_iter().zip(&tensors).map(reached)))
        });
        if *max_norm > 0.0 {
            grad *= (grad.norm().reciprocal() * *max_norm).clamp_max(1.0);
        }
        if settings.context_decay > 0.0 {
            // A spring to the trained weights, so stiff that a step takes `decay` of the way.
            grad += (theta - trained) * settings.context_decay / step_size;
        }
        (value, grad)
    }
}

/// Adam's running mean of each parameter's squared gradients.
fn mean_squares(
    ebm: &Ebm,
    checkpoint: &Checkpoint,
    train: &TrainConfig,
) -> Result<Vec<(String, Tensor)>, CheckpointError> {
    let mut optimizer = AdamW::new(ebm.params(), train, &ebm.config);
    checkpoint.load_optimizer(&mut optimizer)?;
    if optimizer.step == 0 {
        return Err(CheckpointFault::NoStatistics.of(&checkpoint.path));
    }
    Ok(optimizer.moments().into_iter().map(|m| (m.name, m.exp_avg_sq)).collect())
}
