//! Named parameters in the order of `model.parameters()` in PyTorch, which is the order of the optimizer's state.

use tch::{Device, Kind, Tensor};

/// A parameter and its name in the checkpoint.
#[derive(Debug)]
pub struct Param {
    /// Dotted name, e.g. `transformer.transformer.h.0.attn.c_attn.weight`
    pub name: String,
    /// A leaf that requires a gradient
    pub tensor: Tensor,
}

/// The parameters made so far. Layers call it in their constructors and keep a handle on the same tensor.
#[derive(Debug)]
pub struct Params {
    list: Vec<Param>,
    device: Device,
}

impl Params {
    /// No parameters yet; they will live on `device`, in fp32.
    pub fn new(device: Device) -> Self {
        Self { list: Vec::new(), device }
    }

    /// A parameter drawn from N(0, `std`²).
    pub fn normal(&mut self, name: &str, shape: &[i64], std: f64) -> Tensor {
        // Drawn on the CPU, so that a seed gives the same weights on every device.
        let values = Tensor::randn(shape, (Kind::Float, Device::Cpu)) * std;
        self.add(name, values)
    }

    /// A parameter filled with `value`.
    pub fn constant(&mut self, name: &str, shape: &[i64], value: f64) -> Tensor {
        let values = Tensor::full(shape, value, (Kind::Float, Device::Cpu));
        self.add(name, values)
    }

    fn add(&mut self, name: &str, values: Tensor) -> Tensor {
        let tensor = values.to_device(self.device).set_requires_grad(true);
        self.list.push(Param { name: name.to_owned(), tensor: tensor.shallow_clone() });
        tensor
    }

    /// All parameters, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Param> {
        self.list.iter()
    }

    /// Number of scalars in all parameters.
    pub fn numel(&self) -> usize {
        self.list.iter().map(|p| p.tensor.numel()).sum()
    }
}

/// All tensors in one flat one.
pub fn flatten(tensors: impl Iterator<Item = Tensor>) -> Tensor {
    Tensor::cat(&tensors.map(|t| t.reshape([-1])).collect::<Vec<_>>(), 0)
}

/// A flat tensor as views of the given shapes, one after another.
pub fn views(flat: &Tensor, shapes: impl Iterator<Item = Vec<i64>>) -> Vec<Tensor> {
    let shapes: Vec<Vec<i64>> = shapes.collect();
    let sizes: Vec<i64> = shapes.iter().map(|shape| shape.iter().product()).collect();
    let parts = flat.split_with_sizes(sizes, 0);
    parts.iter().zip(&shapes).map(|(part, shape)| part.view(shape.as_slice())).collect()
}
