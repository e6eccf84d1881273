//! What a prediction is worth: measures of logits against a text, kept per window so that they can be resampled.

use tch::{Kind, Tensor};

use crate::energy;
use crate::processes::Processes;

/// Bins of the expected calibration error: equally wide in confidence, each with its upper edge.
pub const BINS: usize = 15;
/// Measures that are means over the positions of a window.
const MEANS: usize = 6;

/// The measures of one prediction over a set of windows.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Summary {
    /// Negative log-likelihood in nats per character
    pub nll: f64,
    /// Share of positions whose likeliest character is the text's
    pub accuracy: f64,
    /// Expected calibration error (Naeini et al., 2015; Guo et al., 2017): the mean over positions of |accuracy − confidence| of a
    /// position's bin, where confidence is the probability of the likeliest character
    pub ece: f64,
    /// Entropy of the prediction in nats
    pub entropy: f64,
    /// Expected energy under the prediction; energies are those of the text as it stands, with soft tokens too
    pub energy: f64,
    /// System 1's energy less this one
    pub energy_gap: f64,
    /// Share of positions whose likeliest character is another than System 1's
    pub changed: f64,
}

impl Summary {
    /// The measures in order.
    pub const NAMES: [&'static str; MEANS + 1] =
        ["nll", "accuracy", "ece", "entropy", "energy", "energy_gap", "changed"];

    /// The numbers in the order of [`Summary::NAMES`].
    pub fn values(&self) -> [f64; MEANS + 1] {
        [self.nll, self.accuracy, self.ece, self.entropy, self.energy, self.energy_gap, self.changed]
    }
}

impl From<[f64; MEANS + 1]> for Summary {
    fn from([nll, accuracy, ece, entropy, energy, energy_gap, changed]: [f64; MEANS + 1]) -> Self {
        Self { nll, accuracy, ece, entropy, energy, energy_gap, changed }
    }
}

/// Bits per character of an NLL in nats.
pub fn bits_per_char(nll: f64) -> f64 {
    nll / std::f64::consts::LN_2
}

/// System 1's prediction, beside which every other is measured.
#[derive(Debug)]
pub struct Base {
    /// Energy of every next token (B, T, V)
    energies: Tensor,
    /// Expected energy (B, T)
    energy: Tensor,
    /// Likeliest token (B, T)
    likeliest: Tensor,
}

impl Base {
    /// From the energies (B, T, V) of a text.
    pub fn new(energies: &Tensor) -> Self {
        let logits = -energies;
        Self {
            energies: energies.shallow_clone(),
            energy: energy::expected_energy(&logits, energies),
            likeliest: logits.argmax(-1, false),
        }
    }
}

/// One prediction, window by window.
#[derive(Debug, Clone, Default)]
pub struct Scores {
    /// For each window the means over its positions, then of each bin the sum of accuracy − confidence over its positions, by T:
    /// the calibration error of any set of windows is made of these.
    windows: Vec<[f64; MEANS + BINS]>,
    /// Steps of thinking taken, summed over positions, and the number of positions
    steps: (f64, f64),
}

impl Scores {
    /// Adds windows: logits (B, T, V), the text's next tokens (B, T), and System 1's prediction of the same windows.
    pub fn add(&mut self, logits: &Tensor, targets: &Tensor, base: &Base) {
        let log_p = logits.log_softmax(-1, None);
        let nll = -energy::token_energies(&log_p, targets); // (B, T), the gather of one value per position
        let (confidence, likeliest) = log_p.max_dim(-1, false); // (B, T) each
        let correct = likeliest.eq_tensor(targets);
        let energy = energy::expected_energy(logits, &base.energies);
        let gap = &base.energy - &energy;
        let changed = likeliest.not_equal_tensor(&base.likeliest);
        let means = [&nll, &correct, &energy::entropy(logits), &energy, &gap, &changed];
        let means = Tensor::stack(&means.map(|values| values.to_kind(Kind::Double)), 2); // (B, T, MEANS)
        let means = means.mean_dim([1i64].as_slice(), false, None::<Kind>); // (B, MEANS)
        let rows = Tensor::cat(&[means, bin_gaps(&confidence.exp(), &correct)], 1); // (B, MEANS + BINS)
        let rows = Vec::<f64>::try_from(rows.reshape([-1])).unwrap_or_default(); // read from the device: one number per measure
        let (rows, _) = rows.as_chunks();
        self.windows.extend_from_slice(rows);
    }

    /// Adds the steps that the positions of a trajectory, predictions (B, T, V) one after another, took: those that changed something.
    pub fn count_steps(&mut self, trajectory: &[Tensor]) {
        let moved =
            |pair: &[Tensor]| pair[0].not_equal_tensor(&pair[1]).any_dim(-1, false).sum(Kind::Double).double_value(&[]);
        let size = trajectory[0].size();
        self.steps.0 += trajectory.windows(2).map(moved).sum::<f64>(); // read from the device
        self.steps.1 += (size[0] * size[1]) as f64;
    }

    /// Puts together what processes have scored of `n` windows, each every N-th batch.
    pub fn share(&mut self, processes: &Processes, batch_size: i64, n: usize) {
        if processes.size() == 1 {
            return;
        }
        let mine = |window: &usize| window / batch_size as usize % processes.size() == processes.rank();
        let places: Vec<i64> = (0..n).filter(mine).map(|window| window as i64).collect();
        let own = Tensor::from_slice(self.windows.as_flattened()).view([-1, (MEANS + BINS) as i64]);
        let rows = processes.placed(&own, &Tensor::from_slice(&places), n as i64); // (n, MEANS + BINS)
        let rows = Vec::<f64>::try_from(rows.reshape([-1])).unwrap_or_default();
        self.windows = rows.as_chunks().0.to_vec();
        let steps = Tensor::from_slice(&[self.steps.0, self.steps.1]);
        processes.sum(&steps);
        self.steps = (steps.double_value(&[0]), steps.double_value(&[1]));
    }

    /// The mean over positions of the number of steps taken, where they were counted.
    pub fn mean_steps(&self) -> Option<f64> {
        (self.steps.1 > 0.0).then(|| self.steps.0 / self.steps.1)
    }

    /// Whether the likeliest character is the text's at every position of a window: with problems, whether the answer that System 1
    /// or 2 writes without drawing is right.
    pub fn is_exact(&self, window: usize) -> bool {
        let [_, accuracy, ..] = self.windows[window];
        accuracy == 1.0 // a mean of ones
    }

    /// Number of windows.
    pub fn windows(&self) -> usize {
        self.windows.len()
    }

    /// The measures over all windows.
    pub fn summary(&self) -> Summary {
        self.weighted(&vec![1.0; self.windows()])
    }

    /// The measures over windows that count as often as `weights` say; there are as many of both.
    pub fn weighted(&self, weights: &[f64]) -> Summary {
        let mut sums = [0.0; MEANS + BINS];
        for (window, weight) in self.windows.iter().zip(weights) {
            for (sum, value) in sums.iter_mut().zip(window) {
                *sum += weight * value;
            }
        }
        let total: f64 = weights.iter().sum();
        let [nll, accuracy, entropy, energy, energy_gap, changed, gaps @ ..] = sums.map(|sum| sum / total);
        let ece = gaps.iter().map(|gap| gap.abs()).sum();
        Summary { nll, accuracy, ece, entropy, energy, energy_gap, changed }
    }
}

/// The sum of accuracy − confidence in each bin, by T: confidence (B, T), correct (B, T) → (B, [`BINS`]), float64.
fn bin_gaps(confidence: &Tensor, correct: &Tensor) -> Tensor {
    let (b, t) = (confidence.size()[0], confidence.size()[1]);
    let confidence = confidence.to_kind(Kind::Double);
    let bin = (&confidence * BINS as f64).ceil() - 1.0; // (lower, upper] as in Guo et al.
    let bin = bin.clamp(0.0, BINS as f64 - 1.0).to_kind(Kind::Int64); // (B, T)
    let gaps = correct.to_kind(Kind::Double) - &confidence;
    let zeros = Tensor::zeros([b, BINS as i64], (Kind::Double, confidence.device()));
    zeros.scatter_add(1, &bin, &(gaps / t as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits (1, T, 2) of predictions that give the first of two characters these probabilities.
    fn logits(first: &[f64]) -> Tensor {
        let p: Vec<f32> = first.iter().flat_map(|&p| [p as f32, 1.0 - p as f32]).collect();
        Tensor::from_slice(&p).log().view([1, first.len() as i64, 2])
    }

    fn scores(logits: &Tensor, targets: &[i64], energies: &Tensor) -> Scores {
        let mut scores = Scores::default();
        scores.add(logits, &Tensor::from_slice(targets).unsqueeze(0), &Base::new(energies));
        scores
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-6, "{a} and {b}");
    }

    #[test]
    fn calibration_error_by_hand() {
        // Confidences 0.9, 0.9 (one right, one wrong), 0.6 (right), 0.7 (wrong; its likeliest is the second character).
        let x = logits(&[0.9, 0.9, 0.6, 0.3]);
        let s = scores(&x, &[0, 1, 0, 0], &-&x).summary();
        close(s.ece, (2.0 * (0.9 - 0.5) + (1.0 - 0.6) + 0.7) / 4.0);
        close(s.accuracy, 0.5);
        close(s.nll, -(0.9f64.ln() + 0.1f64.ln() + 0.6f64.ln() + 0.3f64.ln()) / 4.0);
    }

    #[test]
    fn right_and_wrong_in_one_bin_cancel_across_windows() {
        let x = logits(&[0.75, 0.75, 0.75, 0.75]);
        let mut s = scores(&x, &[0, 0, 0, 1], &-&x);
        close(s.summary().ece, 0.0); // three of four right at 0.75
        s.add(&x, &Tensor::from_slice(&[1i64, 1, 1, 1]).unsqueeze(0), &Base::new(&-&x));
        close(s.summary().ece, 0.75 - 0.375);
        close(s.weighted(&[2.0, 0.0]).ece, 0.0);
        close(s.weighted(&[0.0, 3.0]).ece, 0.75);
    }

    #[test]
    fn confidence_one_is_in_the_last_bin_and_an_edge_in_the_lower() {
        let confidence = Tensor::from_slice(&[1.0f64, 0.2, 0.2 + 1e-9]).unsqueeze(0); // 0.2 = 3/15
        let gaps = bin_gaps(&confidence, &Tensor::from_slice(&[true, false, false]).unsqueeze(0));
        let gaps = Vec::<f64>::try_from(gaps.reshape([-1]) * 3.0).unwrap();
        close(gaps[14], 0.0);
        close(gaps[2], -0.2);
        close(gaps[3], -0.2);
    }

    #[test]
    fn what_system_two_changed_is_measured_against_system_one() {
        let energies = -logits(&[0.9, 0.6]);
        let s = scores(&logits(&[0.9, 0.4]), &[0, 0], &energies).summary();
        close(s.changed, 0.5);
        let energy = |p: f64, q: f64| -(p * q.ln() + (1.0 - p) * (1.0 - q).ln());
        close(s.energy, (energy(0.9, 0.9) + energy(0.4, 0.6)) / 2.0);
        close(s.energy_gap, (energy(0.6, 0.6) - energy(0.4, 0.6)) / 2.0);
        close(s.entropy, (energy(0.9, 0.9) + energy(0.4, 0.4)) / 2.0);
    }
}
