//! The parts of networks and their training: layers, how a pass is run, what is kept of a text, the optimizer.

pub mod cache;
pub mod dropout;
pub mod linear;
pub mod optim;
pub mod params;
pub mod pass;
pub mod remat;
