//! Training batches: the order in which a run sees its windows, and who prepares them.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use tch::{Device, Tensor};

use crate::config::{Config, Split};
use crate::data::corpus::Corpus;
use crate::data::error::{DataError, DataFault};
use crate::data::shuffle::{Shuffle, mix};
use crate::processes::Processes;

type Batch = (Tensor, Tensor, Position);

/// An endless source of batches.
pub struct Batches {
    loader: Loader,
    ahead: Option<Receiver<Batch>>,
}

impl Batches {
    /// Batches of the training split from `position` on, or this process's part of them. With `num_workers` = n > 0 a thread keeps n
    /// batches ready.
    pub fn new(
        corpus: &Arc<Corpus>,
        config: &Config,
        position: Position,
        device: Device,
        processes: &Processes,
    ) -> Result<Self, DataError> {
        let shape = (config.data.batch_size, config.data.block_size);
        let mut loader = Loader::new(corpus.clone(), shape, position.seed(config.train.seed), position, device)?;
        loader.part = processes.part(loader.batch_size);
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
            Some(receiver) => receiver.recv().map_err(|_| DataFault::Worker.of(&self.loader.corpus.path))?,
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
    /// The windows of a batch that are taken: the first, and how many
    part: (usize, usize),
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
        Ok(Self { corpus, windows, batch_size, part: (0, batch_size), block_size, seed, device, position })
    }

    /// `idx`, `targets` (B, T), or a part of them, and where the run stands after them.
    pub fn next_batch(&mut self) -> (Tensor, Tensor, Position) {
        if self.position.window as usize + self.batch_size > self.windows {
            self.position = Position { epoch: self.position.epoch + 1, window: 0, ..self.position };
        }
        let order = Shuffle::new(self.windows as u64, self.seed, self.position.epoch);
        let (first, len) = self.part;
        let start = self.position.window + first as u64;
        let offsets: Vec<usize> = (0..len as u64).map(|i| order.get(start + i) as usize).collect();
        self.position.window += self.batch_size as u64;
        let (idx, targets) = self.corpus.batch(Split::Train, &offsets, self.block_size, self.device);
        (idx, targets, self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            Err(DataError { fault: DataFault::TooShort { split: "train", .. }, .. })
        ));
    }
}
