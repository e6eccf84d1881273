//! Contrastive divergence (Hinton, 2002): lower the energy of the data, raise it where the model's own chains go.
//!
//! A chain is a prediction v (T, V): logits for every position. It moves by Langevin steps, which are
//! [`energy::descend`] with noise, down the expected energy under softmax(v) of *the text that it is paired with in this call*.
//! Three ways to start it:
//!
//! * CD-k: at System 1's logits of the text; k steps, then forgotten. At k = 0, `E⁺ − E⁻` has the gradient of the likelihood.
//! * PCD: in a buffer of particles, of which each call moves some and writes them back.
//! * Fast PCD: few chains that all move in every call, with random restarts and momentum (underdamped Langevin).
//!
//! What persists, when the text is another one in every call? In the original the logits themselves (`same_token`): a particle
//! carries what one text said into the next, and its energy is near that of random tokens. Here (`next_token`) the displacement
//! from System 1, `v = −e + d`: a particle is conditioned on the text of the call, and d is what it remembers. Mixing means
//! that d forgets the noise it was born with and goes where energies are low whatever the text; at d = 0 it is CD. At the
//! original's step size that takes more calls than a run has: `chain_movement` says how far the chains come.
//!
//! `next_token` takes the energies of the loss, with no further transformer pass; `same_token` reads the targets again.

use tch::{Device, Kind, Tensor, no_grad};

use crate::config::{ContrastiveEnergy, ContrastiveType, ModelConfig};
use crate::ebm::Ebm;
use crate::energy::{self, Descent, ExpectedEnergy, Noise};
use crate::metrics::Metrics;
use crate::transformer::Pass;

/// Chains that outlive a call, and the sampler's settings.
#[derive(Debug)]
pub struct Contrastive {
    config: ModelConfig,
    /// PCD: the buffer (n_persistent, T, V). Fast PCD: the chains (n_chains, T, V). CD: none.
    /// Logits with `same_token`, displacements from System 1 with `next_token`
    pub chains: Option<Tensor>,
    /// Momentum of the chains, where there is any
    pub velocity: Option<Tensor>,
}

/// The random choices of one call.
#[derive(Debug)]
pub struct Draw {
    /// PCD: which particles move (B). Fast PCD: which chains are the negatives (B)
    pub pick: Tensor,
    /// Fast PCD: the row of the batch whose energies each chain moves in (n_chains)
    pub assign: Tensor,
    /// Fast PCD: chains that restart
    pub restart: Vec<bool>,
}

/// Negative predictions and the energies that they are judged by.
#[derive(Debug)]
pub struct Negatives {
    /// Logits after the last step (B, T, V)
    pub logits: Tensor,
    /// Energies, with their graph (B, T, V)
    pub energies: Tensor,
    /// Root mean square of what the chains moved
    moved: Tensor,
}

impl Contrastive {
    /// What the configuration asks for; None without contrastive training.
    pub fn new(config: &ModelConfig) -> Option<Self> {
        config.use_contrastive.then(|| Self { config: config.clone(), chains: None, velocity: None })
    }

    /// `E⁺ − E⁻` for `targets` (B, T), given the energies (B, T, V) of the loss; its weight is not applied.
    pub fn loss(&mut self, ebm: &Ebm, targets: &Tensor, energies: &Tensor, pass: Pass) -> (Tensor, Metrics) {
        let draw = self.draw(targets.size()[0]);
        self.loss_with(ebm, targets, energies, pass, &draw)
    }

    /// [`Contrastive::loss`] with given random choices.
    pub fn loss_with(
        &mut self,
        ebm: &Ebm,
        targets: &Tensor,
        energies: &Tensor,
        pass: Pass,
        draw: &Draw,
    ) -> (Tensor, Metrics) {
        // Difference 3: the original reads the targets in two more passes and takes the energy of the token just read.
        let again = || ebm.energies(&ebm.hidden_states(targets, pass), pass);
        let energies = match self.config.contrastive_energy {
            ContrastiveEnergy::NextToken => energies.shallow_clone(),
            ContrastiveEnergy::SameToken => again(),
        };
        let own_pass = self.config.contrastive_energy == ContrastiveEnergy::SameToken && !self.config.share_hidden;
        let positive = if self.config.contrastive_positive_grad {
            energy_of(&energies, targets)
        } else if own_pass && pass.train {
            no_grad(|| energy_of(&again(), targets)) // with dropout masks of its own
        } else {
            energy_of(&energies, targets).detach() // difference 2: only negative energies are trained
        };
        let negatives = self.negatives(&energies, draw);
        let positive = positive.mean(Kind::Float);
        let negative = energy::expected_energy(&negatives.logits, &negatives.energies).mean(Kind::Float);
        let loss = &positive - &negative;

        let mut metrics = Metrics::default();
        metrics.add("cd_loss", &loss);
        metrics.add("energy_data", &positive);
        metrics.add("energy_negatives", &negative);
        no_grad(|| {
            metrics.add("energy_random", &energies.mean(Kind::Float));
            metrics.add("energy_system1", &energy::expected_energy(&-&energies, &energies).mean(Kind::Float));
            metrics.add("entropy_negatives", &energy::entropy(&negatives.logits).mean(Kind::Float));
        });
        metrics.add("chain_movement", &negatives.moved);
        (loss, metrics)
    }

    /// The random choices of a call with `batch` texts.
    fn draw(&self, batch: i64) -> Draw {
        // Drawn on the CPU: choosing must not wait for the device.
        let int = (Kind::Int64, Device::Cpu);
        let (n_chains, c) = (self.config.n_chains, &self.config);
        match c.contrastive_type {
            ContrastiveType::Cd => {
                Draw { pick: Tensor::empty([0], int), assign: Tensor::empty([0], int), restart: vec![] }
            }
            ContrastiveType::Pcd => {
                let pick = Tensor::randint(c.n_persistent, [batch], int);
                Draw { pick, assign: Tensor::empty([0], int), restart: vec![] }
            }
            ContrastiveType::FastPcd => Draw {
                assign: Tensor::randint(batch, [n_chains], int),
                restart: Vec::<bool>::try_from(Tensor::rand([n_chains], (Kind::Float, Device::Cpu)).lt(c.restart_prob))
                    .unwrap_or_default(),
                pick: Tensor::randint(n_chains, [batch], int),
            },
        }
    }

    /// Moves the chains of this call in `energies` (B, T, V).
    pub fn negatives(&mut self, energies: &Tensor, draw: &Draw) -> Negatives {
        let device = energies.device();
        let (pick, assign) = (draw.pick.to_device(device), draw.assign.to_device(device));
        match self.config.contrastive_type {
            ContrastiveType::Cd => {
                let start = -energies.detach();
                let (logits, moved, _) = self.langevin(&start, energies, None);
                Negatives { logits, energies: energies.shallow_clone(), moved }
            }
            ContrastiveType::Pcd => {
                let mut particles = self.take_chains(self.config.n_persistent, energies);
                let origin = self.origin(energies);
                let start = particles.index_select(0, &pick) + &origin; // (B, T, V)
                let (logits, moved, _) = self.langevin(&start, energies, None);
                let _ = particles.index_copy_(0, &pick, &(&logits - origin));
                self.chains = Some(particles);
                Negatives { logits, energies: energies.shallow_clone(), moved }
            }
            ContrastiveType::FastPcd => {
                let mut chains = self.take_chains(self.config.n_chains, energies);
                self.restart(&mut chains, energies, &draw.restart);
                let lent = energies.index_select(0, &assign); // (n_chains, T, V)
                let velocity = self.velocity.take();
                let origin = self.origin(&lent);
                let (chains, moved, velocity) = self.langevin(&(chains + &origin), &lent, velocity);
                let logits = chains.index_select(0, &pick); // (B, T, V)
                // The original judges a chain by another text than the one it moved in.
                let judged_by = match self.config.contrastive_energy {
                    ContrastiveEnergy::SameToken => energies.shallow_clone(),
                    ContrastiveEnergy::NextToken => lent.index_select(0, &pick),
                };
                (self.chains, self.velocity) = (Some(chains - origin), velocity);
                Negatives { logits, energies: judged_by, moved }
            }
        }
    }

    /// What a chain is a displacement from: System 1's logits of its text, or nothing, as in the original.
    fn origin(&self, energies: &Tensor) -> Tensor {
        match self.config.contrastive_energy {
            ContrastiveEnergy::NextToken => -energies.detach(),
            ContrastiveEnergy::SameToken => Tensor::zeros([1i64; 3], (Kind::Float, energies.device())),
        }
    }

    /// The chains of the last call, or fresh ones ~ N(0, buffer_init_std²), of shape (n, T, V).
    fn take_chains(&mut self, n: i64, energies: &Tensor) -> Tensor {
        let shape = [n, energies.size()[1], energies.size()[2]];
        let fresh = || Tensor::randn(shape, (Kind::Float, energies.device())) * self.config.buffer_init_std;
        self.chains.take().unwrap_or_else(fresh)
    }

    /// Restarts chains from System 1. In the original: of distinct rows, or from noise when there are more chains than rows.
    fn restart(&mut self, chains: &mut Tensor, energies: &Tensor, restart: &[bool]) {
        let which: Vec<i64> = (0..).zip(restart).filter_map(|(i, &yes)| yes.then_some(i)).collect();
        if which.is_empty() {
            return;
        }
        let (n, batch, device) = (which.len() as i64, energies.size()[0], energies.device());
        let fresh = [n, chains.size()[1], chains.size()[2]];
        let rows = if self.config.contrastive_energy == ContrastiveEnergy::NextToken {
            Tensor::zeros(fresh, (Kind::Float, device)) // no displacement: System 1 of whatever text comes
        } else if n <= batch {
            let rows = Tensor::randperm(batch, (Kind::Int64, Device::Cpu)).narrow(0, 0, n).to_device(device);
            -energies.detach().index_select(0, &rows)
        } else {
            Tensor::randn(fresh, (Kind::Float, device)) * self.config.buffer_init_std
        };
        let which = Tensor::from_slice(&which).to_device(device);
        let _ = chains.index_copy_(0, &which, &rows);
        if let Some(velocity) = &mut self.velocity {
            let _ = velocity.index_fill_(0, &which, 0.0);
        }
    }

    /// k Langevin steps from `start` with the energies held fixed: the chains, how far they moved, their velocity.
    fn langevin(
        &self,
        start: &Tensor,
        energies: &Tensor,
        velocity: Option<Tensor>,
    ) -> (Tensor, Tensor, Option<Tensor>) {
        let c = &self.config;
        let (eta, s) = (c.langevin_step_size, c.langevin_noise_scale);
        let fast = c.contrastive_type == ContrastiveType::FastPcd;
        let descent = Descent {
            steps: c.contrastive_k,
            step_size: Tensor::from(eta as f32).to_device(start.device()),
            jitter: 0.0,
            grad_scale: 1.0,
            grad_clamp: f64::INFINITY,
            max_move: 0.0,
            noise: Noise::Constant((2.0 * eta * s).sqrt()),
            momentum: if fast { c.langevin_momentum } else { 0.0 },
            center: false,
            tolerance: 0.0,
            record: false,
        };
        no_grad(|| {
            let energy = ExpectedEnergy::plain(energies);
            let end = energy::descend_from(&energy, start.shallow_clone(), velocity, &descent);
            let moved = (&end.x - start).square().mean(Kind::Float).sqrt();
            (end.x, moved, end.velocity)
        })
    }
}

/// The energy of the given tokens: (B, T, V), (B, T) → (B, T).
fn energy_of(energies: &Tensor, tokens: &Tensor) -> Tensor {
    energies.gather(2, &tokens.unsqueeze(-1), false).squeeze_dim(-1)
}
