//! Where a run's numbers go. The training loop logs rows and does not ask who listens.

mod console;
mod jsonl;
mod tensorboard;
mod wandb;

use std::path::Path;

use crate::config::Config;
use crate::error::Error;
use crate::metrics::Row;

pub use console::Console;
pub use jsonl::{Jsonl, read_rows};
pub use tensorboard::TensorBoard;
pub use wandb::Wandb;

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

/// All listeners of a run: the terminal, and whoever the configuration asks for.
pub struct Trackers {
    console: Console,
    others: Vec<Box<dyn Tracker>>,
}

impl Trackers {
    /// Listeners of a run in `run_dir` that begins at step `start`.
    pub fn open(config: &Config, run_dir: &Path, start: i64) -> Result<Self, Error> {
        let tokens = config.data.batch_size * config.data.block_size;
        let console = Console::new(start, config.train.max_steps, tokens, config.model.use_contrastive);
        let mut others: Vec<Box<dyn Tracker>> = vec![Box::new(Jsonl::open(run_dir, start)?)];
        if config.tensorboard {
            others.push(Box::new(TensorBoard::open(run_dir, start)?));
        }
        let mut trackers = Self { console, others };
        if let Some(project) = &config.wandb_project {
            let tree = serde_json::to_value(config).unwrap_or_default();
            let mut wandb = Wandb::start(project, config.wandb_name.as_deref(), tree, run_dir)?;
            wandb.news().iter().for_each(|note| trackers.note(note));
            trackers.others.push(Box::new(wandb));
        }
        Ok(trackers)
    }

    /// Metrics of a training step.
    pub fn log(&mut self, row: &Row) -> Result<(), Error> {
        self.print(|console| console.log(row));
        self.others.iter_mut().try_for_each(|t| t.log(row))
    }

    /// Metrics of an evaluation.
    pub fn evaluation(&mut self, row: &Row) -> Result<(), Error> {
        self.print(|console| console.evaluation(row));
        self.others.iter_mut().try_for_each(|t| t.evaluation(row))
    }

    /// Whether any of them wants histograms and texts.
    pub fn wants_media(&self) -> bool {
        self.others.iter().any(|t| t.wants_media())
    }

    /// Many values of one kind after `step` steps.
    pub fn histogram(&mut self, step: i64, name: &str, values: &[f32]) -> Result<(), Error> {
        self.others.iter_mut().try_for_each(|t| t.histogram(step, name, values))
    }

    /// A text that the model wrote after `step` steps.
    pub fn text(&mut self, step: i64, name: &str, text: &str) -> Result<(), Error> {
        self.others.iter_mut().try_for_each(|t| t.text(step, name, text))
    }

    /// `step` steps are done; called after each.
    pub fn progress(&mut self, step: i64) {
        self.console.progress(step);
        self.others.iter_mut().for_each(|t| t.progress(step));
    }

    /// The run goes back to where `step` steps were done.
    pub fn rewind(&mut self, run_dir: &Path, step: i64) -> Result<(), Error> {
        self.console.progress(step);
        self.others.iter_mut().try_for_each(|t| t.rewind(run_dir, step))
    }

    /// A sentence for people.
    pub fn note(&mut self, text: &str) {
        self.print(|console| console.note(text));
    }

    /// The run is over.
    pub fn finish(&mut self, end: &End) {
        self.console.finish();
        let notes: Vec<String> = self.others.iter_mut().flat_map(|t| t.finish(end)).collect();
        notes.iter().for_each(|note| self.note(note));
    }

    /// Prints, after what the others have to say, and tells them what was printed.
    fn print(&mut self, print: impl FnOnce(&mut Console) -> Vec<String>) {
        let notes: Vec<String> = self.others.iter_mut().flat_map(|t| t.news()).collect();
        let mut lines: Vec<String> = notes.iter().flat_map(|note| self.console.note(note)).collect();
        lines.extend(print(&mut self.console));
        for line in &lines {
            self.others.iter_mut().for_each(|t| t.printed(line));
        }
    }
}
