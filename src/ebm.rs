//! The energy-based model: a transformer, an energy head, and two ways of predicting.
//!
//! * System 1 reads the energies off: `logits = −energies` (sign rule: see [`crate::energy`]).
//! * System 2 starts there and descends an energy of its prediction (see [`crate::energy`]) for a few steps.

use tch::{Device, Kind, Reduction, Tensor, no_grad};

use crate::config::{ModelConfig, RefineReduction};
use crate::energy::{self, Descended, Descent, Energy, Family, Noise, Reading, System1};
use crate::metrics::Metrics;
use crate::model::Transformer;
use crate::nn::cache::Cache;
use crate::nn::linear::Linear;
use crate::nn::params::Params;
use crate::nn::pass::{Pass, Wanted};
use crate::nn::remat::Remat;
use crate::processes::Processes;

/// Standard deviation of the energy head's weights: larger than the rest, so that energies differ from the start.
const ENERGY_HEAD_STD: f64 = 0.1;
/// Targets with this value do not count in a loss (PyTorch's convention in nanoGPT).
const IGNORE_INDEX: i64 = -1;

/// The model and its parameters.
#[derive(Debug)]
pub struct Ebm {
    /// Its configuration, with the vocabulary size of the data
    pub config: ModelConfig,
    /// Reads the text
    pub transformer: Transformer,
    /// `energies = h · Wᵀ`, weight (V, C), not tied to the embeddings
    pub energy_head: Linear,
    /// The energy that thinking descends
    pub family: Box<dyn Family>,
    /// Step size of refinement: a scalar buffer, or a parameter with `alpha_learnable`
    pub alpha: Tensor,
    /// Those who train it, each on a part of every batch
    pub processes: Processes,
    params: Params,
}

/// What [`Ebm::forward`] gives.
#[derive(Debug)]
pub struct Output {
    /// The scalar that training descends
    pub loss: Tensor,
    /// Prediction (B, T, V): System 2's when it refines, else System 1's
    pub logits: Tensor,
    /// Energies of every next token (B, T, V), from the pass that the loss used
    pub energies: Tensor,
    /// Energies of System 1's own pass (B, T, V): another one than the loss's with `share_hidden` off
    pub energies_s1: Tensor,
    refined: bool,
    info_nce: Metrics,
    /// What the backward pass computes again, where activations were not kept
    pub remat: Option<Remat>,
}

impl Output {
    /// Scalars to report, still on the device. They are computed here and not in [`Ebm::forward`]: few steps are logged.
    pub fn metrics(&self, targets: &Tensor) -> Metrics {
        no_grad(|| {
            let mut metrics = Metrics::default();
            let logits_s1 = -&self.energies_s1;
            let nll_s1 = cross_entropy(&logits_s1, targets);
            let initial = energy::expected_energy(&logits_s1, &self.energies_s1).mean(Kind::Float);
            metrics.add("initial_energy", &initial);
            metrics.add("nll_s1", &nll_s1);
            metrics.add_of("ppl_s1", &nll_s1, Tensor::exp);
            if self.refined {
                let nll_s2 = cross_entropy(&self.logits, targets);
                let last = energy::expected_energy(&self.logits, &self.energies_s1).mean(Kind::Float);
                metrics.add("final_energy", &last);
                metrics.add("energy_gap", &(initial - last));
                metrics.add("nll_s2", &nll_s2);
                metrics.add_of("ppl_s2", &nll_s2, Tensor::exp);
                metrics.add_of("perplexity", &nll_s2, Tensor::exp);
                metrics.add("delta_nll", &(nll_s1 - nll_s2));
            } else {
                metrics.add_of("perplexity", &nll_s1, Tensor::exp);
            }
            metrics.extend(&self.info_nce);
            metrics
        })
    }
}

/// Mean energy of the text's own tokens, of tokens drawn at random and of System 1's samples: energies (B, T, V), tokens (B, T).
pub(crate) fn energy_levels(energies: &Tensor, tokens: &Tensor) -> Metrics {
    let mut metrics = Metrics::default();
    metrics.add("energy_data", &energy::token_energies(energies, tokens).mean(Kind::Float));
    metrics.add("energy_random", &energies.mean(Kind::Float));
    metrics.add("energy_system1", &energy::expected_energy(&-energies, energies).mean(Kind::Float));
    metrics
}

impl Ebm {
    /// A freshly initialised model; seed libtorch before it.
    pub fn new(config: &ModelConfig, device: Device) -> Self {
        let mut params = Params::new(device);
        let transformer = Transformer::new(&mut params, "transformer.transformer", config);
        let head = (config.n_embd, config.vocab_size);
        let energy_head = Linear::new(&mut params, "energy_head", head, false, ENERGY_HEAD_STD);
        let family = energy::new(&mut params, config);
        let alpha = if config.alpha_learnable {
            params.constant("alpha", &[], config.alpha_value)
        } else {
            Tensor::full([0i64; 0], config.alpha_value, (Kind::Float, device))
        };
        let processes = Processes::alone();
        Self { config: config.clone(), transformer, energy_head, family, alpha, processes, params }
    }

    /// Number of weights that a model of this shape has, without making it.
    pub fn parameters(config: &ModelConfig) -> u128 {
        let extents = [config.vocab_size, config.block_size, config.n_embd, config.n_layer];
        let [v, t, c, layers] = extents.map(|extent| extent.max(0) as u128);
        let biased = |weights: u128, biases: u128| weights + if config.bias { biases } else { 0 };
        // ln_1 and ln_2, c_attn (C, 3C), c_proj (C, C), the MLP's c_fc (C, 4C) and c_proj (4C, C)
        let block = biased(2 * c + 12 * c * c, 11 * c);
        // wte and energy_head (V, C), wpe (T, C), ln_f
        2 * v * c
            + t * c
            + layers * block
            + biased(c, c)
            + energy::parameters(config)
            + u128::from(config.alpha_learnable)
    }

    /// The trained parameters in PyTorch's order; a learnable `alpha` comes last, as its own group.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Sets the step size of refinement.
    pub fn set_alpha(&self, value: f64) {
        let _ = no_grad(|| self.alpha.shallow_clone().fill_(value));
    }

    /// Where the model lives.
    pub fn device(&self) -> Device {
        self.alpha.device()
    }

    /// (B, T) → hidden states (B, T, C).
    pub fn hidden_states(&self, idx: &Tensor, pass: Pass) -> Tensor {
        self.transformer.forward(idx, pass)
    }

    /// Room for what is to be read of a text, up to `block_size` positions.
    pub fn cache(&self) -> Cache {
        Cache::new(self.config.n_layer, self.config.block_size)
    }

    /// Reads texts `idx` (B, T).
    pub fn read(&self, idx: &Tensor, pass: Pass) -> Reading {
        self.read_whole(idx, Pass { remat: false, ..pass }).0
    }

    /// [`Ebm::read`] for the positions (B, A) that `targets` follow: the last A, which of a text are all.
    pub fn read_for(&self, idx: &Tensor, targets: &Tensor, pass: Pass) -> Reading {
        self.read(idx, pass).last(targets.size()[1])
    }

    /// [`Ebm::read`] with hidden states (B, T, C) that are known already; a family without a System 1 needs more than those.
    pub fn read_hidden(&self, idx: &Tensor, h: &Tensor, pass: Pass) -> Reading {
        self.reading(idx, h, None, pass)
    }

    /// [`Ebm::read`] of tokens that follow those in the cache, which takes them in: one at a time, or the first ones. What is known
    /// after all or the last of them is given.
    pub fn read_cached(&self, idx: &Tensor, wanted: Wanted, cache: &mut Cache, pass: Pass) -> Reading {
        self.read_with(idx, wanted, Some(cache), pass).0
    }

    /// Whole texts, of which a family without a System 1 needs the keys and values.
    fn read_whole(&self, idx: &Tensor, pass: Pass) -> (Reading, Option<Remat>) {
        let new = || Cache::with_graph(self.config.n_layer, self.config.block_size);
        let mut cache = (!self.family.has_system1()).then(new);
        self.read_with(idx, Wanted::All, cache.as_mut(), pass)
    }

    fn read_with(
        &self,
        idx: &Tensor,
        wanted: Wanted,
        mut cache: Option<&mut Cache>,
        pass: Pass,
    ) -> (Reading, Option<Remat>) {
        let (h, remat) = self.transformer.read(idx, wanted, cache.as_deref_mut(), pass);
        let text = cache.as_ref().map_or_else(|| idx.shallow_clone(), |cache| cache.text());
        (self.reading(&text, &h, cache.as_deref(), pass), remat)
    }

    /// What is known after positions with hidden states `h` (B, T, C), the last ones of `text` (B, T′ ≥ T).
    fn reading(&self, text: &Tensor, h: &Tensor, cache: Option<&Cache>, pass: Pass) -> Reading {
        let kept = self.family.keep(text, h, pass);
        let attended = cache.filter(|_| !self.family.has_system1());
        let past = attended.map_or_else(Vec::new, Cache::keys_and_values);
        let energies = self.start(h, pass).unwrap_or_else(|| self.energies(h, pass));
        Reading { energies, kept, past }
    }

    /// Where thinking starts, if not from System 1 (B, T, V): in training as one process would draw it for the whole batch.
    fn start(&self, h: &Tensor, pass: Pass) -> Option<Tensor> {
        let (b, t, v) = (h.size()[0], h.size()[1], self.config.vocab_size);
        let n = if pass.train { self.processes.size() as i64 } else { 1 };
        let all = self.family.start([b * n, t, v], pass)?;
        Some(if n == 1 { all } else { self.processes.alike(all).narrow(0, b * self.processes.rank() as i64, b) })
    }

    /// Keeps the weights of the matrix products in another kind, such as bfloat16: for predicting only, half the memory to read.
    pub fn keep_weights_in(&self, kind: Kind) {
        for linear in self.transformer.linears().chain([&self.energy_head]) {
            for tensor in [Some(&linear.weight), linear.bias.as_ref()].into_iter().flatten() {
                tensor.shallow_clone().set_data(&tensor.to_kind(kind));
            }
        }
    }

    /// Hidden states (B, T, C) → the energy of every next token (B, T, V), fp32.
    pub fn energies(&self, h: &Tensor, pass: Pass) -> Tensor {
        self.system_one().energies(h, pass)
    }

    /// What an energy may look into.
    fn system_one(&self) -> System1<'_> {
        System1 { config: &self.config, transformer: &self.transformer, energy_head: &self.energy_head }
    }

    /// System 1: logits (B, T, V), one forward pass.
    pub fn system1(&self, idx: &Tensor, pass: Pass) -> Tensor {
        -self.energies(&self.hidden_states(idx, pass), pass)
    }

    /// System 2: logits (B, T, V) after descending from System 1's for `steps` steps.
    pub fn system2(&self, reading: &Reading, steps: i64, pass: Pass) -> Tensor {
        self.refine(reading, pass, &self.descent(steps, positions(reading), pass)).x
    }

    /// The prediction (B, T, V) after `steps` steps of thinking: System 1's after none.
    pub fn predict(&self, reading: &Reading, steps: i64, pass: Pass) -> Tensor {
        if steps == 0 { -&reading.energies } else { self.system2(reading, steps, pass) }
    }

    /// [`Ebm::system2`] with every prediction on the way kept, System 1's first.
    pub fn trajectory(&self, reading: &Reading, steps: i64, pass: Pass) -> Vec<Tensor> {
        let descent = Descent { record: true, ..self.descent(steps, positions(reading), pass) };
        self.refine(reading, pass, &descent).trajectory
    }

    /// [`Ebm::trajectory`] of each text of a batch as if it were alone in it: `refine_reduction=mean` is over its own positions, and
    /// the early stop is its own. There are always `steps` + 1 predictions; a text that stopped early stays at its last.
    pub fn trajectory_alone(&self, reading: &Reading, steps: i64, pass: Pass) -> Vec<Tensor> {
        let tolerance = self.config.energy_convergence_threshold;
        let positions = reading.energies.size()[1];
        let descent = self.descent(steps, positions, pass);
        if descent.adaptive {
            let path = self.refine(reading, pass, &Descent { record: true, ..descent }).trajectory;
            let last = path.len() - 1; // the first is always there
            return (0..=steps as usize).map(|k| path[k.min(last)].shallow_clone()).collect();
        }
        let mut descended = self.refine(reading, pass, &Descent { record: true, tolerance: 0.0, ..descent });
        if tolerance > 0.0 {
            energy::stop_each_row(&mut descended, tolerance);
        }
        descended.trajectory
    }

    /// Whether a position's thinking depends on the others: through a mean over all, or through soft tokens.
    pub fn thinks_of_all(&self) -> bool {
        self.config.refine_reduction == RefineReduction::Mean || self.config.use_soft_tokens
    }

    /// The settings of refinement; a mean energy is one over `positions`.
    fn descent(&self, steps: i64, positions: i64, pass: Pass) -> Descent {
        let c = &self.config;
        // An evaluation's batches are each one process's own.
        let processes = if pass.train { self.processes.clone() } else { Processes::alone() };
        let positions = positions * processes.size() as i64;
        Descent {
            jitter: if pass.train { c.alpha_jitter } else { 0.0 },
            grad_scale: if c.refine_reduction == RefineReduction::Mean { 1.0 / positions as f64 } else { 1.0 },
            grad_clamp: c.grad_clamp,
            max_move: c.think_max_move,
            noise: if pass.train { Noise::Decaying(c.langevin_noise) } else { Noise::Off },
            center: true,
            tolerance: c.energy_convergence_threshold,
            adaptive: c.adaptive && !pass.train,
            processes,
            ..Descent::new(steps, self.alpha.shallow_clone())
        }
    }

    fn refine(&self, reading: &Reading, pass: Pass, descent: &Descent) -> Descended {
        energy::descend(self.thinking_energy(reading, pass).as_ref(), -&reading.energies, descent)
    }

    /// The energy that System 2 descends after reading a text.
    pub fn thinking_energy<'a>(&'a self, reading: &'a Reading, pass: Pass) -> Box<dyn Energy + 'a> {
        self.family.energy(self.system_one(), reading, pass)
    }

    /// The loss on `idx` (B, T) and `targets` (B, A), what follows its last A positions; `refine_steps` = None trains System 1 alone.
    pub fn forward(&self, idx: &Tensor, targets: &Tensor, refine_steps: Option<i64>, pass: Pass) -> Output {
        let (first, remat) = self.read_whole(idx, pass);
        let first = first.last(targets.size()[1]);
        // Difference 4: the original refines on a second pass, with other dropout masks.
        let again = pass.train && !self.config.share_hidden && refine_steps.is_some();
        let second = again.then(|| self.read_for(idx, targets, pass));
        let reading = second.as_ref().unwrap_or(&first);
        let logits = match refine_steps {
            Some(steps) => self.system2(reading, steps, pass), // (B, A, V)
            None => -&reading.energies,
        };
        let (energies_s1, energies) = (first.energies.shallow_clone(), reading.energies.shallow_clone());
        let nll = cross_entropy(&logits, targets);
        let w = self.config.aux_ce_weight;
        let nll = if refine_steps.is_some() && w > 0.0 {
            nll * (1.0 - w) + cross_entropy(&-&energies_s1, targets) * w
        } else {
            nll
        };
        let (loss, info_nce) = self.with_info_nce(nll, &energies_s1, targets);
        let refined = refine_steps.is_some();
        Output { loss, logits, energies, energies_s1, refined, info_nce, remat }
    }

    /// Adds the in-batch InfoNCE term where its weight is not 0: each text's own continuation against its neighbours'.
    fn with_info_nce(&self, loss: Tensor, energies: &Tensor, targets: &Tensor) -> (Tensor, Metrics) {
        let (weight, tau) = (self.config.info_nce_weight, self.config.info_nce_temperature);
        let mut metrics = Metrics::default();
        if weight == 0.0 {
            return (loss, metrics);
        }
        let (b, t) = (targets.size()[0], targets.size()[1]);
        let all = self.processes.gather(targets); // (B, T) of the whole batch; the energies are of this process's b rows
        let index = all.transpose(0, 1).unsqueeze(0).expand([b, t, all.size()[0]], false); // [i, t, j] = y_j[t]
        let pairs = energies.gather(2, &index, false).mean_dim([1i64].as_slice(), false, None::<Kind>); // E_ij (b, B)
        let own = Tensor::arange(b, (Kind::Int64, energies.device())) + b * self.processes.rank() as i64;
        let scores = -pairs / tau;
        let info_nce = scores.cross_entropy_loss::<&Tensor>(&own, None, Reduction::Mean, IGNORE_INDEX, 0.0);
        metrics.add("info_nce_loss", &info_nce);
        metrics.add("info_nce_acc", &scores.argmax(1, false).eq_tensor(&own).to_kind(Kind::Float).mean(Kind::Float));
        (loss + info_nce * weight, metrics)
    }
}

/// B·T of (B, T, V).
fn positions(reading: &Reading) -> i64 {
    let size = reading.energies.size();
    size[0] * size[1]
}

/// Mean negative log-likelihood in nats: logits (B, T, V), targets (B, T).
pub fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Tensor {
    let v = logits.size()[2];
    logits.reshape([-1, v]).cross_entropy_loss::<&Tensor>(
        &targets.reshape([-1]),
        None,
        Reduction::Mean,
        IGNORE_INDEX,
        0.0,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_counted_as_they_are_made() {
        for (bias, alpha_learnable) in [(false, true), (true, false)] {
            let mut config =
                ModelConfig { n_layer: 3, n_head: 2, n_embd: 6, bias, alpha_learnable, ..ModelConfig::default() };
            (config.vocab_size, config.block_size) = (7, 5);
            assert_eq!(Ebm::parameters(&config), Ebm::new(&config, Device::Cpu).params().numel() as u128);
        }
    }
}
