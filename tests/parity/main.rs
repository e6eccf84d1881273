//! The model against the numbers that PyTorch wrote (`tests/fixtures`), and each shortcut against the long way.
//!
//! No test here seeds libtorch's generator, which is one for the whole process: those that do are in `tests/energies`.

// A test stops where it stands; clippy.toml excuses the tests themselves, but not their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/golden.rs"]
mod golden;

mod contrastive;
mod fast_weights;
mod generation;
mod original;
