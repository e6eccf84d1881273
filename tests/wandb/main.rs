//! Weights & Biases beside the official client, and in the training program. How the client itself behaves is tested in
//! its crate, whose server and sandbox are used here.

// A test stops where it stands; clippy.toml excuses the tests themselves, but not their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../crates/wandb-log/tests/client/accidents.rs"]
mod accidents;
mod official;
mod programs;
#[path = "../common/python.rs"]
#[allow(dead_code)] // here the official client is the judge, and not a script of ours
mod python;
#[path = "../../crates/wandb-log/tests/client/sandbox.rs"]
#[allow(dead_code)]
mod sandbox;
#[path = "../../crates/wandb-log/tests/client/server.rs"]
#[allow(dead_code)]
mod server;
mod sync;
