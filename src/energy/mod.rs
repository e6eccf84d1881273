//! The one idea of this project: `x ← x − α ∇ₓE(x) + noise`.
//!
//! [`descend`] is the only loop that goes down an energy. System 2 refinement, the Langevin sampler of contrastive divergence and weights
//! that follow a text are settings of it ([`Descent`]). An energy is a small trait ([`Energy`]): its value and its gradient at `x`, either
//! in closed form ([`ExpectedEnergy`]) or by libtorch's autograd ([`Autograd`]).
//!
//! The sign rule of the whole project: **logit = −energy**. Low energy is good.
//!
//! Which energy thinking descends is a choice of [families](family), a file each:
//!
//! * [`expected`]: the expected energy ⟨p, e⟩ of the next token, p = softmax(x), the original's.
//! * [`mixture`]: ⟨p, e⟩ with energies that a network corrects, looking at the prediction beside the hidden state.
//! * [`reread`]: a free energy with a memory that reads the last characters again, together with the prediction.
//! * [`ebt`]: a scalar from a transformer that reads the prediction in its place after the text.
//!
//! To add one, write its file, name it in the list below and in the configuration's, and give it a YAML of its settings.

mod descent;
pub mod ebt;
pub mod expected;
pub mod family;
pub mod mixture;
pub mod reread;

use crate::config::{EnergyFamily, ModelConfig};
use crate::nn::params::Params;

pub use descent::{
    Autograd, Descended, Descent, Energy, Noise, centred, descend, descend_from, entropy, expected_energy,
    stop_each_row, token_energies,
};
pub use expected::{ExpectedEnergy, free_energy};
pub use family::{Family, Reading, System1};

/// The list of families: the one place that matches on the name.
macro_rules! families {
    ($($name:ident => $family:ty,)+) => {
        /// The family that a configuration names, with parameters as at the start of a training.
        pub fn new(p: &mut Params, config: &ModelConfig) -> Box<dyn Family> {
            match config.energy {
                $(EnergyFamily::$name => Box::new(<$family>::new(p, config)),)+
            }
        }

        /// [`Family::parameters`] of the one that is named.
        pub fn parameters(config: &ModelConfig) -> u128 {
            match config.energy {
                $(EnergyFamily::$name => <$family>::parameters(config),)+
            }
        }

        /// [`Family::kept_per_step`] of the one that is named.
        pub fn kept_per_step(config: &ModelConfig) -> u128 {
            match config.energy {
                $(EnergyFamily::$name => <$family>::kept_per_step(config),)+
            }
        }

        /// [`Family::shape`] of the one that is named.
        pub fn shape(config: &ModelConfig) -> Vec<(&'static str, i64)> {
            match config.energy {
                $(EnergyFamily::$name => <$family>::shape(config),)+
            }
        }
    };
}

families! {
    Linear => expected::Expected,
    Mixture => mixture::Mixture,
    Reread => reread::Reread,
    Ebt => ebt::Ebt,
}
