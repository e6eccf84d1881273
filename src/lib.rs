//! nanoebm: energy-based language models on libtorch, a port of the PyTorch project nanoEBM.
//!
//! The one idea is `x ← x − α ∇ₓE(x) + noise`. It is written once, in [`energy`]. A reading order:
//!
//! 1. [`model`]: the transformer, which reads the text; its parts are in [`nn`].
//! 2. [`energy`]: the loop, and what it goes down, a family of energies a file.
//! 3. [`ebm`]: gives every next token an energy, predicts by System 1 and by System 2, and has the loss.
//! 4. [`contrastive`]: CD-k, PCD and Fast PCD. The same loop with noise draws their negatives.
//! 5. [`mod@train`]: the training loop, on one screen. A step, and what a run keeps, are in [`run`].
//! 6. [`sample`]: writing text; with [`fast_weights`], after learning from it.
//!
//! Around them: [`data`] cuts texts into batches, [`config`] has the settings, [`checkpoint`] the names in a `.pt` file,
//! [`tracking`] tells people how a run goes, [`eval`] measures, [`viz`] draws, and [`program`] is what the programs share.

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
pub mod processes;
pub mod program;
pub mod run;
pub mod sample;
pub mod tracking;
pub mod train;
pub mod viz;

pub use error::Error;
