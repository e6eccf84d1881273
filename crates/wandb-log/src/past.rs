//! A program that starts again goes on with its run. What came before: the sidecar, in the place that
//! `Settings::resume_file` says, names the run and how much of it the server has taken in; the `.wandb` file of the
//! part before has everything.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::datastore::{Reader, Writer};
use crate::dir::{is_synced, mark_synced};
use crate::error::Error;
use crate::records::{Items, Kind};
use crate::row::{Row, older, runtime, step};
use crate::settings::Settings;

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

/// The resume file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sidecar {
    base_url: String,
    entity: Option<String>,
    project: String,
    pub run_id: String,
    /// The `.wandb` file of the last part
    pub store: PathBuf,
    /// What of it the server has
    pub sent: Option<Sent>,
    #[serde(skip)]
    path: Option<PathBuf>,
}

impl Sidecar {
    /// Of a run that begins.
    pub fn new(settings: &Settings, run_id: &str, store: PathBuf, sent: Option<Sent>) -> Self {
        Self {
            base_url: settings.base_url.clone(),
            entity: settings.entity.clone(),
            project: settings.project.clone(),
            run_id: run_id.to_owned(),
            store,
            sent,
            path: settings.resume_file.clone(),
        }
    }

    /// The one that is there, if it is of this server and project.
    pub fn read(settings: &Settings) -> Result<Option<Self>, Error> {
        let Some(path) = &settings.resume_file else { return Ok(None) };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(path)(e)),
        };
        let sidecar: Self = serde_json::from_str(&text).map_err(|e| {
            let path = path.display();
            let advice = "remove it, and a new run begins";
            Error::Resume(format!("{path} does not say which W&B run to go on with ({e}): {advice}"))
        })?;
        let ours = sidecar.base_url == settings.base_url
            && sidecar.entity == settings.entity
            && sidecar.project == settings.project;
        Ok(ours.then_some(Self { path: settings.resume_file.clone(), ..sidecar }))
    }

    pub fn remove(&self) {
        self.path.iter().for_each(|path| drop(fs::remove_file(path)));
    }

    /// A crash leaves the old file or the new one.
    pub fn write(&self) -> Result<(), Error> {
        let Some(path) = &self.path else { return Ok(()) };
        let mut sibling = path.clone().into_os_string();
        sibling.push(format!(".{}.tmp", std::process::id()));
        let write = || {
            let mut file = File::create(&sibling)?;
            file.write_all(serde_json::to_string_pretty(self)?.as_bytes())?;
            file.sync_all()?;
            fs::rename(&sibling, path)
        };
        write().map_err(|e| {
            let _ = fs::remove_file(&sibling);
            Error::io(path)(e)
        })
    }
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
    pub unsent: Option<(PathBuf, u64)>,
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
            match record?.0 {
                Some(Kind::Run(run)) => past.known |= run.resume,
                Some(Kind::Summary(items)) => past.summary.extend(items.row()),
                Some(Kind::History(items)) => past.last = Some(items.row()),
                _ => {}
            }
        }
        let pending = fs::read_to_string(store.with_file_name("pending.json")).ok();
        past.pending = pending.and_then(|text| serde_json::from_str(&text).ok());
        past.pending = past.pending.filter(|row| step(row) > past.last.as_ref().and_then(step));
        past.runtime = past.last.as_ref().and_then(runtime).unwrap_or(0.0);
        if is_synced(store) {
            past.known = true;
        } else {
            past.sent = sidecar.sent.map(|sent| Sent { position: 0, ..sent });
            past.unsent = Some((store.clone(), sidecar.sent.map_or(0, |sent| sent.position)));
        }
        Ok(past)
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

    /// Keeps `wandb sync` from sending the old file as well, once the sidecar names the new one.
    pub fn close(&self) -> io::Result<()> {
        self.unsent.as_ref().map_or(Ok(()), |(store, _)| mark_synced(store))
    }
}

/// Copies the lines of a file, from this place on; the rows' times grow by `age`.
pub fn copy_from(store: &Path, position: u64, age: f64, to: &mut Writer) -> io::Result<()> {
    for record in Reader::open(store, position, None)? {
        match record?.0 {
            Some(Kind::History(items)) => to.append(Kind::History(Items::new(&older(items.row(), age))))?,
            Some(kind @ (Kind::Output(_) | Kind::Stats(_))) => to.append(kind)?,
            _ => {}
        }
    }
    Ok(())
}

/// The rows of a file from this place on.
pub fn rows_from(store: &Path, position: u64) -> io::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for record in Reader::open(store, position, None)? {
        if let Some(Kind::History(items)) = record?.0 {
            rows.push(items.row());
        }
    }
    Ok(rows)
}
