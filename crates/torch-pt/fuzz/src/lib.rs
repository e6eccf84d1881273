//! What the targets try lies with the tests, which try it on the seeds.

#[path = "../../tests/targets/mod.rs"]
mod targets;

pub use targets::{TIMES, archive, pickle, within_bounds};
