//! What thinking descends: the families of energies over a prediction x, of which `model.energy` names one.
//!
//! * [`linear`](crate::energy::ExpectedEnergy): the expected energy ⟨p, e⟩ of the next token, p = softmax(x). It knows no more than
//!   System 1 does; with [soft tokens](soft_tokens) the transformer reads the prediction again.
//! * [`mixture`]: ⟨p, e⟩ with energies that a network corrects, looking at the prediction beside the hidden state.
//! * [`reread`]: a free energy with a memory that reads the last characters again, together with the prediction.
//! * [`ebt`]: a scalar from a transformer that reads the prediction in its place after the text.

use tch::{Kind, Tensor};

use crate::config::{EnergyFamily, ModelConfig};
use crate::energy::ebt::{self, Ebt};
use crate::energy::mixture::Correction;
use crate::energy::reread::Memory;
use crate::nn::params::Params;

/// The parameters of an energy, beyond those that System 1 has.
#[derive(Debug)]
pub enum Family {
    /// None
    Linear,
    /// See [`mixture`]
    Mixture(Correction),
    /// See [`reread`]
    Reread(Memory),
    /// See [`ebt`]
    Ebt(Ebt),
}

impl Family {
    /// Parameters as at the start of a training; they are named `thinking.…`.
    pub fn new(p: &mut Params, config: &ModelConfig) -> Self {
        match config.energy {
            EnergyFamily::Linear => Self::Linear,
            EnergyFamily::Mixture => Self::Mixture(Correction::new(p, "thinking", config)),
            EnergyFamily::Reread => Self::Reread(Memory::new(p, "thinking", config)),
            EnergyFamily::Ebt => Self::Ebt(Ebt::new(p, "thinking", config)),
        }
    }

    /// Number of them, without making them.
    pub fn parameters(config: &ModelConfig) -> u128 {
        match config.energy {
            EnergyFamily::Linear => 0,
            EnergyFamily::Mixture => Correction::parameters(config),
            EnergyFamily::Reread => Memory::parameters(config),
            EnergyFamily::Ebt => Ebt::parameters(config),
        }
    }
}

/// What was read of a text: System 1's energies, and what the energy that thinking descends knows of each position beside them.
#[derive(Debug)]
pub struct Reading {
    /// Energy of every next token by System 1 (B, T, V); thinking starts from −energies
    pub energies: Tensor,
    pub(crate) evidence: Evidence,
}

/// What an energy knows of each position.
#[derive(Debug)]
pub(crate) enum Evidence {
    /// Nothing but System 1's energies
    None,
    /// Hidden states (B, T, C)
    Hidden(Tensor),
    /// What the last characters and the hidden state say to a memory (B, T, M)
    Drive(Tensor),
    /// Keys and values of every layer for each text, and what each position may attend to
    Text(ebt::Observed),
}

impl Reading {
    /// The same of the last `n` positions.
    pub fn last(&self, n: i64) -> Self {
        self.map(|x| x.narrow(1, x.size()[1] - n, n))
    }

    /// The same tensors again.
    pub fn shallow_clone(&self) -> Self {
        self.map(Tensor::shallow_clone)
    }

    /// The same without a graph.
    pub fn detach(&self) -> Self {
        let detached = self.map(Tensor::detach);
        match &self.evidence {
            Evidence::Text(observed) => Self { evidence: Evidence::Text(observed.detach()), ..detached },
            _ => detached,
        }
    }

    /// This and then `next`, along the positions.
    pub fn then(&self, next: &Self) -> Self {
        let cat = |a: &Tensor, b: &Tensor| Tensor::cat(&[a, b], 1);
        let evidence = match (&self.evidence, &next.evidence) {
            (Evidence::Hidden(a), Evidence::Hidden(b)) => Evidence::Hidden(cat(a, b)),
            (Evidence::Drive(a), Evidence::Drive(b)) => Evidence::Drive(cat(a, b)),
            (Evidence::Text(a), Evidence::Text(b)) => Evidence::Text(a.then(b)),
            _ => Evidence::None,
        };
        Self { energies: cat(&self.energies, &next.energies), evidence }
    }

    /// System 1's energies alone in float64: the original's steps of 10⁻⁶ logits are steps then, and no rounding.
    pub(crate) fn fine(&self) -> Self {
        Self { energies: self.energies.to_kind(Kind::Double), evidence: Evidence::None }
    }

    fn map(&self, f: impl Fn(&Tensor) -> Tensor) -> Self {
        let evidence = match &self.evidence {
            Evidence::None => Evidence::None,
            Evidence::Hidden(h) => Evidence::Hidden(f(h)),
            Evidence::Drive(drive) => Evidence::Drive(f(drive)),
            Evidence::Text(observed) => Evidence::Text(observed.map(&f)),
        };
        Self { energies: f(&self.energies), evidence }
    }
}
