//! What thinking is worth: the measures of a model by its number of thinking steps, beside System 1 at its best temperature.

use serde::Serialize;
use tch::Kind;

use crate::ebm::Ebm;
use crate::eval::bootstrap::{CONFIDENCE, RESAMPLES, Resampled, resample};
use crate::eval::exact::exact;
use crate::eval::scores::{BINS, Scores};
use crate::eval::table::{self, Column, Format};
use crate::eval::temperature::fit_temperature;
use crate::eval::{Prediction, Report, Windows, measure};
use crate::fast_weights::FastWeights;
use crate::metrics::Row;

/// A row for System 1, for its best temperature and for each number of steps. The names are those of [`crate::eval::scores::Summary`] with
/// `_low` and `_high`, then `nll_minus_system1` and `nll_minus_temperature`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Thinking {
    /// System 1's best temperature
    pub temperature: f64,
    /// Windows of the training split that it was fitted on
    pub temperature_windows: usize,
    /// Bins of the expected calibration error
    pub ece_bins: usize,
    /// Resamples behind the intervals
    pub resamples: usize,
    /// Probability that an interval is meant to hold
    pub confidence: f64,
    /// The measures
    pub rows: Vec<Row>,
}

/// Measures `steps` (any order; 0 is always among them) on `windows`, with the temperature fitted on `training`; System 2 of the
/// report is that of the most steps. `progress` gets the number of windows done.
pub fn thinking(
    ebm: &Ebm,
    (windows, training): (&Windows, &Windows),
    steps: &[i64],
    work: (i64, Kind),
    fast: Option<&mut FastWeights>,
    mut progress: impl FnMut(u64),
) -> Report {
    let temperature = fit_temperature(ebm, training, work, &mut progress);
    let predictions = predictions(steps, temperature);
    let scores = measure(ebm, windows, &predictions, work, fast, progress);
    let (first, last) = (scores[0].summary(), scores[scores.len() - 1].summary());
    let most = steps.iter().copied().max().unwrap_or_default();
    let mut report = Report::new(&first, if most == 0 { &first } else { &last }, windows.offsets.len(), most);
    report.mean_steps = scores[scores.len() - 1].mean_steps();
    report.exact = exact(windows, &predictions, &scores);
    report.thinking = Some(Thinking {
        temperature,
        temperature_windows: training.offsets.len(),
        ece_bins: BINS,
        resamples: RESAMPLES,
        confidence: CONFIDENCE,
        rows: rows(&predictions, &scores),
    });
    report
}

/// System 1, the control, then the numbers of steps in order.
fn predictions(steps: &[i64], temperature: f64) -> Vec<Prediction> {
    let mut steps: Vec<i64> = steps.iter().copied().filter(|&steps| steps > 0).collect();
    steps.sort_unstable();
    steps.dedup();
    let control = [Prediction::Steps(0), Prediction::Temperature(temperature)];
    control.into_iter().chain(steps.into_iter().map(Prediction::Steps)).collect()
}

fn rows(predictions: &[Prediction], scores: &[Scores]) -> Vec<Row> {
    let taken: Vec<Option<f64>> = scores.iter().map(Scores::mean_steps).collect();
    let measured = resample(&scores.iter().collect::<Vec<_>>());
    let [system1, control, ..] = measured.as_slice() else { return Vec::new() };
    let row = |((prediction, measured), taken): ((&Prediction, &Resampled), &Option<f64>)| {
        let (steps, temperature) = match *prediction {
            Prediction::Steps(steps) => (steps, 1.0),
            Prediction::Temperature(t) => (0, t),
        };
        let mut row = Row::new();
        row.insert("name".to_owned(), prediction.to_string().into());
        row.insert("steps".to_owned(), steps.into());
        row.insert("temperature".to_owned(), temperature.into());
        if let Some(taken) = *taken {
            row.insert("mean_steps".to_owned(), taken.into());
        }
        table::put_measures(&mut row, measured);
        for (name, other) in [("nll_minus_system1", system1), ("nll_minus_temperature", control)] {
            table::put_estimate(&mut row, name, measured.minus(other).estimate(|summary| summary.nll));
        }
        row
    };
    predictions.iter().zip(&measured).zip(&taken).map(row).collect()
}

impl Thinking {
    /// Tables of 80 columns.
    pub fn tables(&self) -> String {
        const LIKELIHOOD: [Column; 5] = [
            ("nll", "NLL (nats)", 12, Format::Number),
            ("nll", "95 % interval", 18, Format::Interval),
            ("perplexity", "perplexity", 12, Format::Number),
            ("bits_per_char", "bits/char", 10, Format::Number),
            ("accuracy", "accuracy", 10, Format::Percent),
        ];
        const OTHERS: [Column; 5] = [
            ("ece", "ECE", 12, Format::Percent),
            ("entropy", "entropy", 10, Format::Number),
            ("energy", "E[energy]", 12, Format::Number),
            ("energy_gap", "energy gap", 12, Format::Number),
            ("changed", "top-1 changed", 15, Format::Percent),
        ];
        const DIFFERENCES: [Column; 2] = [
            ("nll_minus_system1", "NLL less System 1's", 30, Format::Difference),
            ("nll_minus_temperature", "NLL less that at its best T", 30, Format::Difference),
        ];
        let [likelihood, others, differences]: [&[Column]; 3] = [&LIKELIHOOD, &OTHERS, &DIFFERENCES];
        let tables = [likelihood, others, differences].map(|columns| table::table(&self.rows, columns));
        let fitted = self.temperature_windows;
        tables.join("\n")
            + &table::footnote()
            + &format!("T = {:.4}, fitted on {fitted} windows of the training split\n", self.temperature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_sorted_and_system_one_is_among_them() {
        let names: Vec<String> = predictions(&[16, 1, 16], 0.966).iter().map(Prediction::to_string).collect();
        assert_eq!(names, ["System 1", "System 1, T = 0.97", "System 2, 1 step", "System 2, 16 steps"]);
    }
}
