//! Training batches: the order in which a run sees its windows, and who prepares them.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use tch::{Device, Tensor};

use crate::config::Config;
use crate::data::{Corpus, DataError, Split};

type Batch = (Tensor, Tensor, Position);

/// An endless source of batches.
pub struct Batches {
    loader: Loader,
    ahead: Option<Receiver<Batch>>,
}

impl Batches {
    /// Batches of the training split from `position` on. With `num_workers` = n > 0 a thread keeps n batches ready.
    pub fn new(corpus: &Arc<Corpus>, config: &Config, position: Position, device: Device) -> Result<Self, DataError> {
        let shape = (config.data.batch_size, config.data.block_size);
        let loader = Loader::new(corpus.clone(), shape, position.seed(config.train.seed), position, device)?;
        let ahead = (config.data.num_workers > 0).then(|| {
            let (sender, receiver) = sync_channel(config.data.num_workers as usize);
            let mut loader = loader.clone();
            // The thread ends when the receiver is gone.
            std::thread::spawn(move || while sender.send(loader.next_batch()).is_ok() {});
            receiver
        });
        Ok(Self { loader, ahead })
    }

    /// `idx`, `targets` (B, T); `position` moves to what comes after them.
    pub fn next(&mut self, position: &mut Position) -> Result<(Tensor, Tensor), DataError> {
        let (idx, targets, after) = match &self.ahead {
            Some(receiver) => receiver.recv().map_err(|_| DataError::Worker)?,
            None => self.loader.next_batch(),
        };
        *position = after;
        Ok((idx, targets))
    }
}

/// Where a training run stands in its data: saved in checkpoints, so that a resumed run sees what it would have seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Position {
    /// Passes over all windows finished
    pub epoch: u64,
    /// Windows of this pass already used
    pub window: u64,
    /// Which of the seed's orders the passes take: how often the run was rolled back
    #[serde(default)]
    pub order: u64,
}

impl Position {
    /// The seed of everything random: the run's own, and another one after each rollback.
    pub(crate) fn seed(&self, seed: i64) -> u64 {
        if self.order == 0 { seed as u64 } else { mix(seed as u64 ^ mix(self.order)) }
    }
}

/// Training batches without end: every window once per pass, in a new order each pass, the last partial batch dropped.
#[derive(Debug, Clone)]
pub struct Loader {
    corpus: Arc<Corpus>,
    windows: usize,
    batch_size: usize,
    block_size: i64,
    seed: u64,
    device: Device,
    position: Position,
}

impl Loader {
    /// Batches of `batch_size` windows of the training split, from `position` on.
    pub fn new(
        corpus: Arc<Corpus>,
        (batch_size, block_size): (i64, i64),
        seed: u64,
        position: Position,
        device: Device,
    ) -> Result<Self, DataError> {
        let batch_size = batch_size as usize;
        let windows = corpus.windows(Split::Train, block_size, batch_size)?;
        Ok(Self { corpus, windows, batch_size, block_size, seed, device, position })
    }

    /// `idx`, `targets` (B, T), and where the run stands after them.
    pub fn next_batch(&mut self) -> (Tensor, Tensor, Position) {
        if self.position.window as usize + self.batch_size > self.windows {
            self.position = Position { epoch: self.position.epoch + 1, window: 0, ..self.position };
        }
        let order = Shuffle::new(self.windows as u64, self.seed, self.position.epoch);
        let start = self.position.window;
        let offsets: Vec<usize> = (0..self.batch_size as u64).map(|i| order.get(start + i) as usize).collect();
        self.position.window += self.batch_size as u64;
        let (idx, targets) = self.corpus.batch(Split::Train, &offsets, self.block_size, self.device);
        (idx, targets, self.position)
    }
}

/// `n` offsets spread evenly over `windows`: the fixed batches that evaluations during training look at.
pub fn spread(windows: usize, n: usize) -> Vec<usize> {
    (0..n).map(|i| (i as u128 * windows as u128 / n.max(1) as u128) as usize).collect()
}

/// `0..n` in a random order that the seed decides.
pub fn permutation(n: usize, seed: u64) -> impl Iterator<Item = usize> {
    let order = Shuffle::new(n as u64, seed, 0);
    (0..n as u64).map(move |i| order.get(i) as usize)
}

/// A pseudo-random permutation of `0..n` that is computed, not stored: a Feistel network over the next power of four,
/// walked until it lands inside. A stored permutation of a 1 GB text would take 8 GB.
#[derive(Debug)]
struct Shuffle {
    n: u64,
    half_bits: u32,
    keys: [u64; 6],
}

impl Shuffle {
    fn new(n: u64, seed: u64, epoch: u64) -> Self {
        let bits = u64::BITS - n.saturating_sub(1).leading_zeros();
        let key = mix(seed ^ mix(epoch));
        Self {
            n,
            half_bits: bits.div_ceil(2).max(1),
            keys: std::array::from_fn(|round| mix(key.wrapping_add(round as u64))),
        }
    }

    fn get(&self, i: u64) -> u64 {
        let mut x = self.round_trip(i);
        while x >= self.n {
            x = self.round_trip(x);
        }
        x
    }

    fn round_trip(&self, x: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (x >> self.half_bits, x & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        left << self.half_bits | right
    }
}

/// The finaliser of SplitMix64 (Steele et al., 2014): a cheap hash of 64 bits.
pub(crate) fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_is_a_permutation_and_epochs_differ() {
        for n in [1, 2, 3, 7, 64, 1000] {
            let order = Shuffle::new(n, 1337, 0);
            let mut seen: Vec<u64> = (0..n).map(|i| order.get(i)).collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..n).collect::<Vec<_>>());
        }
        let first = |epoch| (0..9).map(|i| Shuffle::new(1000, 1337, epoch).get(i)).collect::<Vec<_>>();
        assert_ne!(first(0), first(1));
    }

    #[test]
    fn a_pass_shows_every_window_once_then_starts_anew() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("text.txt"), "abcdefghij".repeat(3)).unwrap();
        let corpus = Arc::new(Corpus::read(&dir.path().join("text.txt")).unwrap()); // 27 characters to train on, 22 windows of 5
        let mut loader = Loader::new(corpus.clone(), (4, 5), 7, Position::default(), Device::Cpu).unwrap();
        for _ in 0..5 {
            let _ = loader.next_batch();
        }
        assert_eq!(loader.position, Position { epoch: 0, window: 20, order: 0 });
        let (idx, targets, _) = loader.next_batch(); // two windows are left over: dropped
        assert_eq!(loader.position, Position { epoch: 1, window: 4, order: 0 });
        assert_eq!(idx.narrow(1, 1, 4), targets.narrow(1, 0, 4));
        assert!(matches!(
            Loader::new(corpus.clone(), (23, 5), 7, Position::default(), Device::Cpu),
            Err(DataError::TooShort { split: "train", .. })
        ));
    }
}
