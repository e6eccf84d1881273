//! nanoebm: energy-based language models on libtorch, a port of the PyTorch project nanoEBM.
//!
//! The one idea is `x ← x − α ∇ₓE(x) + noise`; it is written once, in [`energy`]. Read on in this order: [`transformer`] reads
//! the text, [`ebm`] gives every next token an energy and thinks by going down it, [`train`] trains that, [`sample`] writes
//! text, [`eval`] measures, [`viz`] draws. [`checkpoint`] speaks PyTorch's file format, [`config`] Hydra's command line.

pub mod checkpoint;
pub mod config;
pub mod contrastive;
pub mod data;
pub mod device;
pub mod ebm;
pub mod energy;
pub mod error;
pub mod eval;
pub mod fast_weights;
pub mod fs;
pub mod metrics;
pub mod model;
pub mod nn;
pub mod program;
pub mod run;
pub mod sample;
pub mod tracking;
pub mod train;
pub mod viz;

pub use error::Error;
