//! Weights & Biases against a server that keeps what it is sent, and misbehaves on request.

// A test stops where it stands; clippy.toml excuses the tests themselves, but not their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod desk;
mod official;
mod offline;
mod online;
mod programs;
#[path = "../common/python.rs"]
#[allow(dead_code)] // here the official client is the judge, and not a script of ours
mod python;
mod resume;
mod server;
mod settings;
