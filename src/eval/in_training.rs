//! What a training looks at on its way: the loss on fixed batches, and what the model says of a text.

use tch::{Kind, Tensor, no_grad};

use crate::data::shuffle::spread;
use crate::data::{DataError, Split};
use crate::ebm::cross_entropy;
use crate::energy::token_energies;
use crate::error::Error;
use crate::nn::pass::{Pass, kind};
use crate::run::state::State;
use crate::sample;

/// Characters of the texts that evaluations show.
const SAMPLE_LENGTH: usize = 300;

/// Mean NLL of System 1 and System 2, in nats, over `eval_iters` batches spread evenly over a split.
pub fn mean_nll(state: &State, split: Split) -> Result<[f64; 2], Error> {
    let data = &state.config.data;
    let windows = state.corpus.windows(split, data.block_size, 1)?;
    let offsets = spread(windows, (state.config.train.eval_iters * data.batch_size) as usize);
    let mut sums = Vec::new();
    // Each process takes every N-th batch.
    let processes = state.processes();
    for offsets in offsets.chunks(data.batch_size as usize).skip(processes.rank()).step_by(processes.size()) {
        let (idx, targets) = state.corpus.batch(split, offsets, data.block_size, state.ebm.device());
        let (energies, logits) = predict(state, &idx, &targets);
        sums.push([-energies, logits].map(|logits| cross_entropy(&logits, &targets).double_value(&[])));
    }
    let sum = |i: usize| sums.iter().map(|nll: &[f64; 2]| nll[i]).sum::<f64>(); // read from the device
    let total = Tensor::from_slice(&[sum(0), sum(1), sums.len() as f64]);
    processes.sum(&total);
    processes.check()?;
    let [s1, s2, n] = [0, 1, 2].map(|i| total.double_value(&[i]));
    Ok([s1 / n, s2 / n])
}

/// What the model says of a batch of validation text, to be shown as histograms: every token's energy, and the probability of what
/// follows.
pub fn histograms(state: &State) -> Result<[(&'static str, Vec<f32>); 2], DataError> {
    let data = &state.config.data;
    let windows = state.corpus.windows(Split::Val, data.block_size, 1)?;
    let offsets = spread(windows, data.batch_size as usize);
    let (idx, targets) = state.corpus.batch(Split::Val, &offsets, data.block_size, state.ebm.device());
    let (energies, logits) = predict(state, &idx, &targets);
    let p_data = token_energies(&logits.softmax(-1, None), &targets); // (B, A)
    let read = |values: Tensor| Vec::<f32>::try_from(values.reshape([-1])).unwrap_or_default(); // read from the device
    Ok([("val/energies", read(energies)), ("val/p_data", read(p_data))])
}

/// A text that the model writes.
pub fn text(state: &State) -> String {
    sample::sample_text(&state.ebm, &state.corpus.vocab, SAMPLE_LENGTH, compute(state))
}

/// The energies of a batch (B, T) where `targets` (B, A) follow and System 2's logits, (B, A, V) each.
fn predict(state: &State, idx: &Tensor, targets: &Tensor) -> (Tensor, Tensor) {
    no_grad(|| {
        let pass = Pass::eval(compute(state));
        let reading = state.ebm.read_for(idx, targets, pass);
        let logits = state.ebm.system2(&reading, state.config.model.refine_steps, pass);
        (reading.energies, logits)
    })
}

fn compute(state: &State) -> Kind {
    kind(state.config.train.dtype)
}
