//! A resumed training goes on with its W&B run. What came before: `wandb.json` in the training's run directory names the
//! run and how much of it the server has taken in; the `.wandb` file of the part before has everything.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::WandbError;
use super::datastore::{Reader, Writer};
use super::dir::{is_synced, mark_synced};
use super::records::{Items, Kind};
use super::settings::Settings;
use crate::error::Error;
use crate::fs::write_atomically;
use crate::metrics::Row;

/// How much of a `.wandb` file the server has taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Up to this place of the file
    pub position: u64,
    /// Lines of the console in all, with those of earlier parts
    pub output: u64,
    /// Samples of the machine in all, with those of earlier parts
    pub events: u64,
}

/// `wandb.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sidecar {
    /// Server of the run
    pub base_url: String,
    /// User or team, as set
    pub entity: Option<String>,
    /// Project
    pub project: String,
    /// Id
    pub run_id: String,
    /// The `.wandb` file of the last part
    pub store: PathBuf,
    /// What of it the server has
    pub sent: Option<Sent>,
    #[serde(skip)]
    path: PathBuf,
}

impl Sidecar {
    /// Of a run that begins.
    pub fn new(run_dir: &Path, settings: &Settings, run_id: &str, store: PathBuf) -> Self {
        Self {
            base_url: settings.base_url.clone(),
            entity: settings.entity.clone(),
            project: settings.project.clone(),
            run_id: run_id.to_owned(),
            store,
            sent: None,
            path: sidecar_path(run_dir),
        }
    }

    /// The one in a run directory, if it is of this server and project.
    pub fn read(run_dir: &Path, settings: &Settings) -> Result<Option<Self>, WandbError> {
        let path = sidecar_path(run_dir);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(WandbError::Io { path, source }),
        };
        let sidecar: Self = serde_json::from_str(&text)
            .map_err(|e| WandbError::Sidecar { path: path.clone(), reason: e.to_string() })?;
        let ours = sidecar.base_url == settings.base_url
            && sidecar.entity == settings.entity
            && sidecar.project == settings.project;
        Ok(ours.then_some(Self { path, ..sidecar }))
    }

    /// The run goes on in another file, of which the server has this much.
    pub fn moved(mut self, store: PathBuf, sent: Option<Sent>) -> Self {
        self.store = store;
        self.sent = sent;
        self
    }

    /// Removes the file.
    pub fn remove(&self) {
        let _ = fs::remove_file(&self.path);
    }

    /// Writes the file.
    pub fn write(&self) -> Result<(), WandbError> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        write_atomically(&self.path, text.as_bytes()).map_err(|e| match e {
            Error::Io { path, source } => WandbError::Io { path, source },
            other => WandbError::Sidecar { path: self.path.clone(), reason: other.to_string() },
        })
    }
}

fn sidecar_path(run_dir: &Path) -> PathBuf {
    run_dir.join("wandb.json")
}

/// What the part before left.
#[derive(Debug, Default)]
pub struct Past {
    /// Its last row
    pub last: Option<Row>,
    /// The row of a step that was not over when it was killed
    pub pending: Option<Row>,
    /// Its summary
    pub summary: Row,
    /// Its age, in seconds
    pub runtime: f64,
    /// The server has something of the run
    pub known: bool,
    /// How much of it, where that is known; the place is that of the new file
    pub sent: Option<Sent>,
    /// Its file and the place where the records begin that the server may lack; none where it lacks none
    unsent: Option<(PathBuf, u64)>,
}

impl Past {
    /// Reads the `.wandb` file that a sidecar names; one that is gone has nothing.
    pub fn read(sidecar: &Sidecar) -> io::Result<Self> {
        let store = &sidecar.store;
        let mut past = Self { known: sidecar.sent.is_some(), ..Self::default() };
        if !store.exists() {
            return Ok(past);
        }
        for record in Reader::open(store, 0, None)? {
            match record?.0.kind {
                Some(Kind::Run(run)) => past.known |= run.resume,
                Some(Kind::Summary(items)) => past.summary.extend(items.row()),
                Some(Kind::History(items)) => past.last = Some(items.row()),
                _ => {}
            }
        }
        let pending = fs::read_to_string(store.with_file_name("pending.json")).ok();
        past.pending = pending.and_then(|text| serde_json::from_str(&text).ok());
        past.pending = past.pending.filter(|row| step(row) > past.last.as_ref().and_then(step));
        past.runtime = past.last.as_ref().and_then(|row| row.get("_runtime")?.as_f64()).unwrap_or(0.0);
        if is_synced(store) {
            past.known = true;
        } else {
            past.sent = sidecar.sent.map(|sent| Sent { position: 0, ..sent });
            past.unsent = Some((store.clone(), sidecar.sent.map_or(0, |sent| sent.position)));
        }
        Ok(past)
    }

    /// A part before whose file cannot be read.
    pub fn unreadable() -> Self {
        Self { known: true, ..Self::default() }
    }

    /// Copies what the server may lack into a new file.
    pub fn hand_over(&self, to: &mut Writer) -> io::Result<()> {
        if let Some((store, position)) = &self.unsent {
            copy_from(store, *position, 0.0, to)?;
        }
        if !self.summary.is_empty() {
            to.append(Kind::Summary(Items::new(&self.summary)))?;
        }
        Ok(())
    }

    /// Keeps `wandb sync` from sending the old file as well, once `wandb.json` names the new one.
    pub fn close(&self) -> io::Result<()> {
        self.unsent.as_ref().map_or(Ok(()), |(store, _)| mark_synced(store))
    }
}

/// Copies the lines of a file, from this place on; the rows' times grow by `age`.
pub fn copy_from(store: &Path, position: u64, age: f64, to: &mut Writer) -> io::Result<()> {
    for record in Reader::open(store, position, None)? {
        match record?.0.kind {
            Some(Kind::History(items)) => to.append(Kind::History(Items::new(&older(items.row(), age))))?,
            Some(kind @ (Kind::Output(_) | Kind::Stats(_))) => to.append(kind)?,
            _ => {}
        }
    }
    Ok(())
}

/// A row of a run that is older by `age` seconds.
pub fn older(mut row: Row, age: f64) -> Row {
    if let Some(runtime) = row.get("_runtime").and_then(Value::as_f64).filter(|_| age != 0.0) {
        row.insert("_runtime".to_owned(), (runtime + age).into());
    }
    row
}

/// The step of a row.
pub fn step(row: &Row) -> Option<i64> {
    row.get("_step").and_then(Value::as_i64)
}

/// The rows of a file from this place on: how many, the first step and the last.
pub fn rows_from(store: &Path, position: u64) -> io::Result<Option<(u64, i64, i64)>> {
    let mut rows = None;
    for record in Reader::open(store, position, None)? {
        if let Some(Kind::History(items)) = record?.0.kind {
            let step = step(&items.row()).unwrap_or(0);
            rows = Some(rows.map_or((1, step, step), |(n, first, _)| (n + 1, first, step)));
        }
    }
    Ok(rows)
}
