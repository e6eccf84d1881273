//! `x ← x − α ∇ₓE(x) + noise`: [`descend`], the only loop that goes down an energy, and [`Energy`], what it goes down.

use tch::{Kind, Tensor};

use crate::processes::Processes;

/// An energy over predictions x (B, T, V), one energy per position.
pub trait Energy {
    /// The energy of each position (B, T, 1), and the gradient of their sum with respect to `x` (B, T, V).
    fn value_and_grad(&self, x: &Tensor) -> (Tensor, Tensor);

    /// The energy of each position alone (B, T, 1).
    fn value(&self, x: &Tensor) -> Tensor {
        self.value_and_grad(x).0
    }
}

/// `⟨p, f⟩ = Σ_v p_v f_v`, (B, T, V) → (B, T, 1): every expected energy is computed here.
pub(super) fn expectation(p: &Tensor, f: &Tensor) -> Tensor {
    (p * f).sum_dim_intlist([-1i64].as_slice(), true, None::<Kind>)
}

/// Expected energy of each position when tokens are drawn from softmax(`logits`): (B, T, V), (B, T, V) → (B, T).
pub fn expected_energy(logits: &Tensor, energies: &Tensor) -> Tensor {
    expectation(&logits.softmax(-1, None), energies).squeeze_dim(-1)
}

/// The energies of the given tokens: (B, T, V), (B, T) → (B, T).
pub fn token_energies(energies: &Tensor, tokens: &Tensor) -> Tensor {
    energies.gather(2, &tokens.unsqueeze(-1), false).squeeze_dim(-1)
}

/// Logits less their mean over the last dimension, which softmax does not see.
pub fn centred(logits: &Tensor) -> Tensor {
    logits - logits.mean_dim([-1i64].as_slice(), true, None::<Kind>)
}

/// Entropy H(p) in nats of each position's softmax(`logits`): (B, T, V) → (B, T).
pub fn entropy(logits: &Tensor) -> Tensor {
    let log_p = logits.log_softmax(-1, None);
    -expectation(&log_p.exp(), &log_p).squeeze_dim(-1)
}

/// Any energy written as a function x (B, T, V) → (B, T, 1), differentiated by libtorch.
pub struct Autograd<F> {
    /// The energy of each position
    pub energy: F,
    /// Keep the graph of the gradient, for training through it.
    pub create_graph: bool,
}

impl<F: Fn(&Tensor) -> Tensor> Energy for Autograd<F> {
    fn value_and_grad(&self, x: &Tensor) -> (Tensor, Tensor) {
        // Evaluation calls this under no_grad; the gradient with respect to x is wanted all the same.
        tch::with_grad(|| {
            let x = if self.create_graph && x.requires_grad() {
                x.shallow_clone()
            } else {
                x.detach().set_requires_grad(true)
            };
            let value = (self.energy)(&x);
            let mut grads =
                Tensor::run_backward(&[value.sum(Kind::Float)], &[&x], self.create_graph, self.create_graph);
            let grad = grads.remove(0);
            if self.create_graph { (value, grad) } else { (value.detach(), grad.detach()) }
        })
    }

    fn value(&self, x: &Tensor) -> Tensor {
        (self.energy)(x) // no way back is needed
    }
}

/// The noise that is added to a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Noise {
    /// None: plain descent
    Off,
    /// N(0, s²) at every step: Langevin dynamics
    Constant(f64),
    /// N(0, (s·(1 − step/steps))²), and none after the last step: the original's refinement in training
    Decaying(f64),
}

impl Noise {
    fn scale(self, step: i64, steps: i64) -> f64 {
        match self {
            Noise::Off => 0.0,
            Noise::Constant(s) => s,
            Noise::Decaying(_) if step + 1 == steps => 0.0,
            Noise::Decaying(s) => s * (1.0 - step as f64 / steps as f64),
        }
    }
}

/// Mean energies that say whether a descent has settled.
const SETTLED: i64 = 3;

/// The settings of one descent.
#[derive(Debug)]
pub struct Descent {
    /// Number of steps at most
    pub steps: i64,
    /// α: a scalar tensor, so that a learnable step size gets its gradient; or α P in the shape of x, with a diagonal preconditioner P
    pub step_size: Tensor,
    /// Each step's α is multiplied by 1 + jitter·(u − ½), u ~ U[0, 1)
    pub jitter: f64,
    /// The gradient is multiplied by this: 1, or 1/(B·T) where J is a mean over positions
    pub grad_scale: f64,
    /// The gradient is clamped to ±this
    pub grad_clamp: f64,
    /// α·gradient is clamped to ±this; 0 is off
    pub max_move: f64,
    /// Noise after each step
    pub noise: Noise,
    /// μ of underdamped Langevin: `u ← μu − α∇E + noise; x ← x + u`
    pub momentum: f64,
    /// Subtract the mean over V after each step: softmax does not see it, and logits stay comparable
    pub center: bool,
    /// Two consecutive changes of the mean J below this end the loop; 0 never does, and saves reading J from the device
    pub tolerance: f64,
    /// Each position stops on its own instead, once its J has changed by less than the tolerance since the step before
    pub adaptive: bool,
    /// Keep every x, the first included, and every J
    pub record: bool,
    /// Those who have the other positions of the batch: J's mean is over all of them
    pub processes: Processes,
}

impl Descent {
    /// Plain descent: so many steps of this size, nothing clipped, no noise, no momentum.
    pub fn new(steps: i64, step_size: Tensor) -> Self {
        Self {
            steps,
            step_size,
            jitter: 0.0,
            grad_scale: 1.0,
            grad_clamp: f64::INFINITY,
            max_move: 0.0,
            noise: Noise::Off,
            momentum: 0.0,
            center: false,
            tolerance: 0.0,
            adaptive: false,
            record: false,
            processes: Processes::alone(),
        }
    }
}

/// What a descent gives.
#[derive(Debug)]
pub struct Descended {
    /// The last x (B, T, V)
    pub x: Tensor,
    /// With `record`: x₀, x₁, …
    pub trajectory: Vec<Tensor>,
    /// With `record`: the energy (B, T, 1) of every x that a step was taken from
    pub values: Vec<Tensor>,
    /// With momentum: u (B, T, V), to go on from
    pub velocity: Option<Tensor>,
}

/// Goes down `energy` from `x` (B, T, V), from rest.
pub fn descend(energy: &dyn Energy, x: Tensor, d: &Descent) -> Descended {
    descend_from(energy, x, None, d)
}

/// Goes down `energy` from `x` (B, T, V) and, with momentum, a velocity: the loop.
pub fn descend_from(energy: &dyn Energy, mut x: Tensor, mut velocity: Option<Tensor>, d: &Descent) -> Descended {
    let (mut trajectory, mut values) = (Vec::new(), Vec::new());
    let mut means = Vec::new(); // the early stop's
    let mut awake = Awake::default();
    let mut jitters = None;
    if d.record {
        trajectory.push(x.shallow_clone());
    }
    for step in 0..d.steps {
        // gradient
        let (value, grad) = energy.value_and_grad(&x);
        if d.adaptive && !awake.after(&value, d.tolerance) {
            break;
        }
        // times the step size, clipped
        let grad = if d.grad_scale == 1.0 { grad } else { grad * d.grad_scale };
        let mut delta = -d.jittered(step, &mut jitters) * clamped(&grad, d.grad_clamp);
        if d.max_move > 0.0 {
            delta = clamped(&delta, d.max_move);
        }
        // noise
        let scale = d.noise.scale(step, d.steps);
        if scale > 0.0 {
            delta += x.randn_like() * scale;
        }
        // momentum
        if d.momentum > 0.0 {
            delta = velocity.map_or_else(|| delta.shallow_clone(), |u| u * d.momentum + &delta);
            velocity = Some(delta.shallow_clone());
        }
        let next = &x + delta; // not in place: the graph and the trajectory hold the old x
        x = awake.moved(&x, if d.center { centred(&next) } else { next });
        if d.tolerance > 0.0 && !d.adaptive {
            means.push(value.mean(Kind::Float));
        }
        if d.record {
            trajectory.push(x.shallow_clone());
            values.push(value);
        }
        // Read from the device only where it can end the loop early.
        if step + 1 < d.steps
            && means.len() >= SETTLED as usize
            && settled(&d.read(&means[means.len() - SETTLED as usize..]), d.tolerance)
        {
            break;
        }
    }
    Descended { x, trajectory, values, velocity }
}

/// Which positions still move, where each stops on its own.
#[derive(Default)]
struct Awake {
    /// J before the last step (B, T, 1)
    before: Option<Tensor>,
    /// (B, T, 1), once there was a step
    positions: Option<Tensor>,
}

impl Awake {
    /// Lets those positions sleep whose J, now `value`, has settled. Whether any is left; reads one number from the device.
    fn after(&mut self, value: &Tensor, tolerance: f64) -> bool {
        let Some(before) = self.before.replace(value.detach()) else { return true };
        let moves = (before - value).abs().ge(tolerance);
        let positions = self.positions.take().map_or_else(|| moves.shallow_clone(), |awake| awake.logical_and(&moves));
        let any = positions.any().int64_value(&[]) == 1;
        self.positions = Some(positions);
        any
    }

    /// `next` where a position is awake, else `x`.
    fn moved(&self, x: &Tensor, next: Tensor) -> Tensor {
        self.positions.as_ref().map_or_else(|| next.shallow_clone(), |awake| next.where_self(awake, x))
    }
}

/// The early stop of each row of a batch on its own, after a recorded descent without one: where a row would have stopped, it
/// stays. Rows do not see one another on the way, so that each now has the trajectory it has alone in a batch.
pub fn stop_each_row(d: &mut Descended, tolerance: f64) {
    let rows = d.x.size()[0] as usize;
    let mut means: Vec<Vec<f64>> = vec![Vec::new(); rows];
    let mut stopped = vec![false; rows];
    for (step, value) in d.values.iter().enumerate() {
        let held = Tensor::from_slice(&stopped).to_device(value.device()).view([-1, 1, 1]); // (B, 1, 1)
        d.trajectory[step + 1] = d.trajectory[step].where_self(&held, &d.trajectory[step + 1]);
        let now = value.mean_dim([1i64, 2].as_slice(), false, Kind::Float).to_kind(Kind::Double); // (B, T, 1) → (B)
        let now = Vec::<f64>::try_from(now).unwrap_or_default(); // read from the device
        for ((stopped, means), mean) in stopped.iter_mut().zip(&mut means).zip(now) {
            means.push(mean);
            *stopped = *stopped || settled(means, tolerance);
        }
    }
    d.x = d.trajectory.last().map_or_else(|| d.x.shallow_clone(), Tensor::shallow_clone);
}

fn clamped(x: &Tensor, limit: f64) -> Tensor {
    if limit.is_finite() { x.clamp(-limit, limit) } else { x.shallow_clone() }
}

/// The original's early stop, after a step: the last two changes of the mean energy are below a threshold.
fn settled(means: &[f64], tolerance: f64) -> bool {
    let [.., a, b, c] = means else { return false };
    (a - b).abs() < tolerance && (b - c).abs() < tolerance
}

impl Descent {
    /// α of a step: α · (1 + jitter · (u − ½)); u is drawn, or is among the `drawn`.
    fn jittered(&self, step: i64, drawn: &mut Option<Tensor>) -> Tensor {
        if self.jitter == 0.0 {
            return self.step_size.shallow_clone();
        }
        // Processes take few messages for it, but draw none for a step that an early stop may spare them.
        let (first, n) = match (self.processes.size(), self.tolerance > 0.0) {
            (1, _) => (step, 1),
            (_, false) => (0, self.steps),
            (_, true) if step < SETTLED => (0, self.steps.min(SETTLED)),
            (_, true) => (step, 1),
        };
        if step == first {
            // One by one, as one process draws them.
            let u: Vec<Tensor> = (0..n).map(|_| Tensor::rand([1], (Kind::Float, self.step_size.device()))).collect();
            *drawn = Some(self.processes.alike(Tensor::cat(&u, 0)));
        }
        let factor = drawn.as_ref().map(|u| (u.narrow(0, step - first, 1) - 0.5) * self.jitter + 1.0);
        factor.map_or_else(|| self.step_size.shallow_clone(), |factor| &self.step_size * factor)
    }

    /// Means over all positions of a batch, in one transfer from the device.
    fn read(&self, means: &[Tensor]) -> Vec<f64> {
        let means = Tensor::stack(means, 0).detach().to_kind(Kind::Double);
        self.processes.average(&means);
        Vec::try_from(means).unwrap_or_default()
    }
}
