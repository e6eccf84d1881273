//! Measuring a model: first the [`windows`] of a text, then [`mod@measure`] their [`scores`], then what `eval` and `compare` make of those.

pub(crate) mod bootstrap;
pub mod by_steps;
pub mod compare;
pub mod evaluation;
pub mod exact;
pub mod in_training;
pub mod measure;
pub mod scores;
pub mod separation;
pub mod table;
pub mod temperature;
pub mod windows;

pub use evaluation::evaluate;
pub use windows::Windows;
