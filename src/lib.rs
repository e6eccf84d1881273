//! nanoebm: energy-based language models on libtorch, a port of the PyTorch project nanoEBM.
//!
//! The one idea is `x ← x − α ∇ₓE(x) + noise`; it is written once, in [`energy`]. Read on in this order: [`transformer`] reads
//! the text, [`ebm`] gives every next token an energy and thinks by going down it, [`train`] trains that, [`sample`] writes
//! text, [`eval`] measures, [`viz`] draws. [`checkpoint`] speaks PyTorch's file format, [`config`] Hydra's command line.

pub mod addition;
pub mod batches;
pub mod bootstrap;
pub mod cache;
pub mod calibration;
pub mod checkpoint;
pub mod compare;
pub mod config;
pub mod context;
pub mod contrastive;
pub mod data;
pub mod device;
pub mod dropout;
pub mod ebm;
pub mod energies;
pub mod energy;
pub mod error;
pub mod eval;
pub mod exact;
pub mod fs;
pub mod load;
pub mod memory;
pub mod metrics;
pub mod nonfinite;
pub mod optim;
pub mod params;
pub mod profile;
pub mod program;
pub mod provenance;
pub mod remat;
pub mod report;
pub mod resume;
pub mod run_dir;
pub mod sample;
pub mod scores;
pub mod separation;
pub mod thinking;
pub mod tracking;
pub mod train;
pub mod transformer;
pub mod viz;

pub use error::Error;
