//! Pictures of thinking: what System 2 does to a prediction.
//!
//! A file computes the numbers of one picture and draws them: `contours` and `surface` of a `landscape`, `bowl`, [`gap`],
//! [`trajectories`], `positions`, `negatives`, `training`, `context`, [`compared`], and [`report`], a page that steps through
//! a text. [`draw`] holds what all of them share, `studio` what those of one checkpoint are made from, `step_size` how far they step;
//! [`gallery`] chooses.

mod bowl;
pub mod compared;
mod contours;
pub mod draw;
mod fast_weights;
pub mod gallery;
pub mod gap;
mod index;
mod landscape;
mod negatives;
mod numbers;
mod plane;
mod positions;
pub mod prompt;
pub mod report;
mod step_size;
mod studio;
mod surface;
mod training;
pub mod trajectories;
