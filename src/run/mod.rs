//! A run: its directory, its steps, and how it goes on.

pub mod dir;
pub mod profile;
pub mod ram;
pub mod recovery;
pub mod resume;
pub mod state;
pub mod step;
pub mod together;
