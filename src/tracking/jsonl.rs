//! `metrics.jsonl`: one JSON object a line, appended as it happens.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::fs::{FileError, make_new, write_atomically};
use crate::metrics::Row;
use crate::tracking::tracker::Tracker;

/// The file of a run.
#[derive(Debug)]
pub struct Jsonl {
    path: PathBuf,
    file: File,
}

impl Jsonl {
    /// Opens `metrics.jsonl` in a run directory for appending. A run that is resumed at `step` will write the rows from there
    /// on again: older rows of those steps move aside to a file of their own, so that each step has one row.
    pub fn open(run_dir: &Path, step: i64) -> Result<Self, Error> {
        let path = run_dir.join("metrics.jsonl");
        let (rows, bytes) = match path.exists() {
            true => (read_rows(&path)?, fs::read(&path).map_err(FileError::at(&path))?),
            false => (Vec::new(), Vec::new()),
        };
        let stale = |row: &Row| match row.get("step").and_then(|s| s.as_i64()) {
            // An evaluation after `step` steps was written by the part that came before; a training row of that number was not.
            Some(s) => s > step || (s == step && row.contains_key("loss")),
            None => true,
        };
        // A line that a crash cut short would swallow the next one.
        let cut = bytes.last().is_some_and(|&byte| byte != b'\n');
        if cut || rows.iter().any(stale) {
            let stem = chrono::Local::now().format("metrics.%Y%m%d_%H%M%S").to_string();
            let (aside, mut copy) = make_new(run_dir, &stem, ".jsonl", |aside| File::create_new(aside))?;
            copy.write_all(&bytes).map_err(FileError::at(&aside))?;
            let kept: String = rows.iter().filter(|row| !stale(row)).map(line).collect();
            write_atomically(&path, kept.as_bytes())?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(FileError::at(&path))?;
        Ok(Self { path, file })
    }
}

fn line(row: &Row) -> String {
    serde_json::Value::Object(row.clone()).to_string() + "\n"
}

impl Tracker for Jsonl {
    fn log(&mut self, row: &Row) -> Result<(), Error> {
        Ok(self.file.write_all(line(row).as_bytes()).map_err(FileError::at(&self.path))?)
    }

    fn rewind(&mut self, run_dir: &Path, step: i64) -> Result<(), Error> {
        *self = Self::open(run_dir, step)?;
        Ok(())
    }
}

/// Reads the rows of a `metrics.jsonl`. A last line that a crash cut short is left out.
pub fn read_rows(path: &Path) -> Result<Vec<Row>, Error> {
    let text = fs::read_to_string(path).map_err(FileError::at(path))?;
    let lines: Vec<&str> = text.lines().collect();
    let mut rows = Vec::with_capacity(lines.len());
    for (i, line) in lines.iter().enumerate() {
        match serde_json::from_str(line) {
            Ok(row) => rows.push(row),
            Err(_) if i + 1 == lines.len() => {}
            Err(e) => return Err(Error::Metrics { path: path.to_owned(), line: i + 1, reason: e.to_string() }),
        }
    }
    Ok(rows)
}
