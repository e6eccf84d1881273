//! What `eval` measures of one model: System 1 beside System 2, or every number of thinking steps that was asked for.

use serde::Serialize;
use tch::Kind;

use crate::config::FastWeightsConfig;
use crate::ebm::Ebm;
use crate::eval::by_steps::{BySteps, predictions};
use crate::eval::exact::{Exact, exact};
use crate::eval::measure::{Prediction, measure};
use crate::eval::scores::Scores;
use crate::eval::separation::Separation;
use crate::eval::temperature::fit_temperature;
use crate::eval::windows::Windows;
use crate::fast_weights::{Diverged, FastWeights};

/// Means over all positions of all windows; NLL in nats per character. What was not asked for is left out of the JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
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
    pub context: Option<FastWeightsConfig>,
    /// Problems answered right, where the data are problems
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact: Option<Exact>,
    /// How well energies tell text from corrupted text, where that was asked for
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separation: Option<Separation>,
    /// The measures by numbers of steps, where that was asked for
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub by_steps: Option<BySteps>,
}

impl Evaluation {
    /// From the scores of predictions, of which the first is System 1 and, where `refine_steps` is not 0, the last is System 2.
    fn new(windows: &Windows, predictions: &[Prediction], scores: &[Scores], refine_steps: i64) -> Self {
        let last = &scores[scores.len() - 1];
        let s1 = scores[0].summary();
        let s2 = if refine_steps == 0 { s1 } else { last.summary() };
        Self {
            nll_s1: s1.nll,
            nll_s2: s2.nll,
            ppl_s1: s1.nll.exp(),
            ppl_s2: s2.nll.exp(),
            energy_initial: s1.energy,
            energy_final: s2.energy,
            energy_gap: s1.energy - s2.energy,
            windows: windows.offsets.len(),
            refine_steps,
            mean_steps: last.mean_steps(),
            context: None,
            exact: exact(windows, predictions, scores),
            separation: None,
            by_steps: None,
        }
    }
}

/// Evaluates System 1, and System 2 after `refine_steps`, on windows; calls `progress` with the number done after each batch.
pub fn evaluate(
    ebm: &Ebm,
    windows: &Windows,
    refine_steps: i64,
    work: (i64, Kind),
    fast: Option<&mut FastWeights>,
    progress: impl FnMut(u64),
) -> Result<Evaluation, Diverged> {
    let predictions = [Prediction::Steps(0), Prediction::Steps(refine_steps)];
    let scores = measure(ebm, windows, &predictions, work, fast, progress)?;
    Ok(Evaluation::new(windows, &predictions, &scores, refine_steps))
}

/// The same for all of `steps` (in any order; 0 is always among them), beside System 1 at the temperature that suits `training`
/// best. System 2 is then that of the most steps.
pub fn evaluate_by_steps(
    ebm: &Ebm,
    (windows, training): (&Windows, &Windows),
    steps: &[i64],
    work: (i64, Kind),
    fast: Option<&mut FastWeights>,
    mut progress: impl FnMut(u64),
) -> Result<Evaluation, Diverged> {
    let temperature = fit_temperature(ebm, training, work, &mut progress);
    let predictions = predictions(steps, temperature);
    let scores = measure(ebm, windows, &predictions, work, fast, progress)?;
    let most = steps.iter().copied().max().unwrap_or_default();
    let by_steps = BySteps::new(&predictions, &scores, (temperature, training.offsets.len()));
    Ok(Evaluation { by_steps: Some(by_steps), ..Evaluation::new(windows, &predictions, &scores, most) })
}
