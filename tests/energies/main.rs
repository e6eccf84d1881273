//! What is descended, and the loop that descends it: gradients against PyTorch's, finite differences and one another.
//!
//! Each test seeds libtorch's generator, and so has it alone.

// A test stops where it stands; clippy.toml excuses the tests themselves, but not their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/generator.rs"]
mod generator;
#[path = "../common/golden.rs"]
#[allow(dead_code)] // each suite has use for a part of it
mod golden;
#[path = "../common/python.rs"]
#[allow(dead_code)] // each suite has use for a part of it
mod python;

mod descent;
mod families;
mod opened;
mod remat;
