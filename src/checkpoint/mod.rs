//! Checkpoints: what nanoEBM keeps in a `.pt` file, under the names that PyTorch knows. The format itself is [`torch_pt`]'s.

mod error;
pub mod find;
mod names;
pub mod provenance;
mod read;
mod write;

pub use error::{CheckpointError, CheckpointFault};
pub use names::{Extra, state_dict};
pub use read::Checkpoint;
pub use write::save;
