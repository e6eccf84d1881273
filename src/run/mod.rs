//! A run: its directory, its steps, and how it goes on.

pub mod dir;
pub mod nonfinite;
pub mod profile;
pub mod ram;
pub mod resume;
