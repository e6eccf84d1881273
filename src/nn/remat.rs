//! Activation checkpointing (Chen et al., 2016): the inside of a block is not kept for the backward pass, but computed again
//! there. A step takes about a third longer; the memory of one block stands in for that of all.

use tch::{Kind, Tensor, no_grad};

use crate::nn::params::Params;
use crate::nn::pass::Pass;

/// A forward pass whose blocks were run without a graph.
#[derive(Debug)]
pub struct Remat {
    pass: Pass,
    /// What goes into the first block (B, T, C), with its graph
    embedded: Tensor,
    /// What went into each block (B, T, C), and the seed of its dropout
    blocks: Vec<(Tensor, i64)>,
    /// What came out of the last one (B, T, C): the loss's graph begins there
    output: Tensor,
}

impl Remat {
    /// Nothing has run yet on the embeddings (B, T, C).
    pub fn new(embedded: Tensor, pass: Pass) -> Self {
        let output = leaf(&embedded);
        Self { pass, embedded, blocks: Vec::new(), output }
    }

    /// Runs the next block.
    pub fn run(&mut self, block: impl Fn(&Tensor) -> Tensor) {
        let seed = Tensor::randint(i64::MAX, [1], (Kind::Int64, tch::Device::Cpu)).int64_value(&[0]);
        tch::manual_seed(seed);
        let output = leaf(&no_grad(|| block(&self.output)));
        self.blocks.push((std::mem::replace(&mut self.output, output), seed));
    }

    /// What came out of the last block (B, T, C).
    pub fn output(&self) -> &Tensor {
        &self.output
    }

    /// The gradients of `loss` by all parameters, in their order; `block` runs the block of a layer again.
    pub fn gradients(
        self,
        params: &Params,
        loss: &Tensor,
        block: impl Fn(usize, &Tensor, Pass) -> Tensor,
    ) -> Vec<Tensor> {
        let mut sums = Sums { params: params.iter().map(|p| &p.tensor).collect(), sums: Vec::new() };
        let mut grad = sums.add(loss, &self.output);
        if !grad.defined() {
            return sums.sums; // the loss comes from another pass
        }
        for (layer, (x, seed)) in self.blocks.iter().enumerate().rev() {
            tch::manual_seed(*seed);
            let y = block(layer, x, self.pass);
            grad = sums.add(&(y * grad).sum(Kind::Float), x);
        }
        let _ = sums.add(&(&self.embedded * grad).sum(Kind::Float), &self.embedded);
        sums.sums
    }
}

/// Gradients by all parameters, over the pieces of a graph.
struct Sums<'a> {
    params: Vec<&'a Tensor>,
    sums: Vec<Tensor>,
}

impl Sums<'_> {
    /// Adds the gradients of the scalar `y` by the parameters, and gives the one by `x`.
    fn add(&mut self, y: &Tensor, x: &Tensor) -> Tensor {
        let inputs: Vec<&Tensor> = [x].into_iter().chain(self.params.iter().copied()).collect();
        let mut grads = Tensor::run_backward(&[y], &inputs, false, false).into_iter();
        let by_x = grads.next().unwrap_or_default();
        if self.sums.is_empty() {
            self.sums = self.params.iter().map(|p| p.zeros_like()).collect();
        }
        // A parameter that this piece does not reach has no gradient in it.
        for (sum, grad) in self.sums.iter_mut().zip(grads).filter(|(_, grad)| grad.defined()) {
            let _ = no_grad(|| sum.g_add_(&grad));
        }
        by_x
    }
}

/// The same numbers with no past: a graph begins here.
fn leaf(x: &Tensor) -> Tensor {
    x.detach().set_requires_grad(true)
}
