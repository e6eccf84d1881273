//! Training batches, made in the loop or ahead of it by a thread of their own (`data.num_workers`).

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use tch::{Device, Tensor};

use crate::config::Config;
use crate::data::{Corpus, DataError, Loader, Position};

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
        let loader = Loader::new(corpus.clone(), shape, config.train.seed as u64, position, device)?;
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
    pub fn next(&mut self, position: &mut Position) -> (Tensor, Tensor) {
        let ready = self.ahead.as_ref().and_then(|receiver| receiver.recv().ok());
        let (idx, targets, after) = ready.unwrap_or_else(|| self.loader.next_batch());
        *position = after;
        (idx, targets)
    }
}
