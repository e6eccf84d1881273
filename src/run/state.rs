//! The state of a training: all that its steps change, what a checkpoint saves, and what a resumed run goes on with.

use std::path::Path;
use std::sync::Arc;

use tch::Tensor;

use crate::checkpoint::provenance::Provenance;
use crate::checkpoint::{self, Checkpoint, Extra};
use crate::config::{Config, Dtype};
use crate::contrastive::Contrastive;
use crate::data::batches::{Batches, Position};
use crate::data::shuffle::mix;
use crate::data::{Corpus, Split};
use crate::device;
use crate::ebm::Ebm;
use crate::error::Error;
use crate::metrics::Metrics;
use crate::nn::optim::AdamW;
use crate::nn::pass::{Pass, kind};
use crate::processes::Processes;
use crate::run::ram;
use crate::run::resume::{Start, read_corpus, resume};
use crate::run::step::Step;
use crate::run::together;

/// A training, between two of its steps.
#[derive(Debug)]
pub struct State {
    /// Its settings, with the vocabulary size of the data
    pub config: Config,
    /// What it learns from
    pub corpus: Arc<Corpus>,
    /// The model
    pub ebm: Ebm,
    /// The optimizer
    pub optimizer: AdamW,
    /// Contrastive training, where there is any
    pub contrastive: Option<Contrastive>,
    /// Steps done
    pub step: i64,
    /// Where it stands in its data
    pub position: Position,
    /// Best validation loss so far
    pub best_val_nll: Option<f64>,
    /// Steps so far that held NaN or infinity
    pub nonfinite: i64,
}

impl State {
    /// A training as `config` asks for it, from its beginning or from `load_checkpoint`, and how it starts. Nothing is written.
    /// Of several processes, rank 0 alone reads the checkpoint.
    pub fn new(config: &Config, processes: &Processes) -> Result<(Self, Start), Error> {
        let mut config = config.clone();
        let device = device::resolve_for(&config.train.device, processes.local().0)?;
        let own = config.load_checkpoint.as_deref().filter(|_| processes.is_first());
        let resumed = own.map(Checkpoint::read).transpose()?;
        let vocab = resumed.as_ref().and_then(Checkpoint::vocab);
        let corpus = read_corpus(&config, together::vocab(processes, vocab)?)?;
        config.model.vocab_size = corpus.vocab.len() as i64;
        corpus.windows(Split::Train, config.data.block_size, config.data.batch_size as usize)?;
        if config.train.eval_interval > 0 {
            corpus.windows(Split::Val, config.data.block_size, 1)?;
        }
        ram::check_training(&config, device, processes)?;
        together::begin_training(processes, &config, &corpus, device)?;

        tch::manual_seed(config.train.seed);
        let mut ebm = Ebm::new(&config.model, device);
        ebm.processes = processes.clone();
        let mut state = Self {
            contrastive: Contrastive::new(&config.model),
            optimizer: AdamW::new(ebm.params(), &config.train, &config.model),
            corpus: Arc::new(corpus),
            ebm,
            step: 0,
            position: Position::default(),
            best_val_nll: None,
            nonfinite: 0,
            config,
        };
        let mut start = match &resumed {
            Some(checkpoint) => state.load(checkpoint)?,
            None => Start::default(),
        };
        state.nonfinite = start.nonfinite;
        state.share(&mut start)?;
        Ok((state, start))
    }

    /// The processes that train it.
    pub fn processes(&self) -> &Processes {
        &self.ebm.processes
    }

    /// Goes on from a checkpoint.
    fn load(&mut self, checkpoint: &Checkpoint) -> Result<Start, Error> {
        let parts = (&self.ebm, &mut self.optimizer, self.contrastive.as_mut());
        let start = resume(checkpoint, &self.config, &self.corpus, parts)?;
        (self.step, self.position, self.best_val_nll) = (start.step, start.position, start.best_val_nll);
        Ok(start)
    }

    /// Takes over what rank 0 has.
    fn share(&mut self, start: &mut Start) -> Result<(), Error> {
        let own = Start {
            step: self.step,
            position: self.position,
            best_val_nll: self.best_val_nll,
            nonfinite: self.nonfinite,
            ..start.clone()
        };
        let first = together::share(own, &self.ebm, &mut self.optimizer, self.contrastive.as_mut())?;
        (self.step, self.position) = (first.step, first.position);
        (self.best_val_nll, self.nonfinite) = (first.best_val_nll, first.nonfinite);
        *start = first;
        Ok(())
    }

    /// Goes back to one of the run's own checkpoints, with another order of the data and other random numbers from there on.
    pub fn roll_back(&mut self, path: &Path) -> Result<(), Error> {
        let order = self.position.order + 1;
        self.optimizer.reset();
        self.contrastive = Contrastive::new(&self.config.model);
        if self.processes().is_first() {
            self.load(&Checkpoint::read(path)?)?;
        }
        self.share(&mut Start::default())?;
        self.position.order = order;
        Ok(())
    }

    /// The batches from where it stands.
    pub fn batches(&self) -> Result<Batches, Error> {
        Ok(Batches::new(&self.corpus, &self.config, self.position, self.ebm.device(), self.processes())?)
    }

    /// Every random number of a step comes from (seed, step), so that a resumed run repeats none and misses none. Each process has
    /// numbers of its own; those that all must have alike are drawn by rank 0.
    pub fn seed_step(&self) {
        let seed = mix(self.position.seed(self.config.train.seed) ^ mix(self.step as u64));
        let rank = self.processes().rank() as u64;
        tch::manual_seed(if rank == 0 { seed } else { mix(seed ^ mix(rank)) } as i64);
    }

    /// The loss on `idx`, `targets` (B, T): System 2 joins after the warm-up, and a contrastive loss where there is one.
    pub fn forward(&mut self, idx: &Tensor, targets: &Tensor) -> Step {
        let train = &self.config.train;
        let pass = Pass { remat: train.remat, ..Pass::train(kind(train.dtype)) };
        // Without a System 1 there is nothing that could be trained alone.
        let refines = self.step >= self.config.model.warmup_steps_no_refine || !self.ebm.family.has_system1();
        let refine_steps = refines.then(|| self.refine_steps());
        Step::forward(&self.ebm, self.contrastive.as_mut(), (idx, targets), refine_steps, pass)
    }

    /// What is reported of a step, still on the device.
    pub fn report(&self, step: &Step, targets: &Tensor) -> Metrics {
        let mut metrics = step.metrics(targets);
        metrics.add("alpha", &self.ebm.alpha);
        metrics.add("loss", &step.loss);
        metrics
    }

    /// One update by the gradients held, whose norm is `norm`.
    pub fn update(&mut self, norm: &Tensor, lr: f64) {
        self.optimizer.clip_grad_norm(norm, self.config.train.grad_clip);
        self.optimizer.step(lr);
    }

    /// Steps of refinement in this training step: with `random_steps` up to so many more or fewer, but one at least.
    fn refine_steps(&self) -> i64 {
        let (steps, spread) = (self.config.model.refine_steps, self.config.model.random_steps);
        let least = (steps - spread).max(steps.min(1));
        let choices = (steps + spread - least + 1) as u64;
        least + (mix(mix(self.step as u64) ^ self.position.seed(self.config.train.seed)) % choices) as i64
    }

    /// Takes note of a validation loss: whether it is the best so far.
    pub fn improves(&mut self, val_nll: f64) -> bool {
        let better = val_nll.is_finite() && self.best_val_nll.is_none_or(|best| val_nll < best);
        if better {
            self.best_val_nll = Some(val_nll);
        }
        better
    }

    /// Writes all of it to a checkpoint, once for all processes.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        // In the middle of an accumulation, each holds gradients of its own.
        self.optimizer.average_gradients(self.processes());
        self.processes().check()?;
        together::check_weights(self.processes(), &self.optimizer, self.contrastive.as_ref())?;
        if !self.processes().is_first() {
            return Ok(());
        }
        let extra = Extra {
            made_by: Provenance::here(&self.corpus.sha256),
            config: self.config.clone(),
            vocab: self.corpus.vocab.chars().iter().collect(),
            position: self.position,
            best_val_nll: self.best_val_nll,
            nonfinite: self.nonfinite,
        };
        Ok(checkpoint::save(path, &self.ebm, &self.optimizer, self.contrastive.as_ref(), self.step, &extra)?)
    }

    /// Where processes that `torchrun` starts in place of these go on.
    pub fn note_checkpoint(&self, path: &Path) -> Result<(), Error> {
        if self.processes().is_first() {
            self.processes().note_run(path)?;
        }
        Ok(())
    }

    /// What is about to be trained, in lines for people.
    pub fn announce(&self) -> Vec<String> {
        let (config, corpus, device) = (&self.config, &self.corpus, self.ebm.device());
        let (threads, dtype, seed) = (tch::get_num_threads(), config.train.dtype, config.train.seed);
        let characters = corpus.len(Split::Train) + corpus.len(Split::Val);
        let tokens = config.data.batch_size * config.data.block_size;
        let mut lines = vec![
            format!("Setup: device={device:?}, threads={threads}, dtype={dtype}, seed={seed}"),
            format!("Data: {} | {characters} characters | vocab_size={}", corpus.path.display(), corpus.vocab.len()),
            format!("Model: {} parameters | {tokens} tokens per step", self.ebm.params().numel()),
        ];
        lines.extend(together::announce(self.processes(), device, config.data.batch_size));
        lines
    }

    /// What the user should know of the settings, in lines for people.
    pub fn warnings(&self) -> Vec<String> {
        let mut lines = self.corpus.warnings();
        if self.config.train.compile {
            lines.push(
                "train.compile=true: libtorch has no compiler outside Python; the run is eager, as without it"
                    .to_owned(),
            );
        }
        if self.config.train.dtype == Dtype::Bfloat16 && device::emulates_bfloat16(self.ebm.device()) {
            lines.push("This CPU has no units for bfloat16: train.dtype=float32 is faster here".to_owned());
        }
        lines
    }
}
