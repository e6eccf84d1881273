//! Pictures of thinking: what System 2 does to a prediction.
//!
//! A file computes the numbers of one picture and draws them: [`contours`] and [`surface`] of a [`landscape`], [`bowl`], [`gap`],
//! [`trajectories`], [`positions`], [`negatives`], [`training`], [`context`], [`compared`], and [`report`], a page that steps through
//! a text. [`draw`] holds what all of them share, [`studio`] what those of one checkpoint are made from; [`gallery`] chooses.

pub mod bowl;
pub mod compared;
pub mod context;
pub mod contours;
pub mod draw;
pub mod gallery;
pub mod gap;
pub mod index;
pub mod landscape;
pub mod negatives;
pub mod numbers;
pub mod plane;
pub mod positions;
pub mod prompt;
pub mod report;
pub mod runs;
pub mod studio;
pub mod surface;
pub mod training;
pub mod trajectories;
