//! The honest control beside thinking: System 1 with the temperature that suits it best.
//!
//! Descending an expected energy sharpens a prediction, and so does a temperature below 1. What thinking is worth is what it adds
//! to that. The temperature is fitted on the training split, so that the evaluated one has no part in it.

use tch::{Kind, Tensor, no_grad};

use crate::data::shuffle::permutation;
use crate::data::{DataError, Split};
use crate::ebm::Ebm;
use crate::energy::{expected_energy, token_energies};
use crate::eval::measure::MOST_LOGITS;
use crate::eval::windows::Windows;
use crate::nn::pass::Pass;

/// Fixed: the same text gives the same windows.
const SEED: u64 = 1337;
/// 1/T is sought between these.
const BOUNDS: (f64, f64) = (0.05, 20.0);
/// Newton's method ends at this relative change of 1/T, or after so many steps.
const PRECISION: (f64, usize) = (1e-7, 100);

/// Logits (B, T, V) with the next tokens (B, T).
type Chunk = (Tensor, Tensor);

/// Windows of the training split to fit on: a fixed random choice, as many as `like` has where the split and the memory allow.
pub fn training_windows<'a>(like: &Windows<'a>, vocab_size: i64) -> Result<Windows<'a>, DataError> {
    let all = Windows::consecutive(like.corpus, Split::Train, like.block_size)?;
    let most = MOST_LOGITS / (like.block_size * vocab_size).max(1) as usize;
    let n = like.offsets.len().min(most.max(1)).min(all.offsets.len());
    let offsets = permutation(all.offsets.len(), SEED).take(n).map(|i| all.offsets[i]).collect();
    Ok(Windows { offsets, scored: like.scored, ..all })
}

/// The temperature T at which softmax(logits / T) of System 1 has the lowest NLL on `windows`; calls `progress` with the number read
/// after each batch.
pub fn fit_temperature(
    ebm: &Ebm,
    windows: &Windows,
    (batch_size, compute): (i64, Kind),
    mut progress: impl FnMut(u64),
) -> f64 {
    let mut chunks = Vec::new();
    for (idx, targets) in windows.batches(batch_size, ebm.device()) {
        let reading = no_grad(|| ebm.read_for(&idx, &targets, Pass::eval(compute)));
        let logits = -reading.energies; // (B, A, V)
        progress(idx.size()[0] as u64);
        chunks.push((logits, targets));
    }
    no_grad(|| 1.0 / best_inverse_temperature(&chunks))
}

/// The minimum of the NLL in β = 1/T, which is convex there: Newton's method, kept between bounds that close in.
fn best_inverse_temperature(chunks: &[Chunk]) -> f64 {
    let (mut low, mut high) = BOUNDS;
    let (precision, steps) = PRECISION;
    let mut beta = 1.0;
    for _ in 0..steps {
        let (slope, curvature) = derivatives(chunks, beta);
        if slope > 0.0 {
            high = beta
        } else {
            low = beta
        }
        let newton = beta - slope / curvature;
        let next = if newton > low && newton < high { newton } else { f64::sqrt(low * high) };
        let change = (next - beta).abs();
        beta = next;
        if change <= precision * beta {
            break;
        }
    }
    beta
}

/// ∂NLL/∂β = Σ (⟨x⟩ − x_target) and ∂²NLL/∂β² = Σ (⟨x²⟩ − ⟨x⟩²) of logits x, the means under softmax(β x).
fn derivatives(chunks: &[Chunk], beta: f64) -> (f64, f64) {
    let (mut slope, mut curvature) = (0.0, 0.0);
    for (x, targets) in chunks {
        let scaled = x * beta;
        let mean = expected_energy(&scaled, x); // (B, T)
        let variance = expected_energy(&scaled, &x.square()) - mean.square();
        slope += (mean - token_energies(x, targets)).sum(Kind::Double).double_value(&[]);
        curvature += variance.sum(Kind::Double).double_value(&[]);
    }
    (slope, curvature)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two characters, the first always ahead by `lead`; right where the target is 0.
    fn chunk(lead: f32, targets: &[i64]) -> Chunk {
        let logits: Vec<f32> = targets.iter().flat_map(|_| [lead, 0.0]).collect();
        (Tensor::from_slice(&logits).view([1, -1, 2]), Tensor::from_slice(targets).unsqueeze(0))
    }

    #[test]
    fn temperatures_by_hand() {
        // σ(lead / T) is the share of right ones at the minimum: T = lead / ln(right / wrong).
        for (lead, right, wrong) in [(2.0, 3, 1), (0.5, 3, 1), (8.0, 5, 3), (1.0986123, 3, 1)] {
            let targets = [vec![0; right], vec![1; wrong]].concat();
            let found = 1.0 / best_inverse_temperature(&[chunk(lead, &targets)]);
            let expected = f64::from(lead) / (right as f64 / wrong as f64).ln();
            assert!((found / expected - 1.0).abs() < 1e-5, "{found} and {expected}");
        }
    }

    #[test]
    fn chunks_count_together() {
        let apart = [chunk(2.0, &[0, 0]), chunk(2.0, &[0, 1])];
        let found = best_inverse_temperature(&apart);
        assert!((found - 3f64.ln() / 2.0).abs() < 1e-5, "{found}");
    }

    #[test]
    fn a_minimum_out_of_reach_ends_at_the_bound() {
        let always_right = best_inverse_temperature(&[chunk(1.0, &[0, 0])]);
        let always_wrong = best_inverse_temperature(&[chunk(1.0, &[1, 1])]);
        assert!(always_right > 0.99 * BOUNDS.1 && always_wrong < 1.01 * BOUNDS.0, "{always_right} {always_wrong}");
    }
}
