//! How one forward pass is run: with dropout or without, in which precision, and for which positions.

use tch::{Kind, Tensor};

use crate::config::Dtype;

/// How one forward pass is run.
#[derive(Debug, Clone, Copy)]
pub struct Pass {
    /// Dropout, jitter and noise are on.
    pub train: bool,
    /// Kind of the matrix products; weights stay fp32 and are cast where they are used.
    pub compute: Kind,
    /// The pass is differentiated twice. Fused attention has no second derivative, so plain attention is used.
    pub second_order: bool,
    /// Activations are not kept for the backward pass, but computed again there (see [`crate::nn::remat`]).
    pub remat: bool,
}

impl Pass {
    /// A pass without dropout or noise.
    pub fn eval(compute: Kind) -> Self {
        Self { train: false, compute, second_order: false, remat: false }
    }

    /// Whether gradients flow through thinking, which itself follows a gradient.
    pub fn through(self) -> bool {
        self.train || self.second_order
    }

    /// A training pass.
    pub fn train(compute: Kind) -> Self {
        Self { train: true, compute, second_order: false, remat: false }
    }
}

/// The positions whose outputs are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// All of them
    All,
    /// The last one: the last block reads the others' keys and values only
    Last,
}

impl Wanted {
    /// Those positions of x (B, T, C) → (B, T or 1, C)
    pub fn of(self, x: &Tensor) -> Tensor {
        match self {
            Wanted::All => x.shallow_clone(),
            Wanted::Last => x.narrow(1, -1, 1),
        }
    }
}

/// The kind of matrix products that a `dtype` asks for.
pub fn kind(dtype: Dtype) -> Kind {
    match dtype {
        Dtype::Float32 => Kind::Float,
        Dtype::Bfloat16 => Kind::BFloat16,
    }
}
