//! The numbers in the pictures and in the report's page, and where their texts lie.
//!
//! A report seeds libtorch's generator: each test has it alone.

// A test stops where it stands; clippy.toml excuses the tests themselves, but not their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/generator.rs"]
mod generator;
#[path = "../common/golden.rs"]
#[allow(dead_code)] // each suite has use for a part of it
mod golden;

mod layout;
mod numbers;
mod report;
