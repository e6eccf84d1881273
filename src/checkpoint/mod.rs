//! Checkpoints in PyTorch's own format, which [`torch_pt`] reads and writes.
//!
//! [`state`] reads what nanoEBM keeps inside and [`save()`] writes it: the only place that knows the checkpoint's names.

pub mod find;
pub mod provenance;
mod save;
pub mod state;

pub use save::save;
pub use state::{Checkpoint, Extra, StateError};
