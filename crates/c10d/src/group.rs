use std::sync::Arc;
use std::time::Duration;

use tch::{Tensor, no_grad};

use crate::error::Error;
use crate::ffi::{RawGroup, Reason};
use crate::nccl;
use crate::store::{Store, within};

/// Processes that compute together. All of them must call the same methods in the same order, with tensors of the same shape and kind:
/// libtorch ends a process that gets fewer bytes than it expects.
///
/// A group of one does nothing, and costs nothing.
#[derive(Debug)]
pub struct Group {
    raw: Option<RawGroup>,
    rank: usize,
    size: usize,
}

impl Group {
    /// A process that is alone.
    pub fn alone() -> Self {
        Self { raw: None, rank: 0, size: 1 }
    }

    /// Joins all processes that meet at `store`. What they do together ends in an error where one of them does not answer within
    /// `timeout`. With `cuda`, tensors on GPUs are sent by NCCL.
    ///
    /// # Errors
    /// If a process does not come in time, if no connection to it can be made, or if NCCL is wanted and is not there.
    pub fn join(store: &Store, timeout: Duration, cuda: bool) -> Result<Self, Error> {
        let nccl = cuda.then(nccl::open).transpose()?;
        let rendezvous = &store.rendezvous;
        let (rank, size) = (rendezvous.rank, rendezvous.size);
        let (raw, local, prefix) = (Arc::clone(&store.raw), rendezvous.local_address(), store.prefix.clone());
        let join = move || RawGroup::join(&raw, local.as_deref(), &prefix, (rank, size), timeout, nccl);
        let joined = within(timeout + Duration::from_secs(1), join);
        Ok(Self { raw: Some(joined.map_err(|reason| Error::Join { rank, reason })?), rank, size })
    }

    /// This process among all, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// How many there are.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether this is rank 0, who writes and prints for all.
    pub fn is_first(&self) -> bool {
        self.rank == 0
    }

    /// Puts the sum of all processes' tensors into `tensor`, bit for bit the same everywhere.
    ///
    /// # Errors
    /// If a process is gone or does not answer.
    pub fn sum(&self, tensor: &Tensor) -> Result<(), Error> {
        self.collective("the sum of tensors", |raw| raw.all_reduce(tensor, false))
    }

    /// Puts the mean of all processes' tensors into `tensor`.
    ///
    /// # Errors
    /// As [`Group::sum`].
    pub fn average(&self, tensor: &Tensor) -> Result<(), Error> {
        self.sum(tensor)?;
        if self.size > 1 {
            let _ = no_grad(|| tensor.shallow_clone().g_div_scalar_(self.size as f64));
        }
        Ok(())
    }

    /// Puts the largest of all processes' numbers into each place. It needs no GPU, and waits for none.
    ///
    /// # Errors
    /// As [`Group::sum`].
    pub fn max(&self, numbers: &mut [i64]) -> Result<(), Error> {
        if self.size == 1 {
            return Ok(());
        }
        let tensor = Tensor::from_slice(numbers);
        self.collective("the maximum of numbers", |raw| raw.all_reduce(&tensor, true))?;
        tensor.copy_data(numbers, numbers.len());
        Ok(())
    }

    /// Puts rank `root`'s tensor into that of all others.
    ///
    /// # Errors
    /// As [`Group::sum`].
    pub fn broadcast(&self, tensor: &Tensor, root: usize) -> Result<(), Error> {
        self.collective("the copying of a tensor", |raw| raw.broadcast(tensor, root))
    }

    /// Rank `root`'s bytes, which may be of any length; those of the others are replaced.
    ///
    /// # Errors
    /// As [`Group::sum`].
    pub fn broadcast_bytes(&self, bytes: &mut Vec<u8>, root: usize) -> Result<(), Error> {
        if self.size == 1 {
            return Ok(());
        }
        let length = Tensor::from_slice(&[bytes.len() as i64]);
        self.broadcast(&length, root)?;
        bytes.resize(length.int64_value(&[0]) as usize, 0);
        if bytes.is_empty() {
            return Ok(());
        }
        let tensor = Tensor::from_slice(bytes.as_slice());
        self.broadcast(&tensor, root)?;
        let length = bytes.len();
        tensor.copy_data_u8(bytes, length);
        Ok(())
    }

    /// Waits for all.
    ///
    /// # Errors
    /// As [`Group::sum`].
    pub fn barrier(&self) -> Result<(), Error> {
        self.collective("waiting for all", RawGroup::barrier)
    }

    fn collective(&self, what: &'static str, call: impl FnOnce(&RawGroup) -> Result<(), Reason>) -> Result<(), Error> {
        let Some(raw) = &self.raw else { return Ok(()) };
        call(raw).map_err(|reason| Error::Collective { rank: self.rank, what, reason })
    }
}
