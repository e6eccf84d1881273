//! Where a run's numbers go. The training loop logs rows and does not ask who listens.

mod console;
mod hosts;
mod jsonl;
mod tensorboard;
mod tracker;
mod trackers;
mod wandb;

pub use console::Console;
pub use hosts::Hosts;
pub use jsonl::{Jsonl, read_rows};
pub use tensorboard::TensorBoard;
pub use tracker::{End, Tracker};
pub use trackers::Trackers;
pub use wandb::Wandb;
