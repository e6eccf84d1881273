//! Numbers that go wrong: what of a training step is NaN or infinite, found in the step it arises in and named.

use tch::{Kind, Tensor};

use crate::ebm::{Ebm, Output};
use crate::nn::optim::AdamW;

/// What is no number, in words, if anything is: the first in the order in which one comes of the other. `grad_norm` is that of the
/// gradients the optimizer holds.
///
/// A step that is fine costs a few sums, and one read from the device.
pub fn find(output: &Output, grad_norm: &Tensor, ebm: &Ebm, optimizer: &AdamW) -> Option<String> {
    let mut vitals = output.vitals();
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

/// The first gradient that holds what is no number; where all are numbers, their squares have no sum in float32.
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
