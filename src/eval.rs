//! Measuring a model on a whole split: System 1 against System 2.

use serde::Serialize;
use tch::{Kind, no_grad};

use crate::data::{Corpus, DataError, Split};
use crate::ebm::Ebm;
use crate::separation::Separation;
use crate::transformer::Pass;

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
    /// How well energies tell text from corrupted text, where that was asked for
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separation: Option<Separation>,
}

impl Report {
    /// Bits per character of an NLL.
    pub fn bits(nll: f64) -> f64 {
        nll / std::f64::consts::LN_2
    }
}

/// Consecutive windows of `block_size` from the start of a split, targets one character on; the last incomplete one is dropped.
pub fn window_offsets(corpus: &Corpus, split: Split, block_size: i64) -> Result<Vec<usize>, DataError> {
    let last = corpus.windows(split, block_size, 1)?;
    Ok((0..last).step_by(block_size as usize).collect())
}

/// Evaluates on windows at `offsets`; calls `progress` with the number done after each batch.
pub fn evaluate(
    ebm: &Ebm,
    corpus: &Corpus,
    (split, offsets): (Split, &[usize]),
    (refine_steps, batch_size): (i64, i64),
    compute: Kind,
    mut progress: impl FnMut(u64),
) -> Report {
    let names = ["nll_s1", "nll_s2", "initial_energy", "final_energy"];
    let mut sums = [0.0; 4];
    for batch in offsets.chunks(batch_size as usize) {
        let (idx, targets) = corpus.batch(split, batch, ebm.config.block_size, ebm.device());
        let metrics =
            no_grad(|| ebm.forward(&idx, &targets, Some(refine_steps), Pass::eval(compute))).metrics(&targets);
        for (sum, name) in sums.iter_mut().zip(names) {
            *sum += metrics.get(name) * batch.len() as f64;
        }
        progress(batch.len() as u64);
    }
    let [nll_s1, nll_s2, energy_initial, energy_final] = sums.map(|sum| sum / offsets.len() as f64);
    Report {
        nll_s1,
        nll_s2,
        ppl_s1: nll_s1.exp(),
        ppl_s2: nll_s2.exp(),
        energy_initial,
        energy_final,
        energy_gap: energy_initial - energy_final,
        windows: offsets.len(),
        refine_steps,
        separation: None,
    }
}
