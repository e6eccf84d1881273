//! Confidence intervals: a paired bootstrap over windows (Efron, 1979), with percentiles.
//!
//! Every prediction is measured on the same resamples, so that what makes a window hard for all of them drops out of a
//! difference. Windows are taken as independent; neighbours of one text are nearly so.

use crate::data::shuffle::mix;
use crate::eval::scores::{Scores, Summary};

/// Resamples that are drawn.
pub const RESAMPLES: usize = 2000;
/// Probability that an interval is meant to hold.
pub const CONFIDENCE: f64 = 0.95;
/// Fixed: the same scores have the same intervals.
const SEED: u64 = 1337;

/// A number with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

/// The measures of a prediction, or of a difference of two, and the same on every resample.
#[derive(Debug, Clone)]
pub struct Resampled {
    /// On the windows as they are
    pub value: Summary,
    resamples: Vec<Summary>,
}

/// Measures predictions on the same resamples of the same windows.
pub fn resample(scores: &[&Scores]) -> Vec<Resampled> {
    let windows = scores.iter().map(|s| s.windows()).min().unwrap_or_default();
    let mut all: Vec<Resampled> =
        scores.iter().map(|s| Resampled { value: s.summary(), resamples: Vec::with_capacity(RESAMPLES) }).collect();
    for n in 0..RESAMPLES {
        let weights = draw(windows, n);
        for (scores, resampled) in scores.iter().zip(&mut all) {
            resampled.resamples.push(scores.weighted(&weights));
        }
    }
    all
}

/// How often each window is in the `n`-th resample: as many draws as windows, with replacement.
fn draw(windows: usize, n: usize) -> Vec<f64> {
    let mut weights = vec![0.0; windows];
    let start = mix(SEED ^ mix(n as u64));
    for i in 0..windows as u64 {
        weights[(mix(start.wrapping_add(i)) % windows as u64) as usize] += 1.0;
    }
    weights
}

impl Resampled {
    /// This less `other`, on each resample.
    pub fn minus(&self, other: &Self) -> Self {
        let difference = |a: &Summary, b: &Summary| {
            let (a, b) = (a.values(), b.values());
            Summary::from(std::array::from_fn(|i| a[i] - b[i]))
        };
        let pairs = self.resamples.iter().zip(&other.resamples);
        Self { value: difference(&self.value, &other.value), resamples: pairs.map(|(a, b)| difference(a, b)).collect() }
    }

    /// One measure with its interval.
    pub fn estimate(&self, measure: impl Fn(&Summary) -> f64) -> Estimate {
        let mut values: Vec<f64> = self.resamples.iter().map(&measure).collect();
        values.sort_unstable_by(f64::total_cmp);
        let tail = (1.0 - CONFIDENCE) / 2.0;
        Estimate { value: measure(&self.value), low: percentile(&values, tail), high: percentile(&values, 1.0 - tail) }
    }
}

/// The value below which a share of sorted values lies, linear between two of them.
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = share * sorted.len().saturating_sub(1) as f64;
    let at = |i: f64| sorted.get(i as usize).copied().unwrap_or(f64::NAN);
    at(place.floor()) + (at(place.ceil()) - at(place.floor())) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::scores::Base;
    use tch::Tensor;

    /// Windows of one position: probability `p` for the right one of two characters.
    fn scores(p: impl IntoIterator<Item = f64>) -> Scores {
        let p: Vec<f32> = p.into_iter().flat_map(|p| [p as f32, 1.0 - p as f32]).collect();
        let logits = Tensor::from_slice(&p).log().view([-1, 1, 2]);
        let mut scores = Scores::default();
        scores.add(
            &logits,
            &Tensor::zeros([p.len() as i64 / 2, 1], (tch::Kind::Int64, tch::Device::Cpu)),
            &Base::new(&-&logits),
        );
        scores
    }

    #[test]
    fn percentiles_by_hand() {
        let values: Vec<f64> = (0..=40).map(f64::from).collect();
        assert_eq!((percentile(&values, 0.025), percentile(&values, 0.975)), (1.0, 39.0));
        assert_eq!(percentile(&[1.0, 2.0], 0.25), 1.25);
        assert_eq!(percentile(&[7.0], 0.975), 7.0);
    }

    #[test]
    fn a_draw_is_as_large_as_the_windows_and_draws_differ() {
        for windows in [1, 5, 1000] {
            assert_eq!(draw(windows, 3).iter().sum::<f64>(), windows as f64);
        }
        assert_ne!(draw(1000, 1), draw(1000, 2));
        let left_out = draw(10_000, 7).iter().filter(|&&w| w == 0.0).count() as f64 / 10_000.0;
        assert!((left_out - (-1f64).exp()).abs() < 0.02, "{left_out}"); // (1 − 1/n)ⁿ → 1/e
    }

    #[test]
    fn the_interval_of_a_mean_is_that_of_the_normal_law() {
        // 0.9 and 0.1 in turn: every second window is right, so accuracy has the standard error ½/√n.
        let n = 1000;
        let scores = scores((0..n).map(|i| if i % 2 == 0 { 0.9 } else { 0.1 }));
        let accuracy = resample(&[&scores])[0].estimate(|s| s.accuracy);
        assert_eq!(accuracy.value, 0.5);
        let half = 1.96 * 0.5 / f64::from(n).sqrt();
        for (found, expected) in [(accuracy.low, 0.5 - half), (accuracy.high, 0.5 + half)] {
            assert!((found - expected).abs() < 0.1 * half, "{accuracy:?}, {half}");
        }
    }

    #[test]
    fn pairing_takes_out_what_both_share() {
        // Windows differ a lot, the two predictions by the same factor everywhere.
        let p = |i: i32| 0.1 + 0.008 * f64::from(i % 100);
        let both = resample(&[&scores((0..500).map(p)), &scores((0..500).map(|i| p(i) * 0.9))]);
        let alone = both[0].estimate(|s| s.nll);
        assert!(alone.high - alone.low > 0.05, "{alone:?}");
        let difference = both[1].minus(&both[0]).estimate(|s| s.nll);
        for end in [difference.value, difference.low, difference.high] {
            assert!((end - (1.0f64 / 0.9).ln()).abs() < 1e-6, "{difference:?}");
        }
    }
}
