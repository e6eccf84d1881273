//! The zip around a checkpoint.

mod ends;
mod read;
mod write;

pub(crate) use read::{Place, Reader};
pub(crate) use write::Writer;

type Result<T> = std::result::Result<T, crate::error::Fault>;
