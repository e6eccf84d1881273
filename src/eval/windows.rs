//! The windows of a text that a model is measured on.

use tch::{Device, Tensor};

use crate::data::{Corpus, DataError, Split};
use crate::ebm::Ebm;
use crate::error::Error;

/// Windows of a text.
#[derive(Debug, Clone)]
pub struct Windows<'a> {
    /// The text
    pub corpus: &'a Corpus,
    /// The part they are in
    pub split: Split,
    /// Where they begin in it
    pub offsets: Vec<usize>,
    /// Their length T
    pub block_size: i64,
    /// Only the last so many positions of each are scored
    pub scored: i64,
}

impl<'a> Windows<'a> {
    /// Consecutive windows from the start of a split; the last incomplete one is dropped. Of problems, all.
    pub fn consecutive(corpus: &'a Corpus, split: Split, block_size: i64) -> Result<Self, DataError> {
        let all = Self::sliding(corpus, split, block_size, corpus.stride(block_size) as i64)?;
        Ok(Self { scored: block_size, ..all })
    }

    /// Windows of a text that slide by `stride` ≤ T characters, of which the last `stride` are scored: each after T − `stride` others at
    /// least. The first T − `stride` characters of the split are not scored.
    pub fn sliding(corpus: &'a Corpus, split: Split, block_size: i64, stride: i64) -> Result<Self, DataError> {
        let last = corpus.windows(split, block_size, 1)?;
        Ok(Self { corpus, split, offsets: (0..last).step_by(stride as usize).collect(), block_size, scored: stride })
    }

    /// `idx` (B, T) and `targets` (B, A), what follows the last A positions, of all windows in turn.
    pub fn batches(&self, batch_size: i64, device: Device) -> impl Iterator<Item = (Tensor, Tensor)> {
        let batches = self.offsets.chunks(batch_size as usize);
        batches.map(move |offsets| {
            let (idx, targets) = self.corpus.batch(self.split, offsets, self.block_size, device);
            let a = targets.size()[1].min(self.scored);
            (idx, targets.narrow(1, targets.size()[1] - a, a))
        })
    }
}

/// An error where positions think of all others, but only some are scored: the others would be missing.
pub fn check_scored(ebm: &Ebm, windows: &Windows) -> Result<(), Error> {
    let some = windows.corpus.problems().is_some() || windows.scored < windows.block_size;
    if some && ebm.thinks_of_all() {
        return Err(Error::Request(
            "with model.refine_reduction=mean or model.use_soft_tokens=true every position thinks of all others, but stride and \
             data=addition score only some; use model.refine_reduction=sum and hard tokens"
                .to_owned(),
        ));
    }
    Ok(())
}
