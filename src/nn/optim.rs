//! AdamW (Loshchilov & Hutter, 2019) as PyTorch computes it, and the learning-rate schedule.
//!
//! tch cannot read or set its optimizer's state, and checkpoints carry it, so this one is ours. All parameters of a group lie
//! in one flat tensor, and each parameter is a view of it: a step is a dozen kernels however many layers there are.

use tch::{Device, Tensor, no_grad};

use crate::config::{ModelConfig, TrainConfig};
use crate::nn::params::{Param, Params, flatten, views};
use crate::processes::Processes;

/// PyTorch's default.
const EPS: f64 = 1e-8;
/// Numbers that a step of the optimizer takes at a time on a CPU.
const PIECE: i64 = 1 << 18;
/// PyTorch's guard in `clip_grad_norm_`.
const CLIP_EPS: f64 = 1e-6;

/// Parameters that share a learning rate and a weight decay.
#[derive(Debug)]
struct Group {
    params: Vec<Param>,
    theta: Tensor,
    grad: Option<Tensor>,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
    lr_multiplier: f64,
    weight_decay: f64,
}

impl Group {
    fn new(params: Vec<Param>, lr_multiplier: f64, weight_decay: f64) -> Self {
        let theta = no_grad(|| flatten(params.iter().map(|p| p.tensor.shallow_clone())));
        let (exp_avg, exp_avg_sq) = (theta.zeros_like(), theta.zeros_like());
        let group = Self { params, theta, grad: None, exp_avg, exp_avg_sq, lr_multiplier, weight_decay };
        for (param, view) in group.params.iter().zip(group.views(&group.theta)) {
            param.tensor.shallow_clone().set_data(&view);
        }
        group
    }

    /// A flat tensor as one view per parameter.
    fn views(&self, flat: &Tensor) -> Vec<Tensor> {
        views(flat, self.params.iter().map(|p| p.tensor.size()))
    }
}

/// The optimizer's memory of one parameter.
#[derive(Debug)]
pub struct Moments {
    /// The parameter's name
    pub name: String,
    /// Running mean of the gradient, in the parameter's shape
    pub exp_avg: Tensor,
    /// Running mean of its square
    pub exp_avg_sq: Tensor,
}

/// What PyTorch writes of a parameter group.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupSettings {
    /// Learning rate of the last step
    pub lr: f64,
    /// β₁, β₂
    pub betas: (f64, f64),
    /// ε
    pub eps: f64,
    /// Decoupled weight decay
    pub weight_decay: f64,
    /// Number of parameters in the group
    pub len: usize,
}

/// AdamW over flat groups: all parameters, and a learnable alpha apart (its own learning rate, no decay).
#[derive(Debug)]
pub struct AdamW {
    groups: Vec<Group>,
    betas: (f64, f64),
    /// Learning rate of the last step, which checkpoints record
    pub lr: f64,
    /// Number of steps taken: PyTorch's `step` of every parameter
    pub step: i64,
}

impl AdamW {
    /// Takes the parameters over: from now on they are views of the optimizer's flat tensors.
    pub fn new(params: &Params, train: &TrainConfig, model: &ModelConfig) -> Self {
        let (alpha, rest): (Vec<_>, Vec<_>) = params
            .iter()
            .map(|p| Param { name: p.name.clone(), tensor: p.tensor.shallow_clone() })
            .partition(|p| p.name == "alpha");
        let mut groups = vec![Group::new(rest, 1.0, train.weight_decay)];
        if !alpha.is_empty() {
            groups.push(Group::new(alpha, model.alpha_lr_multiplier, 0.0));
        }
        Self { groups, betas: (train.beta1, train.beta2), lr: train.learning_rate, step: 0 }
    }

    /// Adds the gradients of `loss` to those held.
    pub fn backward(&mut self, loss: &Tensor) {
        let params: Vec<&Tensor> = self.groups.iter().flat_map(|g| g.params.iter().map(|p| &p.tensor)).collect();
        self.add(Tensor::run_backward(&[loss], &params, false, false));
    }

    /// Adds gradients by all parameters, in their order, to those held.
    pub fn add(&mut self, grads: Vec<Tensor>) {
        let mut grads = grads.into_iter();
        for group in &mut self.groups {
            // A parameter that the loss does not reach comes back undefined: its gradient is zero.
            let flat = flatten(group.params.iter().map(|p| match grads.next() {
                Some(grad) if grad.defined() => grad,
                _ => p.tensor.zeros_like(),
            }));
            group.grad = Some(match group.grad.take() {
                Some(mut held) => held.g_add_(&flat),
                None => flat,
            });
        }
    }

    /// Replaces the gradients held by their mean over all processes; a mean of means is the same again.
    pub fn average_gradients(&self, processes: &Processes) {
        self.held().for_each(|grad| processes.average(grad));
    }

    /// All that a step changes: weights and both moments, flat tensors.
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        self.groups.iter().flat_map(|g| [&g.theta, &g.exp_avg, &g.exp_avg_sq])
    }

    /// The norm of the gradients held, over all parameters.
    pub fn grad_norm(&self) -> Tensor {
        let norms: Vec<Tensor> = self.held().map(Tensor::norm).collect();
        Tensor::stack(&norms, 0).norm()
    }

    /// Scales the gradients, whose norm is `norm`, so that it is at most `max_norm` (0: no limit).
    pub fn clip_grad_norm(&mut self, norm: &Tensor, max_norm: f64) {
        if max_norm > 0.0 {
            let coef = ((norm + CLIP_EPS).reciprocal() * max_norm).clamp_max(1.0);
            for grad in self.groups.iter_mut().filter_map(|g| g.grad.as_mut()) {
                let _ = grad.g_mul_(&coef);
            }
        }
    }

    /// Throws away the gradients held.
    pub fn drop_gradients(&mut self) {
        self.groups.iter_mut().for_each(|g| g.grad = None);
    }

    /// Forgets everything but the parameters, as before the first step.
    pub fn reset(&mut self) {
        self.drop_gradients();
        self.step = 0;
        for group in &mut self.groups {
            let _ = (group.exp_avg.zero_(), group.exp_avg_sq.zero_());
        }
    }

    /// One update with learning rate `lr`; the gradients are used up. Without gradients there is none.
    pub fn step(&mut self, lr: f64) {
        if self.held().next().is_none() {
            return;
        }
        self.step += 1;
        self.lr = lr;
        let (beta1, beta2) = self.betas;
        let (bias1, bias2) = (1.0 - beta1.powf(self.step as f64), 1.0 - beta2.powf(self.step as f64));
        for group in &mut self.groups {
            let Some(grad) = group.grad.take() else { continue };
            let lr = lr * group.lr_multiplier;
            no_grad(|| {
                for [grad, mut exp_avg, mut exp_avg_sq, mut theta] in
                    pieces([&grad, &group.exp_avg, &group.exp_avg_sq, &group.theta])
                {
                    let _ = exp_avg.lerp_(&grad, 1.0 - beta1); // m ← β₁m + (1 − β₁)g
                    let _ = exp_avg_sq.g_mul_scalar_(beta2); // v ← β₂v + (1 − β₂)g²
                    let _ = exp_avg_sq.g_add_(&grad.square().g_mul_scalar_(1.0 - beta2));
                    let denom = exp_avg_sq.sqrt().g_div_scalar_(bias2.sqrt()).g_add_scalar_(EPS); // √v̂ + ε
                    let _ = theta.g_mul_scalar_(1.0 - lr * group.weight_decay);
                    let _ = theta.g_sub_(&exp_avg.g_div(&denom).g_mul_scalar_(lr / bias1)); // θ ← θ − lr m̂ / (√v̂ + ε)
                }
            });
        }
    }

    /// Whether every weight is a finite number; reads one value from the device.
    pub fn weights_are_finite(&self) -> bool {
        self.groups.iter().all(|g| g.theta.isfinite().all().int64_value(&[]) == 1)
    }

    /// The gradients of an accumulation that is not complete, one flat tensor a group; none on a boundary.
    pub fn held(&self) -> impl Iterator<Item = &Tensor> {
        self.groups.iter().filter_map(|g| g.grad.as_ref())
    }

    /// Goes on from gradients that [`AdamW::held`] gave.
    pub fn hold(&mut self, grads: Vec<Tensor>) {
        for (group, grad) in self.groups.iter_mut().zip(grads) {
            group.grad = Some(grad.to_device(group.theta.device()));
        }
    }

    /// Number of scalars in each group.
    pub fn group_sizes(&self) -> Vec<i64> {
        self.groups.iter().map(|g| g.theta.numel() as i64).collect()
    }

    /// The gradients held, by parameter.
    pub fn grads(&self) -> Vec<(String, Tensor)> {
        let named = |g: &Group| {
            let views = g.grad.as_ref().map(|grad| g.views(grad)).unwrap_or_default();
            g.params.iter().map(|p| p.name.clone()).zip(views).collect::<Vec<_>>()
        };
        self.groups.iter().flat_map(named).collect()
    }

    /// The state of every parameter, in PyTorch's order; the tensors are views of the optimizer's own.
    pub fn moments(&self) -> Vec<Moments> {
        let of_group = |g: &Group| {
            let pairs = g.views(&g.exp_avg).into_iter().zip(g.views(&g.exp_avg_sq));
            let named = g.params.iter().map(|p| p.name.clone()).zip(pairs);
            named.map(|(name, (exp_avg, exp_avg_sq))| Moments { name, exp_avg, exp_avg_sq }).collect::<Vec<_>>()
        };
        self.groups.iter().flat_map(of_group).collect()
    }

    /// What PyTorch writes in `param_groups`.
    pub fn group_settings(&self) -> Vec<GroupSettings> {
        let settings = |g: &Group| GroupSettings {
            lr: self.lr * g.lr_multiplier,
            betas: self.betas,
            eps: EPS,
            weight_decay: g.weight_decay,
            len: g.params.len(),
        };
        self.groups.iter().map(settings).collect()
    }
}

/// The same parts of flat tensors, one after another, so small on a CPU that they stay in its cache from kernel to kernel.
fn pieces<const N: usize>(flat: [&Tensor; N]) -> impl Iterator<Item = [Tensor; N]> {
    let (len, cpu) = (flat[0].numel() as i64, flat[0].device() == Device::Cpu);
    let piece = if cpu { PIECE } else { len };
    let starts = (0..len).step_by(piece as usize);
    starts.map(move |start| flat.map(|tensor| tensor.narrow(0, start, piece.min(len - start))))
}

/// The learning rate of `step`: linear from 1 % of the peak, then a cosine to `min_lr`, then flat.
pub fn learning_rate(step: i64, c: &TrainConfig) -> f64 {
    if !c.decay_lr {
        return c.learning_rate;
    }
    if step < c.warmup_iters {
        let start = c.learning_rate * 0.01;
        return start + (c.learning_rate - start) * (step as f64 / c.warmup_iters as f64);
    }
    if step >= c.lr_decay_iters {
        return c.min_lr;
    }
    let ratio = (step - c.warmup_iters) as f64 / (c.lr_decay_iters - c.warmup_iters) as f64;
    let coeff = 0.5 * (1.0 + (ratio * std::f64::consts::PI).cos());
    c.min_lr + coeff * (c.learning_rate - c.min_lr)
}
