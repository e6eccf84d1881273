//! All listeners of a run together.

use std::path::Path;

use crate::config::Config;
use crate::error::Error;
use crate::metrics::Row;
use crate::tracking::console::Console;
use crate::tracking::jsonl::Jsonl;
use crate::tracking::tensorboard::TensorBoard;
use crate::tracking::tracker::{End, Tracker};
use crate::tracking::wandb::Wandb;

/// All listeners of a run: the terminal, and whoever the configuration asks for. The terminal comes first, and the others hear what
/// it shows.
pub struct Trackers(Vec<Box<dyn Tracker>>);

impl Trackers {
    /// Nobody listens.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// Listeners of a run in `run_dir` that begins at step `start`, in so many processes.
    pub fn open(config: &Config, run_dir: &Path, start: i64, processes: usize) -> Result<Self, Error> {
        let tokens = config.data.batch_size * config.data.block_size;
        let steps = (start, config.train.max_steps);
        let console = Console::new(steps, (tokens, processes), config.model.use_contrastive);
        let mut trackers = Self(vec![Box::new(console), Box::new(Jsonl::open(run_dir, start)?)]);
        if config.tensorboard {
            trackers.0.push(Box::new(TensorBoard::open(run_dir, start)?));
        }
        if let Some(project) = &config.wandb_project {
            let tree = serde_json::to_value(config).unwrap_or_default();
            let mut wandb = Wandb::start(project, config.wandb_name.as_deref(), tree, run_dir)?;
            wandb.news().iter().for_each(|note| trackers.note(note));
            trackers.0.push(Box::new(wandb));
        }
        Ok(trackers)
    }

    /// Metrics of a training step.
    pub fn log(&mut self, row: &Row) -> Result<(), Error> {
        self.tell(|t| t.log(row))
    }

    /// Metrics of an evaluation.
    pub fn evaluation(&mut self, row: &Row) -> Result<(), Error> {
        self.tell(|t| t.evaluation(row))
    }

    /// A sentence for people.
    pub fn note(&mut self, text: &str) {
        let noted = self.tell(|t| {
            t.note(text);
            Ok(())
        });
        drop(noted); // nothing in it can fail
    }

    /// Whether any of them wants histograms and texts.
    pub fn wants_media(&self) -> bool {
        self.0.iter().any(|t| t.wants_media())
    }

    /// Many values of one kind after `step` steps.
    pub fn histogram(&mut self, step: i64, name: &str, values: &[f32]) -> Result<(), Error> {
        self.0.iter_mut().try_for_each(|t| t.histogram(step, name, values))
    }

    /// A text that the model wrote after `step` steps.
    pub fn text(&mut self, step: i64, name: &str, text: &str) -> Result<(), Error> {
        self.0.iter_mut().try_for_each(|t| t.text(step, name, text))
    }

    /// `step` steps are done; called after each.
    pub fn progress(&mut self, step: i64) {
        self.0.iter_mut().for_each(|t| t.progress(step));
    }

    /// The run goes back to where `step` steps were done.
    pub fn rewind(&mut self, run_dir: &Path, step: i64) -> Result<(), Error> {
        self.0.iter_mut().try_for_each(|t| t.rewind(run_dir, step))
    }

    /// The run is over.
    pub fn finish(&mut self, end: &End) {
        let notes: Vec<String> = self.0.iter_mut().flat_map(|t| t.finish(end)).collect();
        notes.iter().for_each(|note| self.note(note));
    }

    /// Tells each something, after what has come up among them.
    fn tell(&mut self, what: impl FnMut(&mut dyn Tracker) -> Result<(), Error>) -> Result<(), Error> {
        let news: Vec<String> = self.0.iter_mut().flat_map(|t| t.news()).collect();
        for text in &news {
            self.each(|t| {
                t.note(text);
                Ok(())
            })?;
        }
        self.each(what)
    }

    /// Tells each something, and all what one of them shows of it.
    fn each(&mut self, mut what: impl FnMut(&mut dyn Tracker) -> Result<(), Error>) -> Result<(), Error> {
        for i in 0..self.0.len() {
            what(self.0[i].as_mut())?;
            for line in self.0[i].lines() {
                self.0.iter_mut().for_each(|t| t.printed(&line));
            }
        }
        Ok(())
    }
}
