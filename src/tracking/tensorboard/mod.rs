//! TensorBoard event files: `tensorboard --logdir out_ebt` shows the curves, histograms and texts of all runs while they run.
//!
//! A record is written at once and in one piece, so that a run that is killed has lost nothing, and a row is on the page at
//! TensorBoard's next look (every five seconds).

mod events;
mod histogram;
mod record;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use prost::Message;

use self::events::{Event, Value};
use crate::error::Error;
use crate::fs::FileError;
use crate::metrics::Row;
use crate::tracking::tracker::Tracker;

/// What every event file's name begins with; then comes the time in seconds.
const PREFIX: &str = "events.out.tfevents.";

/// The event file of a run, from one start to its end.
#[derive(Debug)]
pub struct TensorBoard {
    path: PathBuf,
    file: File,
}

impl TensorBoard {
    /// Begins an event file in a run directory. A run that is resumed at `step` logs the steps from there on again.
    pub fn open(run_dir: &Path, step: i64) -> Result<Self, Error> {
        let host = gethostname::gethostname();
        let name = format!("{}.{}.{}.0", next_time(run_dir)?, host.display(), std::process::id());
        let path = run_dir.join(format!("{PREFIX}{name}"));
        let file = File::create_new(&path).map_err(FileError::at(&path))?;
        let mut board = Self { path, file };
        board.write(&Event::version())?;
        // Readers drop what they have of a session's step and later ones; TensorBoard's page does so from the second session
        // on, so a new run says that it starts, too. The session is the next step's, to keep the evaluation after `step`
        // steps. The price: where a killed run had gone on, its row of `step` stays beside the new one; only TensorBoard's
        // fast reader, which heeds no sessions, puts the new row of a step in the place of that and all later ones.
        board.write(&Event::start(step + 1))?;
        Ok(board)
    }

    fn write(&mut self, event: &Event) -> Result<(), Error> {
        Ok(self.file.write_all(&record::frame(&event.encode_to_vec())).map_err(FileError::at(&self.path))?)
    }
}

/// Now, in seconds since 1970, but later than the run's other files: they are read in the order of their names.
fn next_time(run_dir: &Path) -> Result<i64, Error> {
    let mut time = chrono::Utc::now().timestamp();
    for entry in fs::read_dir(run_dir).map_err(FileError::at(run_dir))? {
        let name = entry.map_err(FileError::at(run_dir))?.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let earlier = rest.and_then(|rest| rest.split('.').next()?.parse::<i64>().ok());
        time = earlier.map_or(time, |earlier| time.max(earlier.saturating_add(1)));
    }
    Ok(time)
}

/// Markdown that shows a text as it is: what is inside of tags passes through unchanged, tabulators apart.
fn verbatim(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\t', "&#9;");
    format!("<pre><code>{escaped}</code></pre>")
}

impl Tracker for TensorBoard {
    /// A point for each number of a row. There is none for a null (NaN, infinity): the curve goes straight on to the next.
    fn log(&mut self, row: &Row) -> Result<(), Error> {
        let step = row.get("step").and_then(|s| s.as_i64()).unwrap_or_default();
        let numbers = row.iter().filter(|(name, _)| *name != "step");
        let points = numbers.filter_map(|(name, value)| value.as_f64().map(|value| Value::scalar(name, value)));
        self.write(&Event::summary(step, points.collect()))
    }

    fn rewind(&mut self, run_dir: &Path, step: i64) -> Result<(), Error> {
        *self = Self::open(run_dir, step)?;
        Ok(())
    }

    fn wants_media(&self) -> bool {
        true
    }

    fn histogram(&mut self, step: i64, name: &str, values: &[f32]) -> Result<(), Error> {
        match histogram::histogram(values) {
            Some(histogram) => self.write(&Event::summary(step, vec![Value::histogram(name, histogram)])),
            None => Ok(()),
        }
    }

    fn text(&mut self, step: i64, name: &str, text: &str) -> Result<(), Error> {
        self.write(&Event::summary(step, vec![Value::text(name, verbatim(text))]))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_an_error_with_the_path() {
        let path = PathBuf::from("/dev/full");
        let mut board = TensorBoard { file: File::options().write(true).open(&path).unwrap(), path };
        let error = board.text(0, "sample", "ROMEO:").unwrap_err();
        assert_eq!(error.to_string(), "cannot write or read /dev/full");
    }
}
