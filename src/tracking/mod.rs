//! Where a run's numbers go. The training loop logs rows and does not ask who listens.

mod console;
mod jsonl;

use crate::error::Error;
use crate::metrics::Row;

pub use console::Console;
pub use jsonl::{Jsonl, read_rows};

/// Somebody who listens to a run.
pub trait Tracker {
    /// Metrics of a training step.
    fn log(&mut self, row: &Row) -> Result<(), Error>;
    /// Metrics of an evaluation.
    fn evaluation(&mut self, row: &Row) -> Result<(), Error>;
    /// `step` steps are done; called after each.
    fn progress(&mut self, _step: i64) {}
    /// A sentence for people.
    fn note(&mut self, _text: &str) {}
    /// The run is over.
    fn finish(&mut self) {}
}

/// All listeners of a run as one.
#[derive(Default)]
pub struct Trackers(pub Vec<Box<dyn Tracker>>);

impl Tracker for Trackers {
    fn log(&mut self, row: &Row) -> Result<(), Error> {
        self.0.iter_mut().try_for_each(|t| t.log(row))
    }

    fn evaluation(&mut self, row: &Row) -> Result<(), Error> {
        self.0.iter_mut().try_for_each(|t| t.evaluation(row))
    }

    fn progress(&mut self, step: i64) {
        self.0.iter_mut().for_each(|t| t.progress(step));
    }

    fn note(&mut self, text: &str) {
        self.0.iter_mut().for_each(|t| t.note(text));
    }

    fn finish(&mut self) {
        self.0.iter_mut().for_each(|t| t.finish());
    }
}
