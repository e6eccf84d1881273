//! Training: the loop.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::checkpoint::find::{self, BEST, FINAL, step_file};
use crate::config::Config;
use crate::data::Split;
use crate::error::Error;
use crate::eval::in_training::{histograms, mean_nll, text};
use crate::fs::sync_dir;
use crate::metrics::{Metrics, row};
use crate::nn::optim::learning_rate;
use crate::processes::Processes;
use crate::run::dir::RunDir;
use crate::run::profile::Profile;
use crate::run::recovery::{Recovery, Verdict};
use crate::run::state::State;
use crate::run::together;
use crate::tracking::{End, Hosts, Trackers};

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are done; the path of `final.pt`.
    Finished(PathBuf),
    /// A signal stopped it; the path of the checkpoint to go on from.
    Interrupted(PathBuf),
}

/// A training with its directory and its listeners.
struct Run {
    state: State,
    recovery: Recovery,
    dir: RunDir,
    hosts: Hosts,
    tracker: Trackers,
}

/// Trains as `config` says. `overrides` are written beside the results; a non-zero `stop` ends the run after the step.
/// A resumed run goes on in its checkpoint's directory where that is under `out_dir`, unless it is `one_of_several`. A run
/// `at` a place is written there and nowhere else. Of several `processes`, rank 0 writes and prints; a `stop` of one is one of all.
pub fn train(
    config: &Config,
    overrides: &[String],
    one_of_several: bool,
    at: Option<&Path>,
    stop: &AtomicUsize,
    processes: &Processes,
) -> Result<Outcome, Error> {
    let mut run = Run::set_up(config, overrides, one_of_several, at, processes)?;
    let outcome = run.train(stop);
    if let Err(error) = &outcome {
        processes.leave(error.own().as_deref()); // before the network is waited for
    }
    run.tracker.finish(&match &outcome {
        Ok(Outcome::Finished(_)) => End::Finished,
        Ok(Outcome::Interrupted(_)) => End::Interrupted,
        Err(error) => End::Failed(error.to_string()),
    });
    outcome
}

impl Run {
    /// The training loop.
    fn train(&mut self, stop: &AtomicUsize) -> Result<Outcome, Error> {
        let (train, start) = (self.state.config.train.clone(), self.state.step);
        if self.recovery.needs_a_start(&self.state) {
            self.save()?;
        }
        let mut batches = self.state.batches()?;
        let processes = self.state.processes().clone();
        let mut profile = Profile::start(self.state.ebm.device(), train.profile);
        while self.state.step < train.max_steps {
            let step = self.state.step;
            self.state.seed_step();
            let lr = learning_rate(step, &train);

            // forward
            let (idx, targets) = batches.next(&mut self.state.position)?; // (B, T) each
            profile.lap("batch");
            let mut loss = self.state.forward(&idx, &targets);
            let forward = profile.lap("forward");

            // backward
            loss.backward(&self.state.ebm, &mut self.state.optimizer, train.grad_accum_steps);
            let backward = profile.lap("backward");
            let boundary = (step + 1) % train.grad_accum_steps == 0;
            if boundary {
                self.state.optimizer.average_gradients(&processes);
            }
            profile.lap("average");

            // NaN or infinity must not reach the weights; one read from the device
            let norm = self.state.optimizer.grad_norm();
            let fault = loss.fault(&norm, &self.state.ebm, &self.state.optimizer);
            let (fault, agreed) = processes.decide(fault, stop.load(Ordering::Relaxed))?;
            if self.goes_back(fault.as_deref())? {
                batches = self.state.batches()?;
                continue;
            }
            profile.lap("check");

            // the optimizer, on accumulation boundaries
            self.state.step += 1;
            let mut metrics = Metrics::default();
            if boundary {
                metrics.add("grad_norm", &norm);
                self.state.update(&norm, lr);
            }
            profile.lap("optimizer");

            // log
            if step % train.log_interval == 0 {
                metrics.extend(&self.state.report(&loss, &targets));
                self.log(step, &metrics, [("lr", lr), ("time/forward", forward), ("time/backward", backward)])?;
            }
            self.tracker.progress(self.state.step);
            profile.lap("log");

            // evaluate, save, stop
            if self.due(train.eval_interval) {
                self.evaluate()?;
            }
            if fault.is_none() && self.due(self.state.config.save_interval) {
                self.save()?;
                self.prune();
            }
            // What comes to one process alone, the others have not heard of.
            let stopping = if processes.size() > 1 { agreed } else { stop.load(Ordering::Relaxed) };
            if stopping != 0 && boundary && self.state.step < train.max_steps {
                stop.store(stopping, Ordering::Relaxed);
                return self.interrupted();
            }
            profile.lap("eval, save");
        }
        self.finish(&profile.summary(train.max_steps - start)).map(Outcome::Finished)
    }

    /// A run that is set up: nothing is on disk before all of this has succeeded.
    fn set_up(
        config: &Config,
        overrides: &[String],
        one_of_several: bool,
        at: Option<&Path>,
        processes: &Processes,
    ) -> Result<Self, Error> {
        let (before, go_on) = together::restarted(processes)?;
        let again = go_on.map(|path| Config { load_checkpoint: Some(path), ..config.clone() });
        let (state, start) = State::new(again.as_ref().unwrap_or(config), processes)?;
        let own = start.checkpoint.as_deref().filter(|_| !one_of_several && !start.apart);
        let (recovery, hosts) =
            (Recovery::new(start.checkpoint.clone().filter(|_| !start.apart)), Hosts::new(processes));
        if !processes.is_first() {
            let dir = RunDir::of_another(together::directory(processes, None)?);
            return Ok(Self { state, recovery, dir, hosts, tracker: Trackers::none() });
        }
        let noted = before.is_some(); // and perhaps a checkpoint in it
        let run_dir = match before {
            Some(before) => RunDir::take_over(before)?,
            None => RunDir::open(own, &config.out_dir, at)?,
        };
        let opened = run_dir
            .describe(&state.config, overrides)
            .map_err(Error::from)
            .and_then(|()| if noted { Ok(()) } else { Ok(processes.note_run(&run_dir.path)?) })
            .and_then(|()| together::directory(processes, Some(&run_dir.path)))
            .and_then(|_| Trackers::open(&state.config, &run_dir.path, state.step, processes.size()));
        let mut tracker = match opened {
            Ok(tracker) => tracker,
            Err(error) => {
                run_dir.abandon();
                return Err(error);
            }
        };
        let mut notes = state.announce();
        notes.extend(run_dir.announce());
        notes.extend(state.warnings());
        notes.extend(start.notes);
        notes.push(format!("Training from step {} to {}", state.step, state.config.train.max_steps));
        notes.iter().for_each(|note| tracker.note(note));
        Ok(Self { state, recovery, dir: run_dir, hosts, tracker })
    }

    /// Whether something that happens every `interval` steps falls on this accumulation boundary; 0 or less is never.
    fn due(&self, interval: i64) -> bool {
        let (done, batches) = (self.state.step, self.state.config.train.grad_accum_steps);
        interval > 0 && done % batches == 0 && done / interval > (done - batches) / interval
    }

    /// A row of a step for everybody who listens; from the first step on that held NaN or infinity, their count is in it.
    fn log<const N: usize>(&mut self, step: i64, metrics: &Metrics, head: [(&str, f64); N]) -> Result<(), Error> {
        let head = head.into_iter().map(|(name, value)| (name.to_owned(), value));
        let nonfinite = self.state.nonfinite;
        let nonfinite = (nonfinite > 0).then(|| ("nonfinite".to_owned(), nonfinite as f64));
        let metrics = metrics.read_averaged(|means| self.state.processes().average(means)); // read from the device
        self.state.processes().check()?;
        self.tracker.log(&row(step, head.chain(metrics).chain(nonfinite).chain(self.hosts.figures())))
    }

    /// Deals with what is NaN or infinite in a step, in words, if anything is: whether the run went back to an earlier step.
    fn goes_back(&mut self, fault: Option<&str>) -> Result<bool, Error> {
        match self.recovery.judge(&mut self.state, fault)? {
            Verdict::GoOn => Ok(false),
            Verdict::Skip(note) => {
                self.tracker.note(&note);
                Ok(false)
            }
            Verdict::RollBack(path, note) => {
                self.tracker.note(&note);
                self.recovery.roll_back(&mut self.state, &path)?;
                self.state.note_checkpoint(&path)?;
                self.tracker.rewind(&self.dir.path, self.state.step)?;
                Ok(true)
            }
        }
    }

    /// NLL of both systems on the fixed batches of both splits; the best validation result is kept.
    fn evaluate(&mut self) -> Result<(), Error> {
        let done = self.state.step;
        let [train, val] = [mean_nll(&self.state, Split::Train)?, mean_nll(&self.state, Split::Val)?];
        let values =
            [("train/nll_s1", train[0]), ("train/nll_s2", train[1]), ("val/nll_s1", val[0]), ("val/nll_s2", val[1])];
        self.tracker.evaluation(&row(done, values.map(|(name, value)| (name.to_owned(), value))))?;
        if self.tracker.wants_media() {
            for (name, values) in histograms(&self.state)? {
                self.tracker.histogram(done, name, &values)?;
            }
            self.tracker.text(done, "sample", &text(&self.state))?;
        }
        if self.state.improves(val[1]) {
            self.recovery.check_weights(&self.state)?;
            let path = self.dir.path.join(BEST);
            self.state.save(&path)?;
            self.state.note_checkpoint(&path)?;
            self.recovery.saved_best(path);
        }
        Ok(())
    }

    /// The checkpoint of a run that was stopped.
    fn interrupted(&mut self) -> Result<Outcome, Error> {
        let path = self.save()?;
        self.tracker.note(&format!("Interrupted after {} steps: saved {}", self.state.step, path.display()));
        self.state.processes().barrier()?;
        Ok(Outcome::Interrupted(path))
    }

    /// The last checkpoint, after where the `times` went.
    fn finish(&mut self, times: &[String]) -> Result<PathBuf, Error> {
        if self.state.config.train.profile {
            times.iter().for_each(|line| self.tracker.note(line));
        }
        let path = self.write(FINAL)?;
        if self.state.processes().is_first() {
            find::link_final(&self.dir.path)?;
        }
        self.prune(); // a run that was killed after its last save had not come to that
        self.tracker.note("Training complete");
        self.state.processes().barrier()?;
        Ok(path)
    }

    /// A checkpoint of the steps so far.
    fn save(&mut self) -> Result<PathBuf, Error> {
        let path = self.write(&step_file(self.state.step))?;
        self.state.note_checkpoint(&path)?;
        Ok(path)
    }

    fn write(&mut self, name: &str) -> Result<PathBuf, Error> {
        self.recovery.check_weights(&self.state)?;
        let path = self.dir.path.join(name);
        self.state.save(&path)?;
        self.recovery.saved(&path);
        self.tracker.note(&format!("Saved checkpoint: {}", path.display()));
        Ok(path)
    }

    /// Drops old checkpoints, once the new one is on the disk for good.
    fn prune(&self) {
        if self.state.processes().is_first() && sync_dir(&self.dir.path).is_ok() {
            find::prune(&self.dir.path, self.state.step.unsigned_abs());
        }
    }
}
