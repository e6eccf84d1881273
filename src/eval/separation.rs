//! Telling text from corrupted text by energy: what an energy landscape is good for, measured.
//!
//! The energy of a text is the mean over its positions of the energy that contrastive training lowers: E(h_t, next token), or
//! with `contrastive_energy=same_token` that of the token just read. Beside it stands the same measure for the mean negative
//! log-likelihood, which is the energy with each position's free constant taken out: energies are worth what they add to that.

use serde::Serialize;
use tch::{Kind, Tensor, no_grad};

use crate::config::ContrastiveEnergy;
use crate::data::Vocab;
use crate::data::shuffle::mix;
use crate::ebm::Ebm;
use crate::energy::token_energies;
use crate::eval::windows::Windows;
use crate::nn::pass::Pass;

/// Fixed: two models are compared on the same corruptions.
const SEED: u64 = 1337;

/// What is done to a text, as [`Separation`] says.
#[derive(Debug, Clone, Copy)]
enum Corruption {
    OneCharacter,
    ShuffledWords,
    UniformNoise,
}

/// Area under the ROC curve: the probability that a corrupted text scores higher than another text that is intact. ½ is chance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Auroc {
    /// Scored by energy
    pub energy: f64,
    /// Scored by negative log-likelihood
    pub nll: f64,
}

/// [`Auroc`] for each corruption.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Separation {
    /// One character becomes another
    pub one_character: Auroc,
    /// The words change places; the white space stays
    pub shuffled_words: Auroc,
    /// Every character is drawn uniformly
    pub uniform_noise: Auroc,
}

/// Texts that [`separation`] scores for each window: itself and three corruptions.
pub const SCORINGS: u64 = 4;

/// Scores windows intact and corrupted; calls `progress` with the number scored after each batch.
pub fn separation(
    ebm: &Ebm,
    texts: &Windows,
    (batch_size, compute): (i64, Kind),
    mut progress: impl FnMut(u64),
) -> Separation {
    let mut score = |corruption: Option<Corruption>| {
        let mut means = Means::default();
        for batch in texts.offsets.chunks(batch_size as usize) {
            let mut windows = Vec::new();
            for &offset in batch {
                let mut ids = texts.corpus.ids(texts.split, offset, texts.block_size as usize + 1);
                if let Some(corruption) = corruption {
                    corrupt(&mut ids, &texts.corpus.vocab, corruption, mix(SEED ^ mix(offset as u64)));
                }
                windows.extend(ids);
            }
            let windows = Tensor::from_slice(&windows).view([batch.len() as i64, -1]).to_device(ebm.device()); // (B, T + 1)
            no_grad(|| means.add(ebm, &windows, Pass::eval(compute)));
            progress(batch.len() as u64);
        }
        means
    };
    let intact = score(None);
    let [one_character, shuffled_words, uniform_noise] =
        [Corruption::OneCharacter, Corruption::ShuffledWords, Corruption::UniformNoise].map(|corruption| {
            let corrupted = score(Some(corruption));
            Auroc { energy: auroc(&intact.energy, &corrupted.energy), nll: auroc(&intact.nll, &corrupted.nll) }
        });
    Separation { one_character, shuffled_words, uniform_noise }
}

/// The means of energy and NLL over each window.
#[derive(Default)]
struct Means {
    energy: Vec<f64>,
    nll: Vec<f64>,
}

impl Means {
    /// Scores windows (B, T + 1).
    fn add(&mut self, ebm: &Ebm, windows: &Tensor, pass: Pass) {
        let t = windows.size()[1] - 1;
        let (idx, targets) = (windows.narrow(1, 0, t), windows.narrow(1, 1, t)); // (B, T) each
        let energies = ebm.read(&idx, pass).energies; // (B, T, V)
        let log_p = (-&energies).log_softmax(-1, None);
        self.nll.extend(window_means(&-token_energies(&log_p, &targets)));
        let energies = match ebm.config.contrastive_energy {
            ContrastiveEnergy::NextToken => energies,
            ContrastiveEnergy::SameToken => ebm.energies(&ebm.hidden_states(&targets, pass), pass),
        };
        self.energy.extend(window_means(&token_energies(&energies, &targets)));
    }
}

/// (B, T) → B numbers, read from the device.
fn window_means(values: &Tensor) -> Vec<f64> {
    let means = values.to_kind(Kind::Double).mean_dim([1i64].as_slice(), false, None::<Kind>);
    Vec::try_from(means).unwrap_or_default()
}

/// Corrupts a window in place; its first character is context that no score looks at.
fn corrupt(ids: &mut [i64], vocab: &Vocab, corruption: Corruption, seed: u64) {
    let below = |i: usize, n: usize| (mix(seed.wrapping_add(i as u64)) % n.max(1) as u64) as usize;
    match corruption {
        Corruption::OneCharacter => {
            let place = 1 + below(0, ids.len() - 1);
            let other = below(1, vocab.len() - 1) as i64; // an id of those that are left without this one
            ids[place] = other + i64::from(other >= ids[place]);
        }
        Corruption::ShuffledWords => {
            let is_space = |id: i64| vocab.char(id).is_none_or(char::is_whitespace);
            let pieces: Vec<&[i64]> = ids.chunk_by(|&a, &b| is_space(a) == is_space(b)).collect();
            let mut words: Vec<&[i64]> = pieces.iter().copied().filter(|piece| !is_space(piece[0])).collect();
            for i in (1..words.len()).rev() {
                words.swap(i, below(i, i + 1));
            }
            let mut words = words.into_iter();
            let shuffled: Vec<i64> = pieces
                .iter()
                .flat_map(|piece| if is_space(piece[0]) { Some(*piece) } else { words.next() })
                .flatten()
                .copied()
                .collect();
            ids.copy_from_slice(&shuffled);
        }
        Corruption::UniformNoise => {
            for (i, id) in ids.iter_mut().enumerate() {
                *id = below(i, vocab.len()) as i64;
            }
        }
    }
}

/// Share of the pairs in which `high` is above `low`; a tie counts half.
fn auroc(low: &[f64], high: &[f64]) -> f64 {
    let mut sorted = low.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let above = |h: &f64| {
        let (below, not_above) = (sorted.partition_point(|l| l < h), sorted.partition_point(|l| l <= h));
        (below + not_above) as f64 / 2.0
    };
    high.iter().map(above).sum::<f64>() / (low.len() * high.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auroc_counts_pairs() {
        assert_eq!(auroc(&[1.0, 2.0], &[3.0, 4.0]), 1.0);
        assert_eq!(auroc(&[1.0, 3.0], &[2.0, 3.0]), 0.625); // 1 + 0 + 1 + ½ of 4
        assert_eq!(auroc(&[5.0], &[5.0]), 0.5);
    }

    #[test]
    fn corruptions_are_what_they_are_called() {
        let vocab = Vocab::new("abc \n".chars());
        let (text, _) = vocab.encode("ab c\nbca  a b");
        let corrupted = |kind, seed| {
            let mut ids = text.clone();
            corrupt(&mut ids, &vocab, kind, seed);
            ids
        };
        let decode = |ids: &[i64]| ids.iter().filter_map(|&id| vocab.char(id)).collect::<String>();
        for seed in 0..50 {
            let one = corrupted(Corruption::OneCharacter, seed);
            assert_eq!(one.iter().zip(&text).filter(|(a, b)| a != b).count(), 1);
            assert_eq!(one[0], text[0]);
            let shuffled = decode(&corrupted(Corruption::ShuffledWords, seed));
            let mut words: Vec<_> = shuffled.split_whitespace().collect();
            words.sort_unstable();
            assert_eq!(words, ["a", "ab", "b", "bca", "c"]);
            assert!(corrupted(Corruption::UniformNoise, seed).iter().all(|&id| vocab.char(id).is_some()));
        }
        assert_ne!(corrupted(Corruption::ShuffledWords, 1), corrupted(Corruption::ShuffledWords, 2));
    }
}
