//! What thinking is worth: the measures of a model by its number of thinking steps, beside System 1 at its best temperature.

use serde::Serialize;

use crate::eval::bootstrap::resample;
use crate::eval::measure::Prediction;
use crate::eval::scores::Scores;
use crate::eval::table::{self, Column, Format, Measured};

/// A row for System 1, for its best temperature and for each number of steps. The names are those of [`crate::eval::scores::Summary`]
/// with `_low` and `_high`, then `nll_minus_system1` and `nll_minus_temperature`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BySteps {
    /// System 1's best temperature
    pub temperature: f64,
    /// Windows of the training split that it was fitted on
    pub temperature_windows: usize,
    /// The measures
    #[serde(flatten)]
    pub measured: Measured,
}

/// System 1, the control, then the numbers of steps in order.
pub fn predictions(steps: &[i64], temperature: f64) -> Vec<Prediction> {
    let mut steps: Vec<i64> = steps.iter().copied().filter(|&steps| steps > 0).collect();
    steps.sort_unstable();
    steps.dedup();
    let control = [Prediction::Steps(0), Prediction::Temperature(temperature)];
    control.into_iter().chain(steps.into_iter().map(Prediction::Steps)).collect()
}

impl BySteps {
    /// From the scores of [`predictions`], and the temperature with the number of windows behind it.
    pub fn new(
        predictions: &[Prediction],
        scores: &[Scores],
        (temperature, temperature_windows): (f64, usize),
    ) -> Self {
        let measured = resample(&scores.iter().collect::<Vec<_>>());
        let mut rows = Vec::new();
        for ((prediction, scores), own) in predictions.iter().zip(scores).zip(&measured) {
            let (steps, temperature) = match *prediction {
                Prediction::Steps(steps) => (steps, 1.0),
                Prediction::Temperature(t) => (0, t),
            };
            let name = prediction.to_string();
            let mut row =
                table::row([("name", name.into()), ("steps", steps.into()), ("temperature", temperature.into())]);
            row.extend(scores.mean_steps().map(|taken| ("mean_steps".to_owned(), taken.into())));
            table::put_measures(&mut row, own);
            for (name, other) in ["nll_minus_system1", "nll_minus_temperature"].into_iter().zip(&measured) {
                table::put_estimate(&mut row, name, own.minus(other).estimate(|summary| summary.nll));
            }
            rows.push(row);
        }
        Self { temperature, temperature_windows, measured: Measured::new(rows) }
    }

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
        let tables: [&[Column]; 3] = [&LIKELIHOOD, &OTHERS, &DIFFERENCES];
        let (temperature, windows) = (self.temperature, self.temperature_windows);
        tables.map(|columns| table::table(&self.measured.rows, columns)).join("\n")
            + &table::footnote()
            + &format!("T = {temperature:.4}, fitted on {windows} windows of the training split\n")
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
