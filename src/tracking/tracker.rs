//! What a listener to a run can be told.

use std::path::Path;

use crate::error::Error;
use crate::metrics::Row;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// All steps are done.
    Finished,
    /// A signal stopped it.
    Interrupted,
    /// An error ended it; what it says.
    Failed(String),
}

/// Somebody who listens to a run.
pub trait Tracker {
    /// Metrics of a training step.
    fn log(&mut self, row: &Row) -> Result<(), Error>;
    /// Metrics of an evaluation.
    fn evaluation(&mut self, row: &Row) -> Result<(), Error> {
        self.log(row)
    }
    /// Whether histograms and texts are wanted: they cost more than numbers.
    fn wants_media(&self) -> bool {
        false
    }
    /// Many values of one kind after `step` steps.
    fn histogram(&mut self, _step: i64, _name: &str, _values: &[f32]) -> Result<(), Error> {
        Ok(())
    }
    /// A text that the model wrote after `step` steps.
    fn text(&mut self, _step: i64, _name: &str, _text: &str) -> Result<(), Error> {
        Ok(())
    }
    /// A sentence for people.
    fn note(&mut self, _text: &str) {}
    /// Lines that it has put on the terminal since the last call.
    fn lines(&mut self) -> Vec<String> {
        Vec::new()
    }
    /// A line that the terminal showed.
    fn printed(&mut self, _line: &str) {}
    /// `step` steps are done; called after each.
    fn progress(&mut self, _step: i64) {}
    /// The run in `run_dir` goes back to where `step` steps were done: what came after them will come again, and other.
    fn rewind(&mut self, _run_dir: &Path, _step: i64) -> Result<(), Error> {
        Ok(())
    }
    /// Sentences for people that have come up since the last call.
    fn news(&mut self) -> Vec<String> {
        Vec::new()
    }
    /// The run is over. Returns sentences for people.
    fn finish(&mut self, _end: &End) -> Vec<String> {
        Vec::new()
    }
}
