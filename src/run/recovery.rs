//! What a run does about NaN and infinity: stop, skip the step, or go back to a checkpoint that was still good.

use std::path::{Path, PathBuf};

use crate::config::OnNonfinite;
use crate::contrastive::Contrastive;
use crate::error::Error;
use crate::fs::FileError;
use crate::nn::optim::learning_rate;
use crate::run::state::State;

/// Which of a run's checkpoints are known to be good.
#[derive(Debug)]
pub struct Recovery {
    /// The newest checkpoint that a step without a fault went on from, or else the best
    last_good: Option<PathBuf>,
    /// A newer one that no step has gone on from yet
    unproven: Option<PathBuf>,
}

/// What becomes of a step.
#[derive(Debug)]
pub enum Verdict {
    /// Nothing is wrong with it.
    GoOn,
    /// Its update is dropped; a sentence for people.
    Skip(String),
    /// The run goes back to this checkpoint; a sentence for people.
    RollBack(PathBuf, String),
}

impl Recovery {
    /// For a run that goes on from a checkpoint of its own, or from none.
    pub fn new(from: Option<PathBuf>) -> Self {
        Self { last_good: None, unproven: from }
    }

    /// Whether the run may have to roll back and has nothing to roll back to.
    pub fn needs_a_start(&self, state: &State) -> bool {
        state.config.train.on_nonfinite == OnNonfinite::Rollback && self.unproven.is_none()
    }

    /// A checkpoint was saved.
    pub fn saved(&mut self, path: &Path) {
        self.unproven = Some(path.to_owned());
    }

    /// The best model so far was saved.
    pub fn saved_best(&mut self, path: PathBuf) {
        self.last_good.get_or_insert(path);
    }

    /// After a step without a fault the checkpoint that it came from is a good one. After one with a fault its update is dropped, or
    /// the run rolls back; an error where `train.on_nonfinite` is stop, and after too many.
    pub fn judge(&mut self, state: &mut State, fault: Option<&str>) -> Result<Verdict, Error> {
        let Some(fault) = fault else {
            self.last_good = self.unproven.take().or(self.last_good.take());
            return Ok(Verdict::GoOn);
        };
        let (step, survived, most) = (state.step, state.nonfinite, state.config.train.nonfinite_retries);
        let target = self.last_good.clone().or_else(|| self.unproven.clone());
        let count = format!("{} of at most {most}, train.nonfinite_retries", survived + 1);
        state.nonfinite += 1;
        match (state.config.train.on_nonfinite, target) {
            (OnNonfinite::Skip, _) if survived < most => {
                state.optimizer.drop_gradients();
                state.contrastive.iter_mut().for_each(Contrastive::undo);
                Ok(Verdict::Skip(format!("{fault} at step {step}: it is skipped ({count})")))
            }
            (OnNonfinite::Rollback, Some(path)) if survived < most => {
                let note = format!("{fault} at step {step}: back to {} ({count})", path.display());
                Ok(Verdict::RollBack(path, note))
            }
            _ => {
                let after = if survived > 0 { format!(" after {survived} others") } else { String::new() };
                let lr = learning_rate(step, &state.config.train);
                Err(Error::NonFinite { fault: fault.to_owned(), step, after, lr, last_good: self.last_good() })
            }
        }
    }

    /// Puts the run back to a checkpoint.
    pub fn roll_back(&mut self, state: &mut State, path: &Path) -> Result<(), Error> {
        state.roll_back(path)?;
        // A later checkpoint led to this, and must not be gone on from.
        let ruined = self.unproven.take().filter(|unproven| unproven != path);
        if let Some(ruined) = ruined.filter(|_| state.processes().is_first()) {
            let mut aside = ruined.clone().into_os_string();
            aside.push(".ruined");
            std::fs::rename(&ruined, aside).map_err(FileError::at(&ruined))?;
        }
        self.unproven = Some(path.to_owned());
        Ok(())
    }

    /// An error where the weights hold NaN or infinity: such a checkpoint would be of no use.
    pub fn check_weights(&self, state: &State) -> Result<(), Error> {
        if state.optimizer.weights_are_finite() {
            return Ok(());
        }
        let step = state.step - 1; // the one that was done last
        let lr = learning_rate(step, &state.config.train);
        Err(Error::NonFiniteWeights { step, lr, last_good: self.last_good() })
    }

    fn last_good(&self) -> String {
        let doubtful = self.unproven.as_ref().map(|path| format!("{} led to this, and may be ruined", path.display()));
        let good = match &self.last_good {
            Some(path) => format!("the last good checkpoint is {}", path.display()),
            None => "there is no good checkpoint before it".to_owned(),
        };
        [Some(good), doubtful].into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}
