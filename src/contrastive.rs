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
//!
//! What it buys: the gradient of `E⁺ − E⁻` at System 1 is that of the likelihood, which every step descends anyway, and neither
//! sees a constant added to all energies of a position. `contrastive_l2` does: with it, energies of different contexts compare,
//! and the energy of a text tells it from a damaged one (measured in docs/contrastive.md).

use tch::{Device, Kind, Tensor, no_grad};

use crate::config::{ContrastiveEnergy, ContrastiveType, ModelConfig};
use crate::ebm::{Ebm, energy_levels};
use crate::energy::{self, Descent, ExpectedEnergy, Noise, token_energies};
use crate::metrics::Metrics;
use crate::nn::pass::Pass;
use crate::processes::Processes;

/// Chains that outlive a call, and the sampler's settings.
#[derive(Debug)]
pub struct Contrastive {
    config: ModelConfig,
    /// PCD: the buffer (n_persistent, T, V). Fast PCD: the chains (n_chains, T, V). CD: none.
    /// Logits with `same_token`, displacements from System 1 with `next_token`
    pub chains: Option<Tensor>,
    /// Momentum of the chains, where there is any
    pub velocity: Option<Tensor>,
    /// Chains and momentum before the last call
    before: [Option<Tensor>; 2],
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

impl Draw {
    /// The choices of rank 0, for all.
    fn alike(self, processes: &Processes) -> Self {
        let restart: Vec<i64> = self.restart.into_iter().map(i64::from).collect();
        let restart = Vec::<i64>::try_from(processes.alike(Tensor::from_slice(&restart))).unwrap_or_default();
        Self {
            pick: processes.alike(self.pick),
            assign: processes.alike(self.assign),
            restart: restart.into_iter().map(|yes| yes == 1).collect(),
        }
    }
}

/// Negative predictions and the energies that they are judged by.
#[derive(Debug)]
pub struct Negatives {
    /// Logits after the last step (B, T, V)
    pub logits: Tensor,
    /// Energies, with their graph (B, T, V)
    pub energies: Tensor,
    /// All chains of the call before and after their steps (n, T, V)
    path: [Tensor; 2],
    /// B and n, or where processes share them each one's even share: it may hold more or fewer
    rows: [f64; 2],
}

/// Both phases of one call.
#[derive(Debug)]
pub struct Phases {
    /// Energies of the text's own tokens (B, T)
    positive: Tensor,
    /// Expected energies of the negatives (B, T)
    negative: Tensor,
    /// Weight of their squares
    l2: f64,
    /// The energies that the positive phase and the chains saw (B, T, V)
    energies: Tensor,
    negatives: Negatives,
}

impl Phases {
    /// `E⁺ − E⁻`, both means over all positions.
    pub fn divergence(&self) -> Tensor {
        self.positive.mean(Kind::Float) - self.of_negatives(&self.negative)
    }

    /// The divergence, and the mean squares of both phases (Du & Mordatch, 2019): the divergence alone leaves each position's
    /// energies free up to a constant, so that energies of different contexts do not compare.
    pub fn loss(&self) -> Tensor {
        if self.l2 == 0.0 {
            return self.divergence();
        }
        self.divergence() + self.mean_squares() * self.l2
    }

    /// The chains of the call after their steps (n, T, V).
    pub(crate) fn moved(&self) -> &Tensor {
        &self.negatives.path[1]
    }

    fn mean_squares(&self) -> Tensor {
        self.positive.square().mean(Kind::Float) + self.of_negatives(&self.negative.square())
    }

    /// The mean over the negatives (B, …).
    fn of_negatives(&self, x: &Tensor) -> Tensor {
        mean(x, self.negatives.rows[0])
    }

    /// What shows whether it works: both phases, random and System 1's tokens, entropy (nats) and movement of the chains.
    pub fn metrics(&self, targets: &Tensor) -> Metrics {
        let mut metrics = energy_levels(&self.energies, targets);
        metrics.add("cd_loss", &self.divergence());
        metrics.add("energy_data", &self.positive.mean(Kind::Float));
        metrics.add("energy_negatives", &self.of_negatives(&self.negative));
        metrics.add("energy_l2", &self.mean_squares());
        metrics.add("entropy_negatives", &self.of_negatives(&energy::entropy(&self.negatives.logits)));
        let [before, after] = &self.negatives.path;
        metrics.add_of("chain_movement", &mean(&(after - before).square(), self.negatives.rows[1]), Tensor::sqrt);
        metrics
    }
}

impl Contrastive {
    /// What the configuration asks for; None without contrastive training.
    pub fn new(config: &ModelConfig) -> Option<Self> {
        config.use_contrastive.then(|| Self {
            config: config.clone(),
            chains: None,
            velocity: None,
            before: [None, None],
        })
    }

    /// Puts the chains back to where they were before the last call.
    pub fn undo(&mut self) {
        [self.chains, self.velocity] = std::mem::take(&mut self.before);
    }

    /// Both phases for `targets` (B, T), given the energies (B, T, V) of the loss.
    pub fn phases(&mut self, ebm: &Ebm, targets: &Tensor, energies: &Tensor, pass: Pass) -> Phases {
        let draw = self.draw(targets.size()[0] * ebm.processes.size() as i64).alike(&ebm.processes);
        self.phases_with(ebm, targets, energies, pass, &draw)
    }

    /// [`Contrastive::phases`] with given random choices.
    pub fn phases_with(&mut self, ebm: &Ebm, targets: &Tensor, energies: &Tensor, pass: Pass, draw: &Draw) -> Phases {
        // The tensors themselves are kept: no call changes one in place.
        self.before = [&self.chains, &self.velocity].map(|held| held.as_ref().map(Tensor::shallow_clone));
        // Difference 3: the original reads the targets in two more passes and takes the energy of the token just read.
        let again = || ebm.energies(&ebm.hidden_states(targets, pass), pass);
        let energies = match self.config.contrastive_energy {
            ContrastiveEnergy::NextToken => energies.shallow_clone(),
            ContrastiveEnergy::SameToken => again(),
        };
        let own_pass = self.config.contrastive_energy == ContrastiveEnergy::SameToken && !self.config.share_hidden;
        let positive = if self.config.contrastive_positive_grad {
            token_energies(&energies, targets)
        } else if own_pass && pass.train {
            no_grad(|| token_energies(&again(), targets)) // with dropout masks of its own
        } else {
            token_energies(&energies, targets).detach() // difference 2: only negative energies are trained
        };
        let negatives = self.negatives(&energies, draw, &ebm.processes);
        let negative = energy::expected_energy(&negatives.logits, &negatives.energies);
        Phases { positive, negative, l2: self.config.contrastive_l2, energies, negatives }
    }

    /// The random choices of a call with `batch` texts.
    pub fn draw(&self, batch: i64) -> Draw {
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

    /// Moves the chains of this call in `energies` (B, T, V). Where processes share a batch, each has b of its rows and moves those
    /// chains that move in them; all keep all chains, and make the same choices.
    pub fn negatives(&mut self, energies: &Tensor, draw: &Draw, processes: &Processes) -> Negatives {
        let (device, b) = (energies.device(), energies.size()[0]);
        let n = if self.config.contrastive_type == ContrastiveType::FastPcd {
            self.config.n_chains as f64 / processes.size() as f64
        } else {
            b as f64
        };
        let rows = [b as f64, n];
        let own_pick = || draw.pick.narrow(0, b * processes.rank() as i64, b).to_device(device);
        match self.config.contrastive_type {
            ContrastiveType::Cd => {
                let start = -energies.detach();
                let (logits, _) = self.langevin(&start, energies, None);
                let path = [start, logits.shallow_clone()];
                Negatives { logits, energies: energies.shallow_clone(), path, rows }
            }
            ContrastiveType::Pcd => {
                let particles = self.take_chains(self.config.n_persistent, energies, processes);
                let origin = self.origin(energies);
                let start = particles.index_select(0, &own_pick()) + &origin; // (B, T, V)
                let (logits, _) = self.langevin(&start, energies, None);
                // A particle that was picked twice keeps what the later row did with it: copies race where threads share them.
                let last = last_of_each(&draw.pick);
                let moved = processes.rows(&(&logits - origin), &last);
                self.chains =
                    Some(particles.index_copy(0, &draw.pick.index_select(0, &last).to_device(device), &moved));
                let path = [start, logits.shallow_clone()];
                Negatives { logits, energies: energies.shallow_clone(), path, rows }
            }
            ContrastiveType::FastPcd => {
                let chains = self.take_chains(self.config.n_chains, energies, processes);
                let chains = self.restart(chains, energies, &draw.restart, processes);
                let (places, assign) = processes.own(&draw.assign, b);
                let lent = energies.index_select(0, &assign.to_device(device)); // (n_chains, T, V)
                let here = places.to_device(device);
                let velocity = self.velocity.take().map(|velocity| velocity.index_select(0, &here));
                let origin = self.origin(&lent);
                let start = chains.index_select(0, &here) + &origin;
                let (end, velocity) = self.langevin(&start, &lent, velocity);
                let all = |own: &Tensor| processes.placed(own, &places, self.config.n_chains);
                let (chains, velocity) = (all(&(&end - origin)), velocity.map(|velocity| all(&velocity)));
                // The original judges a chain by another text than the one it moved in.
                let (logits, energies) = match self.config.contrastive_energy {
                    ContrastiveEnergy::SameToken => (chains.index_select(0, &own_pick()), energies.shallow_clone()),
                    ContrastiveEnergy::NextToken => {
                        let pick = found(&draw.pick, &places, self.config.n_chains).to_device(device);
                        (end.index_select(0, &pick), lent.index_select(0, &pick)) // (B, T, V)
                    }
                };
                (self.chains, self.velocity) = (Some(chains), velocity);
                Negatives { logits, energies, path: [start, end], rows }
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
    fn take_chains(&mut self, n: i64, energies: &Tensor, processes: &Processes) -> Tensor {
        let shape = [n, energies.size()[1], energies.size()[2]];
        let randn = || Tensor::randn(shape, (Kind::Float, energies.device()));
        let fresh = || processes.alike(randn()) * self.config.buffer_init_std;
        self.chains.take().unwrap_or_else(fresh)
    }

    /// Restarts chains from System 1. In the original: of distinct rows, or from noise when there are more chains than rows.
    fn restart(&mut self, chains: Tensor, energies: &Tensor, restart: &[bool], processes: &Processes) -> Tensor {
        let which: Vec<i64> = (0..).zip(restart).filter_map(|(i, &yes)| yes.then_some(i)).collect();
        if which.is_empty() {
            return chains;
        }
        let (n, batch, device) = (which.len() as i64, energies.size()[0] * processes.size() as i64, energies.device());
        let fresh = [n, chains.size()[1], chains.size()[2]];
        let rows = if self.config.contrastive_energy == ContrastiveEnergy::NextToken {
            Tensor::zeros(fresh, (Kind::Float, device)) // no displacement: System 1 of whatever text comes
        } else if n <= batch {
            -processes
                .rows(energies, &processes.alike(Tensor::randperm(batch, (Kind::Int64, Device::Cpu))).narrow(0, 0, n))
        } else {
            processes.alike(Tensor::randn(fresh, (Kind::Float, device))) * self.config.buffer_init_std
        };
        let which = Tensor::from_slice(&which).to_device(device);
        self.velocity = self.velocity.take().map(|velocity| velocity.index_fill(0, &which, 0.0));
        chains.index_copy(0, &which, &rows)
    }

    /// k Langevin steps from `start` with the energies held fixed: the chains and their velocity.
    fn langevin(&self, start: &Tensor, energies: &Tensor, velocity: Option<Tensor>) -> (Tensor, Option<Tensor>) {
        let c = &self.config;
        let (eta, s) = (c.langevin_step_size, c.langevin_noise_scale);
        let fast = c.contrastive_type == ContrastiveType::FastPcd;
        let step_size = Tensor::from(eta as f32).to_device(start.device());
        let descent = Descent {
            noise: Noise::Constant((2.0 * eta * s).sqrt()),
            momentum: if fast { c.langevin_momentum } else { 0.0 },
            ..Descent::new(c.contrastive_k, step_size)
        };
        no_grad(|| {
            let energy = ExpectedEnergy::plain(energies);
            let end = energy::descend_from(&energy, start.shallow_clone(), velocity, &descent);
            (end.x, end.velocity)
        })
    }
}

/// The mean of x (n, …) over so many rows, of which other processes may hold some.
fn mean(x: &Tensor, rows: f64) -> Tensor {
    let size = x.size();
    if size[0] as f64 == rows {
        return x.mean(Kind::Float);
    }
    x.sum(Kind::Float) / (rows * size[1..].iter().product::<i64>() as f64)
}

/// Where the values (B) stand among `places` (m), numbers below n: those that do, (at most B).
fn found(values: &Tensor, places: &Tensor, n: i64) -> Tensor {
    let at = Tensor::full([n], -1, (Kind::Int64, Device::Cpu));
    let at = at.index_copy(0, places, &Tensor::arange(places.size()[0], (Kind::Int64, Device::Cpu)));
    let found = at.index_select(0, values);
    found.masked_select(&found.ge(0))
}

/// The rows (B) → (at most B) of which no later one holds the same value.
fn last_of_each(values: &Tensor) -> Tensor {
    let values = Vec::<i64>::try_from(values).unwrap_or_default(); // on the CPU
    let rows: Vec<i64> =
        (0..values.len()).filter(|&i| !values[i + 1..].contains(&values[i])).map(|i| i as i64).collect();
    Tensor::from_slice(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_stands_twice_the_last_counts() {
        let rows = last_of_each(&Tensor::from_slice(&[7i64, 3, 7, 5, 3]));
        assert_eq!(Vec::<i64>::try_from(rows).unwrap(), [2, 3, 4]);
    }
}
