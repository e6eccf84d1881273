use std::path::Path;

use crate::error::Error;
use crate::ffi::Nccl;

/// Whether tensors on GPUs can be averaged: opens the library that does it, and with it CUDA.
///
/// # Errors
/// If this program was built without NCCL, or if a library is missing; the message says which.
pub fn nccl() -> Result<(), Error> {
    open().map(drop)
}

pub(crate) fn open() -> Result<Nccl, Error> {
    let Some(library) = option_env!("C10D_NCCL") else {
        return Err(Error::NoNccl(option_env!("C10D_NO_NCCL").unwrap_or("it was not built").to_owned()));
    };
    Nccl::open(Path::new(library)).map_err(Error::NoNccl)
}
