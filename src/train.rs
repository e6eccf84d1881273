//! Training: the loop, and what it needs before and after.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tch::{Kind, Tensor, no_grad};

use crate::checkpoint::provenance::Provenance;
use crate::checkpoint::{self, Checkpoint, Extra, find};
use crate::config::{Config, Dtype, EnergyFamily, OnNonfinite, to_yaml};
use crate::contrastive::Contrastive;
use crate::data::batches::{Batches, Position, mix, spread};
use crate::data::{Corpus, Split};
use crate::device;
use crate::ebm::{Ebm, Output, cross_entropy};
use crate::energy;
use crate::error::Error;
use crate::fs::{sync_dir, write_atomically};
use crate::metrics::{Metrics, row};
use crate::model::Pass;
use crate::nn::optim::{AdamW, learning_rate};
use crate::run::dir::{self, RunDir};
use crate::run::nonfinite;
use crate::run::profile::Profile;
use crate::run::ram;
use crate::run::resume::{Start, read_corpus, resume};
use crate::sample;
use crate::tracking::{End, Trackers};

/// Characters of the texts that evaluations show.
const SAMPLE_LENGTH: usize = 300;

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are done; the path of `final.pt`.
    Finished(PathBuf),
    /// A signal stopped it; the path of the checkpoint to go on from.
    Interrupted(PathBuf),
}

/// A run that is set up: nothing is on disk before all of this has succeeded.
struct Run {
    config: Config,
    corpus: Arc<Corpus>,
    ebm: Ebm,
    optimizer: AdamW,
    contrastive: Option<Contrastive>,
    start: i64,
    position: Position,
    best_val_nll: Option<f64>,
    run_dir: RunDir,
    /// Steps so far that held what is no number
    nonfinite: i64,
    /// The newest checkpoint that a step without a fault went on from, or else the best
    last_good: Option<PathBuf>,
    /// A newer one that no step has gone on from yet
    unproven: Option<PathBuf>,
    tracker: Trackers,
}

/// Trains as `config` says. `overrides` are written beside the results; a non-zero `stop` ends the run after the step.
/// A resumed run goes on in its checkpoint's directory where that is under `out_dir`, unless it is `one_of_several`.
pub fn train(
    config: &Config,
    overrides: &[String],
    one_of_several: bool,
    stop: &AtomicUsize,
) -> Result<Outcome, Error> {
    let mut run = Run::set_up(config, overrides, one_of_several)?;
    let outcome = run.train(stop);
    run.tracker.finish(&match &outcome {
        Ok(Outcome::Finished(_)) => End::Finished,
        Ok(Outcome::Interrupted(_)) => End::Interrupted,
        Err(error) => End::Failed(error.to_string()),
    });
    outcome
}

impl Run {
    fn set_up(config: &Config, overrides: &[String], one_of_several: bool) -> Result<Self, Error> {
        let mut config = config.clone();
        let device = device::resolve(&config.train.device)?;
        let resumed = config.load_checkpoint.as_deref().map(Checkpoint::read).transpose()?;
        let corpus = read_corpus(&config, resumed.as_ref())?;
        config.model.vocab_size = corpus.vocab.len() as i64;
        corpus.windows(Split::Train, config.data.block_size, config.data.batch_size as usize)?;
        if config.train.eval_interval > 0 {
            corpus.windows(Split::Val, config.data.block_size, 1)?;
        }

        ram::check_training(&config, device)?;
        tch::manual_seed(config.train.seed);
        let ebm = Ebm::new(&config.model, device);
        let mut contrastive = Contrastive::new(&config.model);
        let mut optimizer = AdamW::new(ebm.params(), &config.train, &config.model);
        let state = (&ebm, &mut optimizer, contrastive.as_mut());
        let start = match &resumed {
            Some(checkpoint) => resume(checkpoint, &config, &corpus, state)?,
            None => Start::default(),
        };

        let own = start.checkpoint.as_deref().filter(|_| !one_of_several && !start.apart);
        let existing = own.and_then(|path| dir::of_checkpoint(path, &config.out_dir));
        let (run_dir, tracker) = open_run(existing, &config, overrides, start.step)?;
        let mut run = Self {
            corpus: Arc::new(corpus),
            ebm,
            optimizer,
            contrastive,
            start: start.step,
            position: start.position,
            best_val_nll: start.best_val_nll,
            run_dir,
            nonfinite: start.nonfinite,
            last_good: None,
            unproven: start.checkpoint.filter(|_| !start.apart),
            tracker,
            config,
        };
        run.announce(start.notes);
        Ok(run)
    }

    /// Says what is about to happen.
    fn announce(&mut self, resumed: Vec<String>) {
        let (config, corpus) = (&self.config, &self.corpus);
        let mut notes = vec![
            format!(
                "Setup: device={:?}, threads={}, dtype={}, seed={}",
                self.ebm.device(),
                tch::get_num_threads(),
                config.train.dtype,
                config.train.seed
            ),
            format!(
                "Data: {} | {} characters | vocab_size={}",
                corpus.path.display(),
                corpus.len(Split::Train) + corpus.len(Split::Val),
                corpus.vocab.len()
            ),
            format!(
                "Model: {} parameters | {} tokens per step",
                self.ebm.params().numel(),
                config.data.batch_size * config.data.block_size
            ),
            format!("Run directory: {}", self.run_dir.path.display()),
        ];
        if let Err(reason) = &self.run_dir.lock {
            notes.push(format!("It cannot be locked ({reason}): nothing keeps a second train from writing there"));
        }
        if config.train.compile {
            notes.push(
                "train.compile=true: libtorch has no compiler outside Python; the run is eager, as without it".into(),
            );
        }
        if config.train.dtype == Dtype::Bfloat16 && device::emulates_bfloat16(self.ebm.device()) {
            notes.push("This CPU has no units for bfloat16: train.dtype=float32 is faster here".into());
        }
        notes.extend(resumed);
        notes.push(format!("Training from step {} to {}", self.start, config.train.max_steps));
        notes.iter().for_each(|note| self.tracker.note(note));
    }

    /// The training loop.
    fn train(&mut self, stop: &AtomicUsize) -> Result<Outcome, Error> {
        let train = self.config.train.clone();
        let pass = Pass { remat: train.remat, ..Pass::train(kind(train.dtype)) };
        self.save_the_start()?;
        let mut batches = self.batches()?;
        let mut profile = Profile::start(self.ebm.device(), train.profile);
        let mut step = self.start;
        while step < train.max_steps {
            // every random number of this step comes from (seed, step), so that a resumed run repeats none and misses none
            tch::manual_seed(mix(self.position.seed(train.seed) ^ mix(step as u64)) as i64);
            let lr = learning_rate(step, &train);

            // forward
            let (idx, targets) = batches.next(&mut self.position)?; // (B, T) each
            profile.lap("batch");
            let mut output = self.forward(&idx, &targets, step, pass);
            let forward = profile.lap("forward");

            // backward
            output.backward(&self.ebm, &mut self.optimizer, train.grad_accum_steps);
            let backward = profile.lap("backward");

            // what is no number must not reach the weights; one read from the device
            let norm = self.optimizer.grad_norm();
            let fault = nonfinite::find(&output, &norm, &self.ebm, &self.optimizer);
            if let Some(earlier) = self.judge(fault.as_deref(), step, lr)? {
                (step, batches) = (earlier, self.batches()?);
                continue;
            }
            profile.lap("check");

            // the optimizer, on accumulation boundaries
            let done = step + 1;
            let boundary = done % train.grad_accum_steps == 0;
            let mut metrics = Metrics::default();
            if boundary {
                metrics.add("grad_norm", &norm);
                self.optimizer.clip_grad_norm(&norm, train.grad_clip);
                self.optimizer.step(lr);
            }
            profile.lap("optimizer");

            // log
            if step % train.log_interval == 0 {
                metrics.extend(&output.metrics(&targets));
                metrics.add("alpha", &self.ebm.alpha);
                metrics.add("loss", &output.loss);
                self.log(step, &metrics, [("lr", lr), ("time/forward", forward), ("time/backward", backward)])?;
            }
            self.tracker.progress(done);
            profile.lap("log");

            // evaluate, save, stop
            if due(train.eval_interval, done, train.grad_accum_steps) {
                self.evaluate(done)?;
            }
            if fault.is_none() && due(self.config.save_interval, done, train.grad_accum_steps) {
                self.save(&format!("ckpt_step_{done}.pt"), done)?;
                self.prune(done);
            }
            if stop.load(Ordering::Relaxed) != 0 && boundary && done < train.max_steps {
                let path = self.save(&format!("ckpt_step_{done}.pt"), done)?;
                self.tracker.note(&format!("Interrupted after step {step}: saved {}", path.display()));
                return Ok(Outcome::Interrupted(path));
            }
            profile.lap("eval, save");
            step = done;
        }
        if train.profile {
            profile.summary(train.max_steps - self.start).iter().for_each(|line| self.tracker.note(line));
        }
        self.finish().map(Outcome::Finished)
    }

    /// The last checkpoint.
    fn finish(&mut self) -> Result<PathBuf, Error> {
        let path = self.save("final.pt", self.config.train.max_steps)?;
        self.prune(self.config.train.max_steps); // a run that was killed after its last save had not come to that
        self.tracker.note("Training complete");
        Ok(path)
    }

    /// The loss on `idx`, `targets` (B, T): System 2 joins after the warm-up, and a contrastive loss where there is one.
    fn forward(&mut self, idx: &Tensor, targets: &Tensor, step: i64, pass: Pass) -> Output {
        let model = &self.config.model;
        // EBT has no System 1 that could be trained alone.
        let refines = step >= model.warmup_steps_no_refine || model.energy == EnergyFamily::Ebt;
        let refine_steps = refines.then(|| self.refine_steps(step));
        let mut output = self.ebm.forward(idx, targets, refine_steps, pass);
        if let Some(contrastive) = &mut self.contrastive {
            let phases = contrastive.phases(&self.ebm, targets, &output.energies, pass);
            output.add_contrastive(phases, model.contrastive_weight);
        }
        output
    }

    /// Steps of refinement in a training step: with `random_steps` up to so many more or fewer, but one at least.
    fn refine_steps(&self, step: i64) -> i64 {
        let (steps, spread) = (self.config.model.refine_steps, self.config.model.random_steps);
        let least = (steps - spread).max(steps.min(1));
        let choices = (steps + spread - least + 1) as u64;
        least + (mix(mix(step as u64) ^ self.position.seed(self.config.train.seed)) % choices) as i64
    }

    /// A run that may have to roll back needs something to roll back to.
    fn save_the_start(&mut self) -> Result<(), Error> {
        if self.config.train.on_nonfinite == OnNonfinite::Rollback && self.unproven.is_none() {
            self.save(&format!("ckpt_step_{}.pt", self.start), self.start)?;
        }
        Ok(())
    }

    /// The batches from where the run stands.
    fn batches(&self) -> Result<Batches, Error> {
        Ok(Batches::new(&self.corpus, &self.config, self.position, self.ebm.device())?)
    }

    /// A row of a step for everybody who listens; from the first step on that held what is no number, their count is in it.
    fn log<const N: usize>(&mut self, step: i64, metrics: &Metrics, head: [(&str, f64); N]) -> Result<(), Error> {
        let head = head.into_iter().map(|(name, value)| (name.to_owned(), value));
        let nonfinite = (self.nonfinite > 0).then(|| ("nonfinite".to_owned(), self.nonfinite as f64));
        self.tracker.log(&row(step, head.chain(metrics.read()).chain(nonfinite))) // read from the device
    }

    /// After a step without a fault the checkpoint that it came from is a good one. After one with a fault its update is dropped, and
    /// where the run rolls back the step to go on from is given; an error where `train.on_nonfinite` is stop, and after too many.
    fn judge(&mut self, fault: Option<&str>, step: i64, lr: f64) -> Result<Option<i64>, Error> {
        let Some(fault) = fault else {
            self.last_good = self.unproven.take().or(self.last_good.take());
            return Ok(None);
        };
        let (survived, most) = (self.nonfinite, self.config.train.nonfinite_retries);
        let target = self.last_good.clone().or_else(|| self.unproven.clone());
        let count = format!("{} of at most {most}, train.nonfinite_retries", survived + 1);
        self.nonfinite += 1;
        match (self.config.train.on_nonfinite, target) {
            (OnNonfinite::Skip, _) if survived < most => {
                self.tracker.note(&format!("{fault} at step {step}: it is skipped ({count})"));
                self.optimizer.drop_gradients();
                self.contrastive.iter_mut().for_each(Contrastive::undo);
                Ok(None)
            }
            (OnNonfinite::Rollback, Some(path)) if survived < most => {
                self.tracker.note(&format!("{fault} at step {step}: back to {} ({count})", path.display()));
                self.roll_back(&path).map(Some)
            }
            _ => {
                let after = if survived > 0 { format!(" after {survived} others") } else { String::new() };
                let (fault, last_good) = (fault.to_owned(), self.last_good());
                Err(Error::NonFinite { fault, step, after, lr, last_good })
            }
        }
    }

    /// Puts the run back to one of its checkpoints, with another order of the data and other random numbers from there on. The step.
    fn roll_back(&mut self, path: &Path) -> Result<i64, Error> {
        let order = self.position.order + 1;
        let checkpoint = Checkpoint::read(path)?;
        self.optimizer.reset();
        self.contrastive = Contrastive::new(&self.config.model);
        let state = (&self.ebm, &mut self.optimizer, self.contrastive.as_mut());
        let start = resume(&checkpoint, &self.config, &self.corpus, state)?;
        self.position = Position { order, ..start.position };
        self.best_val_nll = start.best_val_nll;
        // A later checkpoint led to this, and must not be gone on from.
        if let Some(ruined) = self.unproven.take().filter(|unproven| unproven != path) {
            let mut aside = ruined.clone().into_os_string();
            aside.push(".ruined");
            std::fs::rename(&ruined, aside).map_err(Error::io(&ruined))?;
        }
        self.unproven = Some(path.to_owned());
        self.tracker.rewind(&self.run_dir.path, start.step)?;
        Ok(start.step)
    }

    /// Drops old checkpoints, once the new one is on the disk for good.
    fn prune(&self, done: i64) {
        if sync_dir(&self.run_dir.path).is_ok() {
            find::prune(&self.run_dir.path, done.unsigned_abs());
        }
    }

    /// NLL of both systems on the fixed batches of both splits; the best validation result is kept as `best.pt`.
    fn evaluate(&mut self, done: i64) -> Result<(), Error> {
        let mut values = Vec::new();
        for (name, split) in [("train", Split::Train), ("val", Split::Val)] {
            let [s1, s2] = self.mean_nll(split)?;
            values.extend([(format!("{name}/nll_s1"), s1), (format!("{name}/nll_s2"), s2)]);
        }
        let val = values[3].1;
        self.tracker.evaluation(&row(done, values))?;
        if self.tracker.wants_media() {
            self.show(done)?;
        }
        if val.is_finite() && self.best_val_nll.is_none_or(|best| val < best) {
            self.best_val_nll = Some(val);
            let path = self.write("best.pt", done)?;
            self.last_good.get_or_insert(path);
        }
        Ok(())
    }

    /// What the model says of a batch of validation text, as histograms, and a text that it writes.
    fn show(&mut self, done: i64) -> Result<(), Error> {
        let (data, pass) = (&self.config.data, Pass::eval(kind(self.config.train.dtype)));
        let windows = self.corpus.windows(Split::Val, data.block_size, 1)?;
        let offsets = spread(windows, data.batch_size as usize);
        let (idx, targets) = self.corpus.batch(Split::Val, &offsets, data.block_size, self.ebm.device());
        let (energies, logits) = self.predict(&idx, &targets, pass);
        let p_data = energy::token_energies(&logits.softmax(-1, None), &targets);
        for (name, values) in [("val/energies", energies), ("val/p_data", p_data)] {
            let values = Vec::<f32>::try_from(values.reshape([-1])).unwrap_or_default(); // read from the device
            self.tracker.histogram(done, name, &values)?;
        }
        let text = sample::sample_text(&self.ebm, &self.corpus.vocab, SAMPLE_LENGTH, pass.compute);
        self.tracker.text(done, "sample", &text)
    }

    /// The energies of a batch (B, T) where `targets` (B, A) follow and System 2's logits, (B, A, V) each.
    fn predict(&self, idx: &Tensor, targets: &Tensor, pass: Pass) -> (Tensor, Tensor) {
        no_grad(|| {
            let reading = self.ebm.read_for(idx, targets, pass);
            let logits = self.ebm.system2(&reading, self.config.model.refine_steps, pass);
            (reading.energies, logits)
        })
    }

    /// Mean NLL of System 1 and System 2 over `eval_iters` batches spread evenly over a split.
    fn mean_nll(&self, split: Split) -> Result<[f64; 2], Error> {
        let (data, pass) = (&self.config.data, Pass::eval(kind(self.config.train.dtype)));
        let windows = self.corpus.windows(split, data.block_size, 1)?;
        let offsets = spread(windows, (self.config.train.eval_iters * data.batch_size) as usize);
        let mut sums = Vec::new();
        for offsets in offsets.chunks(data.batch_size as usize) {
            let (idx, targets) = self.corpus.batch(split, offsets, data.block_size, self.ebm.device());
            let (energies, logits) = self.predict(&idx, &targets, pass);
            sums.push([-energies, logits].map(|logits| cross_entropy(&logits, &targets).double_value(&[])));
        }
        let n = sums.len() as f64;
        Ok([0, 1].map(|i| sums.iter().map(|nll| nll[i]).sum::<f64>() / n)) // read from the device
    }

    fn last_good(&self) -> String {
        let doubtful = self.unproven.as_ref().map(|path| format!("{} led to this, and may be ruined", path.display()));
        let good = match &self.last_good {
            Some(path) => format!("the last good checkpoint is {}", path.display()),
            None => "there is no good checkpoint before it".to_owned(),
        };
        [Some(good), doubtful].into_iter().flatten().collect::<Vec<_>>().join("; ")
    }

    fn save(&mut self, name: &str, done: i64) -> Result<PathBuf, Error> {
        let path = self.write(name, done)?;
        self.unproven = Some(path.clone());
        self.tracker.note(&format!("Saved checkpoint: {}", path.display()));
        Ok(path)
    }

    fn write(&mut self, name: &str, done: i64) -> Result<PathBuf, Error> {
        if !self.optimizer.weights_are_finite() {
            let (step, lr) = (done - 1, learning_rate(done - 1, &self.config.train));
            return Err(Error::NonFiniteWeights { step, lr, last_good: self.last_good() });
        }
        let path = self.run_dir.path.join(name);
        let extra = Extra {
            made_by: Provenance::here(&self.corpus.sha256),
            config: self.config.clone(),
            vocab: self.corpus.vocab.chars().iter().collect(),
            position: self.position,
            best_val_nll: self.best_val_nll,
            nonfinite: self.nonfinite,
        };
        checkpoint::save(&path, &self.ebm, &self.optimizer, self.contrastive.as_ref(), done, &extra)?;
        Ok(path)
    }
}

/// The run's directory with its configuration in it, and its listeners; of a new directory nothing stays if that fails.
fn open_run(
    existing: Option<PathBuf>,
    config: &Config,
    overrides: &[String],
    start: i64,
) -> Result<(RunDir, Trackers), Error> {
    let run_dir = existing.map_or_else(|| RunDir::create(&config.out_dir), RunDir::take_over)?;
    let opened = write_atomically(&run_dir.path.join("config.yaml"), to_yaml(config).as_bytes())
        .and_then(|()| write_atomically(&run_dir.path.join("overrides.yaml"), to_yaml(&overrides).as_bytes()))
        .and_then(|()| Trackers::open(config, &run_dir.path, start));
    match opened {
        Ok(tracker) => Ok((run_dir, tracker)),
        Err(error) => {
            run_dir.abandon();
            Err(error)
        }
    }
}

/// Whether something that happens every `interval` steps falls on this accumulation boundary; 0 or less is never.
fn due(interval: i64, done: i64, grad_accum_steps: i64) -> bool {
    interval > 0 && done % grad_accum_steps == 0 && done / interval > (done - grad_accum_steps) / interval
}

/// The kind of matrix products that a `dtype` asks for.
pub fn kind(dtype: Dtype) -> Kind {
    match dtype {
        Dtype::Float32 => Kind::Float,
        Dtype::Bfloat16 => Kind::BFloat16,
    }
}
