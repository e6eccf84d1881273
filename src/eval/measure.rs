//! Measuring predictions of a model on windows, each as if it were alone in its batch ([`Ebm::trajectory_alone`]).
//!
//! The original's early stop and mean energy are over the batch, so this is what it gives with batches of one window. Here the
//! batch size changes the speed, and the rounding of matrix products, and nothing else.

use std::fmt;

use tch::{Kind, no_grad};

use crate::ebm::Ebm;
use crate::energy::Reading;
use crate::eval::scores::{Base, Scores};
use crate::eval::windows::Windows;
use crate::fast_weights::{Diverged, FastWeights};
use crate::nn::pass::Pass;
use crate::processes::Processes;

/// Logits that are kept at a time, 256 MB: where steps, context and vocabulary are large, fewer windows go through at once.
pub const MOST_LOGITS: usize = 1 << 26;

/// A way of predicting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Prediction {
    /// System 2 after a number of steps; after none, System 1
    Steps(i64),
    /// System 1 with its logits divided by a temperature
    Temperature(f64),
}

impl fmt::Display for Prediction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps(0) => f.write_str("System 1"),
            Self::Steps(1) => f.write_str("System 2, 1 step"),
            Self::Steps(steps) => write!(f, "System 2, {steps} steps"),
            Self::Temperature(t) => write!(f, "System 1, T = {t:.2}"),
        }
    }
}

/// Measures predictions on all windows, from one pass of the transformer and one recorded descent for each; calls `progress` with
/// the number done after each batch. Processes take every N-th batch each, and all get all scores. With fast weights the windows
/// are read in order, from the trained weights on, chunk by chunk.
///
/// # Errors
/// If fast weights run away.
pub fn measure(
    ebm: &Ebm,
    windows: &Windows,
    predictions: &[Prediction],
    (batch_size, compute): (i64, Kind),
    mut fast: Option<&mut FastWeights>,
    mut progress: impl FnMut(u64),
) -> Result<Vec<Scores>, Diverged> {
    let steps = |prediction: &Prediction| if let Prediction::Steps(steps) = prediction { *steps } else { 0 };
    let most = predictions.iter().map(steps).max().unwrap_or_default();
    let kept = (most + 1).saturating_mul(windows.block_size * ebm.config.vocab_size); // numbers of one window's trajectory
    let batch_size = match &fast {
        Some(fast) => fast.settings.context_chunk,
        None => batch_size.min((MOST_LOGITS as i64 / kept).max(1)),
    };
    let pass = Pass::eval(compute);
    let mut scores = vec![Scores::default(); predictions.len()];
    // Weights that follow a text read all of it, in order.
    let processes = if fast.is_some() { Processes::alone() } else { ebm.processes.clone() };
    let mine = windows.batches(batch_size, ebm.device()).skip(processes.rank()).step_by(processes.size());
    for (idx, targets) in mine {
        let mut score = |reading: &Reading| {
            let base = Base::new(&reading.energies);
            let trajectory = ebm.trajectory_alone(reading, most, pass); // most + 1 of (B, A, V)
            for (prediction, scores) in predictions.iter().zip(&mut scores) {
                match prediction {
                    Prediction::Steps(steps) => {
                        let path = &trajectory[..=*steps as usize];
                        scores.add(&path[path.len() - 1], &targets, &base);
                        if ebm.config.adaptive {
                            scores.count_steps(path);
                        }
                    }
                    Prediction::Temperature(t) => scores.add(&(&trajectory[0] / *t), &targets, &base),
                }
            }
        };
        match &mut fast {
            Some(fast) => {
                fast.read(&idx, &targets, score)?;
            }
            None => no_grad(|| score(&ebm.read_for(&idx, &targets, pass))),
        }
        progress(idx.size()[0] as u64 * processes.size() as u64);
    }
    scores.iter_mut().for_each(|scores| scores.share(&processes, batch_size, windows.offsets.len()));
    if let Some(fast) = fast {
        fast.forget(); // whatever is measured next has read nothing yet
    }
    Ok(scores)
}
