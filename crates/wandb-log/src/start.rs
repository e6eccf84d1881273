//! The start of a run: which one it is, what an earlier part left, and where it goes.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::dir::RunDir;
use crate::error::Error;
use crate::key::ApiKey;
use crate::live::Live;
use crate::past::{Past, Sent, Sidecar};
use crate::records::{Items, RunRecord, Timestamp};
use crate::row::step;
use crate::sender::{Ending, Sender, Shared};
use crate::settings::{Mode, Resume, Settings, Voice};
use crate::system::Monitor;

/// How long the start waits for the server, so that the run's address is among the first lines.
const GREETING: Duration = Duration::from_millis(50);

impl Live {
    pub fn start(settings: Settings) -> Result<Self, Error> {
        let (id, old) = choose_id(&settings)?;
        let went_on = old.is_some();
        let mut notes = Vec::new();
        let past = old.map_or_else(Past::default, |old| read_past(&old, &mut notes));
        let key = (settings.mode == Mode::Online).then(|| settings.key.clone());
        let io = Error::io(&settings.dir);
        let run = run_record(&settings, &id, past.known);
        let (dir, mut store) = RunDir::create(&settings, &run, !matches!(key, Some(Ok(_)))).map_err(&io)?;
        let from = store.len();
        past.hand_over(&mut store).map_err(&io)?;
        let sidecar = Sidecar::new(&settings, &id, dir.store(), past.sent);
        sidecar.write()?;
        past.close().map_err(&io)?;
        if let Some(file) = settings.auto_file() {
            fs::write(file, json!({"run_id": id}).to_string()).map_err(&io)?;
        }
        let mut live = Self {
            monitor: Monitor::start(settings.pace.system),
            settings,
            run,
            dir,
            store,
            from,
            shared: None,
            sidecar: Arc::new(Mutex::new(Some(sidecar))),
            started: Instant::now(),
            runtime: past.runtime,
            pending: past.pending,
            repeats: past.last.as_ref().and_then(step),
            last: past.last,
            summary: past.summary,
            notes,
            told: HashSet::new(),
            finished: false,
        };
        live.persist();
        match key {
            Some(Ok(key)) => live.send(key, went_on, past.sent).map_err(Error::io(&live.dir.store()))?,
            Some(Err(reason)) => live.say(Voice::Quiet, live.offline_note(&reason)),
            None => {
                let text = format!("wandb: offline; to send the run later: {}", live.dir.sync_command());
                live.say(Voice::Normal, text);
            }
        }
        live.greet()?;
        Ok(live)
    }

    /// Starts the sender.
    fn send(&mut self, key: ApiKey, went_on: bool, sent: Option<Sent>) -> io::Result<()> {
        let shared = Arc::new(Shared::default());
        shared.lock().written = self.store.len();
        let sender = Sender {
            shared: shared.clone(),
            settings: self.settings.clone(),
            id: self.run.run_id.clone(),
            store: self.dir.store(),
            from: self.from,
            sidecar: self.sidecar.clone(),
            asks: went_on || self.settings.resume != Resume::Unset,
            sent,
            started: self.run.start_time.unwrap_or_default().seconds_f64(),
            runtime: self.runtime,
        };
        sender.spawn(key)?;
        self.shared = Some(shared);
        Ok(())
    }

    /// Waits a moment for the server; longer where the answer decides whether the run begins.
    fn greet(&mut self) -> Result<(), Error> {
        let Some(shared) = self.shared.clone() else { return Ok(()) };
        let decisive = matches!(self.settings.resume, Resume::Must | Resume::Never);
        let wait = if decisive { self.settings.pace.init } else { GREETING };
        let state = shared.wait(wait, |state| state.remote.is_some() || state.ending.is_some());
        let Some(Ending::Resume(reason)) = &state.ending else { return Ok(()) };
        self.undo();
        Err(Error::Resume(format!("{reason}: give another WANDB_RUN_ID or WANDB_RESUME")))
    }

    /// The run does not begin: what was written for it goes, unless an earlier part is in it.
    fn undo(&mut self) {
        self.finished = true;
        self.shared = None;
        let sidecar = self.take_sidecar();
        if !self.run.resume && self.last.is_none() {
            self.dir.remove();
            sidecar.iter().for_each(Sidecar::remove);
        }
    }
}

/// The id of the run: given, or of the run to go on with, or new; and what is known of the run to go on with.
fn choose_id(settings: &Settings) -> Result<(String, Option<Sidecar>), Error> {
    let old = Sidecar::read(settings)?.filter(|_| settings.resume != Resume::Never);
    let auto = || {
        let file: Value = serde_json::from_str(&fs::read_to_string(settings.auto_file()?).ok()?).ok()?;
        file["run_id"].as_str().map(str::to_owned)
    };
    let id = settings.run_id.clone().or_else(|| old.as_ref().map(|old| old.run_id.clone())).or_else(auto);
    let id = id.unwrap_or_else(|| std::iter::repeat_with(|| fastrand::char('a'..='z')).take(8).collect());
    let old = old.filter(|old| old.run_id == id);
    Ok((id, old))
}

/// A damaged file of an earlier part does not keep the run from going on.
fn read_past(old: &Sidecar, notes: &mut Vec<(Voice, String)>) -> Past {
    Past::read(old).unwrap_or_else(|e| {
        let text = format!("wandb: {} cannot be read ({e}): what it has is not sent again", old.store.display());
        notes.push((Voice::Quiet, text));
        Past { known: true, ..Past::default() }
    })
}

fn run_record(settings: &Settings, id: &str, resume: bool) -> RunRecord {
    RunRecord {
        run_id: id.to_owned(),
        entity: settings.entity.clone().unwrap_or_default(),
        project: settings.project.clone(),
        config: settings.config.as_object().map(Items::new),
        run_group: settings.group.clone().unwrap_or_default(),
        job_type: settings.job_type.clone().unwrap_or_default(),
        display_name: settings.name.clone().unwrap_or_default(),
        notes: settings.notes.clone().unwrap_or_default(),
        tags: settings.tags.clone(),
        host: settings.host.clone(),
        start_time: Some(Timestamp::now()),
        resume,
    }
}
