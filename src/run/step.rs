//! One training step: its loss, the way back, what goes wrong in it, and what is reported of it.

use tch::{Kind, Tensor, no_grad};

use crate::contrastive::{Contrastive, Phases};
use crate::ebm::{Ebm, Output, energy_levels};
use crate::metrics::Metrics;
use crate::nn::optim::AdamW;
use crate::nn::pass::Pass;

/// The loss of a batch, and what it came of.
#[derive(Debug)]
pub struct Step {
    /// The scalar that training descends: with contrastive training nll + weight · contrastive loss
    pub loss: Tensor,
    /// What the model gave
    pub output: Output,
    phases: Option<Phases>,
}

impl Step {
    /// Both losses on `idx` (B, T) and `targets` (B, A); `refine_steps` = None trains System 1 alone.
    pub fn forward(
        ebm: &Ebm,
        contrastive: Option<&mut Contrastive>,
        (idx, targets): (&Tensor, &Tensor),
        refine_steps: Option<i64>,
        pass: Pass,
    ) -> Self {
        let mut step = Self::new(ebm.forward(idx, targets, refine_steps, pass));
        if let Some(contrastive) = contrastive {
            let phases = contrastive.phases(ebm, targets, &step.output.energies, pass);
            step.add_contrastive(phases, ebm.config.contrastive_weight);
        }
        step
    }

    /// Without a contrastive loss.
    pub fn new(output: Output) -> Self {
        Self { loss: output.loss.shallow_clone(), output, phases: None }
    }

    /// total = nll + weight · contrastive loss
    pub fn add_contrastive(&mut self, phases: Phases, weight: f64) {
        self.loss = &self.output.loss + phases.loss() * weight;
        self.phases = Some(phases);
    }

    /// Adds the gradients of the loss to those that the optimizer holds, as one of the `batches` of its step.
    pub fn backward(&mut self, ebm: &Ebm, optimizer: &mut AdamW, batches: i64) {
        let share = &self.loss / batches as f64;
        match self.output.remat.take() {
            Some(remat) => {
                let block = |layer, x: &Tensor, pass| ebm.transformer.block(layer, x, pass);
                optimizer.add(remat.gradients(ebm.params(), &share, block));
            }
            None => optimizer.backward(&share),
        }
    }

    /// Scalars to report, still on the device: few steps are logged.
    pub fn metrics(&self, targets: &Tensor) -> Metrics {
        no_grad(|| {
            let mut metrics = self.output.metrics(targets);
            let Some(phases) = &self.phases else {
                metrics.extend(&energy_levels(&self.output.energies_s1, targets));
                return metrics;
            };
            metrics.add("nll_loss", &self.output.loss);
            metrics.extend(&phases.metrics(targets)); // the levels of the energies that the phases saw
            metrics.add("total_loss", &self.loss);
            metrics
        })
    }

    /// What is NaN or infinite, in words, if anything is: the first in the order in which one comes of the other. `grad_norm` is that
    /// of the gradients the optimizer holds. A step that is fine costs a few sums, and one read from the device.
    pub fn fault(&self, grad_norm: &Tensor, ebm: &Ebm, optimizer: &AdamW) -> Option<String> {
        let mut vitals = self.vitals();
        vitals.add("the gradients", grad_norm);
        let bad = vitals.read().into_iter().find(|(_, value)| !value.is_finite()); // read from the device
        let (name, value) = bad?;
        let weights = ebm.params().iter().find_map(|p| describe("weight", &p.name, &p.tensor));
        Some(weights.unwrap_or_else(|| match name.as_str() {
            "the gradients" => gradients(optimizer, value),
            "the loss" => format!("the loss is {value}"),
            _ => format!("{name} hold what is no number"),
        }))
    }

    /// Scalars that are finite where all numbers of the step are, still on the device: what comes of what last.
    fn vitals(&self) -> Metrics {
        // 0 · x is 0 where x is finite, and NaN elsewhere; a sum of x itself could overflow.
        let nothing = |x: &Tensor| (x.detach() * 0.0).sum(Kind::Float);
        let mut vitals = Metrics::default();
        vitals.add("the energies", &nothing(&self.output.energies));
        if let Some(phases) = &self.phases {
            vitals.add("the chains", &nothing(phases.moved()));
        }
        vitals.add("the loss", &self.loss);
        vitals
    }
}

/// The first gradient that holds NaN or infinity; where none does, their squares have no sum in float32.
fn gradients(optimizer: &AdamW, norm: f64) -> String {
    let grads = optimizer.grads();
    let first = grads.iter().find_map(|(name, grad)| describe("gradient", name, grad));
    first.unwrap_or_else(|| {
        let largest = |grad: &Tensor| grad.abs().max().double_value(&[]);
        let sizes = grads.iter().map(|(name, grad)| (largest(grad), name.as_str()));
        let (size, name) = sizes.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((norm, "nothing"));
        format!("the norm of the gradients is {norm}, the largest {size:.1e}, of {name}")
    })
}

/// `the gradient of NAME has 3 of 768 values that are no numbers`, if it has.
fn describe(kind: &str, name: &str, tensor: &Tensor) -> Option<String> {
    let bad = tensor.isfinite().logical_not().sum(Kind::Int64).int64_value(&[]);
    (bad > 0).then(|| format!("{bad} of {} values of the {kind} {name} are no numbers", tensor.numel()))
}
