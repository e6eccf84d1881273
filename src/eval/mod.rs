//! Measuring a model on a whole split: System 1 against System 2.
//!
//! Each window is measured as if it were alone in its batch ([`Ebm::trajectory_alone`]): in the original the early stop and a mean
//! energy are over the batch, so that batches of one window are what it is compared with. The batch size is a matter of speed,
//! and of the rounding of matrix products.

pub mod bootstrap;
pub mod by_steps;
pub mod compare;
pub mod exact;
pub mod in_training;
pub mod scores;
pub mod separation;
pub mod table;
pub mod temperature;

use std::fmt;

use serde::Serialize;
use tch::{Device, Kind, Tensor, no_grad};

use crate::config::ContextConfig;
use crate::data::{Corpus, DataError, Split};
use crate::ebm::Ebm;
use crate::energy::Reading;
use crate::error::Error;
use crate::eval::by_steps::Thinking;
use crate::eval::exact::{Exact, exact};
use crate::eval::scores::{Base, Scores, Summary};
use crate::eval::separation::Separation;
use crate::fast_weights::FastWeights;
use crate::nn::pass::Pass;

/// Logits that are kept at a time, 256 MB: where steps, context and vocabulary are large, fewer windows go through at once.
pub const MOST_LOGITS: usize = 1 << 26;

/// Means over all positions of all windows; NLL in nats per character.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// NLL of System 1
    pub nll_s1: f64,
    /// NLL of System 2
    pub nll_s2: f64,
    /// exp(nll_s1)
    pub ppl_s1: f64,
    /// exp(nll_s2)
    pub ppl_s2: f64,
    /// E₀: expected energy of System 1's prediction
    pub energy_initial: f64,
    /// E_K: expected energy of System 2's
    pub energy_final: f64,
    /// E₀ − E_K
    pub energy_gap: f64,
    /// Windows measured
    pub windows: usize,
    /// Steps of refinement
    pub refine_steps: i64,
    /// Mean number of steps that a position took, where each stops on its own
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_steps: Option<f64>,
    /// How the weights followed the text, where they did
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub context: Option<ContextConfig>,
    /// Problems answered right, where the data are problems
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact: Option<Exact>,
    /// How well energies tell text from corrupted text, where that was asked for
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separation: Option<Separation>,
    /// The measures by numbers of steps, where that was asked for
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Thinking>,
}

impl Report {
    /// From the measures of System 1 and of System 2 after `refine_steps`.
    pub fn new(s1: &Summary, s2: &Summary, windows: usize, refine_steps: i64) -> Self {
        Self {
            nll_s1: s1.nll,
            nll_s2: s2.nll,
            ppl_s1: s1.nll.exp(),
            ppl_s2: s2.nll.exp(),
            energy_initial: s1.energy,
            energy_final: s2.energy,
            energy_gap: s1.energy - s2.energy,
            windows,
            refine_steps,
            mean_steps: None,
            context: None,
            exact: None,
            separation: None,
            thinking: None,
        }
    }

    /// Bits per character of an NLL.
    pub fn bits(nll: f64) -> f64 {
        nll / std::f64::consts::LN_2
    }
}

/// Consecutive windows of `block_size` from the start of a split, targets one character on; the last incomplete one is dropped. Of
/// problems, all.
pub fn window_offsets(corpus: &Corpus, split: Split, block_size: i64) -> Result<Vec<usize>, DataError> {
    let last = corpus.windows(split, block_size, 1)?;
    Ok((0..last).step_by(corpus.stride(block_size)).collect())
}

/// Windows of a text.
#[derive(Debug, Clone)]
pub struct Windows<'a> {
    /// The text
    pub corpus: &'a Corpus,
    /// The part they are in
    pub split: Split,
    /// Where they begin in it
    pub offsets: Vec<usize>,
    /// Their length T
    pub block_size: i64,
    /// Only the last so many positions of each are scored
    pub scored: i64,
}

impl<'a> Windows<'a> {
    /// All [`window_offsets`] of a split.
    pub fn consecutive(corpus: &'a Corpus, split: Split, block_size: i64) -> Result<Self, DataError> {
        Ok(Self { corpus, split, offsets: window_offsets(corpus, split, block_size)?, block_size, scored: block_size })
    }

    /// Windows of a text that slide by `stride` ≤ T characters, of which the last `stride` are scored: each after T − `stride` others at
    /// least. The first T − `stride` characters of the split are not scored.
    pub fn sliding(corpus: &'a Corpus, split: Split, block_size: i64, stride: i64) -> Result<Self, DataError> {
        let last = corpus.windows(split, block_size, 1)?;
        Ok(Self { corpus, split, offsets: (0..last).step_by(stride as usize).collect(), block_size, scored: stride })
    }

    /// `idx` (B, T) and `targets` (B, A), what follows the last A positions, of all windows in turn.
    pub fn batches(&self, batch_size: i64, device: Device) -> impl Iterator<Item = (Tensor, Tensor)> {
        let batches = self.offsets.chunks(batch_size as usize);
        batches.map(move |offsets| {
            let (idx, targets) = self.corpus.batch(self.split, offsets, self.block_size, device);
            let a = targets.size()[1].min(self.scored);
            (idx, targets.narrow(1, targets.size()[1] - a, a))
        })
    }
}

/// An error where positions think of all others, but only some are scored: the others would be missing.
pub fn check_scored(ebm: &Ebm, windows: &Windows) -> Result<(), Error> {
    let some = windows.corpus.problems().is_some() || windows.scored < windows.block_size;
    if some && ebm.thinks_of_all() {
        return Err(Error::Request(
            "with model.refine_reduction=mean or model.use_soft_tokens=true every position thinks of all others, but stride and \
             data=addition score only some; use model.refine_reduction=sum and hard tokens"
                .to_owned(),
        ));
    }
    Ok(())
}

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
/// the number done after each batch. With fast weights the windows are read in order, from the trained weights on, chunk by chunk.
pub fn measure(
    ebm: &Ebm,
    windows: &Windows,
    predictions: &[Prediction],
    (batch_size, compute): (i64, Kind),
    mut fast: Option<&mut FastWeights>,
    mut progress: impl FnMut(u64),
) -> Vec<Scores> {
    let steps = |prediction: &Prediction| if let Prediction::Steps(steps) = prediction { *steps } else { 0 };
    let most = predictions.iter().map(steps).max().unwrap_or_default();
    let kept = (most + 1).saturating_mul(windows.block_size * ebm.config.vocab_size); // numbers of one window's trajectory
    let batch_size = match &fast {
        Some(fast) => fast.settings.context_chunk,
        None => batch_size.min((MOST_LOGITS as i64 / kept).max(1)),
    };
    let pass = Pass::eval(compute);
    let mut scores = vec![Scores::default(); predictions.len()];
    for (idx, targets) in windows.batches(batch_size, ebm.device()) {
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
            Some(fast) => fast.read(&idx, &targets, score),
            None => no_grad(|| score(&ebm.read_for(&idx, &targets, pass))),
        }
        progress(idx.size()[0] as u64);
    }
    if let Some(fast) = fast {
        fast.forget(); // whatever is measured next has read nothing yet
    }
    scores
}

/// Evaluates System 1, and System 2 after `refine_steps`, on windows; calls `progress` with the number done after each batch.
pub fn evaluate(
    ebm: &Ebm,
    windows: &Windows,
    refine_steps: i64,
    work: (i64, Kind),
    fast: Option<&mut FastWeights>,
    progress: impl FnMut(u64),
) -> Report {
    let predictions = [Prediction::Steps(0), Prediction::Steps(refine_steps)];
    let scores = measure(ebm, windows, &predictions, work, fast, progress);
    let report = Report::new(&scores[0].summary(), &scores[1].summary(), windows.offsets.len(), refine_steps);
    Report { exact: exact(windows, &predictions, &scores), mean_steps: scores[1].mean_steps(), ..report }
}
