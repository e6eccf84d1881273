//! What is learnt from: characters and their ids, windows of a text or problems that are made up, and batches of them.

pub mod addition;
pub mod batches;
mod corpus;
mod error;
pub mod shuffle;
pub mod vocab;

pub use crate::config::Split;
pub use corpus::Corpus;
pub use error::{DataError, DataFault};
pub use vocab::Vocab;
