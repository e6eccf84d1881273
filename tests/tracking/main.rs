//! What the trackers write, read by the programs it is meant for.

// A test stops where it stands; clippy.toml excuses the tests themselves, but not their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/python.rs"]
#[allow(dead_code)] // each suite has use for a part of it
mod python;

mod tensorboard;
