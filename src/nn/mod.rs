//! The parts of networks and their training.

pub mod cache;
pub mod dropout;
pub mod optim;
pub mod params;
pub mod remat;
