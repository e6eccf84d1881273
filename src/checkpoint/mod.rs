//! Checkpoints in PyTorch's own format, read and written without Python.
//!
//! `pickle` knows the little language of `data.pkl`, `container` the zip around it, and [`Archive`] is both together. [`state`]
//! reads what nanoEBM keeps inside and [`save()`] writes it: the only place that knows the checkpoint's names.

mod archive;
mod container;
mod encode;
mod error;
pub mod find;
mod object;
mod pickle;
pub mod provenance;
mod save;
pub mod state;
mod tree;

pub use archive::Archive;
pub use error::{CheckpointError, TensorFault};
pub use object::{DType, Object, Storage, TensorRef};
pub use save::save;
pub use state::{Checkpoint, Extra, StateError};
