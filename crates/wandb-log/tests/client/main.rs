//! The client against a server that keeps what it is sent, and misbehaves on request.

// A test stops where it stands; clippy.toml excuses the tests themselves, but not their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod accidents;
mod offline;
mod online;
mod resume;
mod sandbox;
mod server;
mod settings;
