//! Pictures of a model thinking.

pub mod report;
