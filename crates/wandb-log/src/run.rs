use std::io;
use std::path::Path;

use serde_json::Value;

use crate::error::Error;
use crate::live::Live;
use crate::past::rows_from;
use crate::row::Row;
use crate::settings::{Mode, Settings};

/// A run on Weights & Biases, from its beginning to its end.
///
/// No method waits for the network but [`finish`](Self::finish), and [`init`](Self::init) where `WANDB_RESUME` makes
/// the server's answer decide. A run that is dropped without `finish` ends with exit code 1: it has failed.
pub struct Run(
    /// None of a disabled run
    Option<Live>,
);

impl Run {
    /// Begins a run, or goes on with one. With [`Mode::Disabled`] its methods do nothing.
    pub fn init(settings: Settings) -> Result<Self, Error> {
        settings.check()?;
        if settings.mode == Mode::Disabled {
            return Ok(Self(None));
        }
        Ok(Self(Some(Live::start(settings)?)))
    }

    /// Metrics of a step: names with numbers, texts or whole JSON trees. What is logged for one step becomes one line
    /// of the history, once a later step is logged. Steps may be left out, but do not go back: see
    /// [`rewind`](Self::rewind).
    pub fn log<K: Into<String>, V: Into<Value>>(&mut self, step: i64, metrics: impl IntoIterator<Item = (K, V)>) {
        self.live(|live| {
            live.log(step, metrics.into_iter().map(|(name, value)| (name.into(), value.into())));
            live.poll();
        });
    }

    /// The first `done` steps are over (they are numbered from 0): their line is final, and need not wait for a later
    /// step.
    pub fn commit(&mut self, done: i64) {
        self.live(|live| {
            live.commit(done);
            live.poll();
        });
    }

    /// Writes the metrics of a step that is not over to the disk. If the process is killed before it is, the run that
    /// goes on with this one has them. Worth it for what took long to measure.
    pub fn persist(&mut self) {
        self.live(Live::persist);
    }

    /// The program goes back, to a checkpoint say, and comes by its last steps again. W&B takes no step twice: what it
    /// has of them stays, and nobody is told that they come too late.
    pub fn rewind(&mut self) {
        self.live(Live::rewind);
    }

    /// Lines that the program printed: the page shows them under Logs.
    pub fn output(&mut self, text: &str) {
        self.live(|live| live.output(text));
    }

    /// Sentences for people that have come up since the last call: the run's address, or why it is not sent. Nothing is
    /// printed, except by a run that is dropped: it prints those that nobody asked for to standard error.
    pub fn messages(&mut self) -> Vec<String> {
        self.live(Live::messages)
    }

    /// Ends the run: 0 is success. Waits until the server has everything, or has taken in nothing more for
    /// `WANDB_FINISH_TIMEOUT` seconds (30); the rest is then left for `wandb sync`. The messages say how it went.
    pub fn finish(&mut self, exit_code: i32) -> Vec<String> {
        self.live(|live| live.finish(exit_code))
    }

    fn live<T: Default>(&mut self, act: impl FnOnce(&mut Live) -> T) -> T {
        self.0.as_mut().map(act).unwrap_or_default()
    }
}

/// The history in a `.wandb` file, of ours or of the official client: a row a step, as far as the file goes. That of a
/// process that was killed may end in the middle of a row, which is left out; other damage is an error.
pub fn read_history(path: &Path) -> io::Result<Vec<Row>> {
    rows_from(path, 0)
}
