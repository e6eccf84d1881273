//! The start of a run: which one it is, what an earlier part left, and where it goes.

use std::fs;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::datastore::Writer;
use super::dir::RunDir;
use super::past::{Past, Sent, Sidecar, step};
use super::records::{Header, Items, Kind, Run, Timestamp, VersionInfo};
use super::secret::ApiKey;
use super::settings::{Mode, Resume, Settings, Vars, Voice};
use super::stream::{Ending, Sender, Shared};
use super::system::Monitor;
use super::tracker::{Told, Wandb};
use super::{RunInfo, WandbError};
use crate::tracking::Tracker;

/// How long the start waits for the server, so that the run's address is among the first lines.
const GREETING: Duration = Duration::from_millis(50);

impl Wandb {
    /// Begins a run, or goes on with the one of a resumed training, as the environment says; and sentences for people. With
    /// `WANDB_MODE=disabled` there is no run.
    pub fn start(info: &RunInfo) -> Result<(Option<Self>, Vec<String>), WandbError> {
        let vars = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        Self::start_with(info, &vars.collect())
    }

    /// The same, in this environment.
    pub fn start_with(info: &RunInfo, vars: &Vars) -> Result<(Option<Self>, Vec<String>), WandbError> {
        let settings = Settings::read(info, vars)?;
        if settings.mode == Mode::Disabled {
            return Ok((None, Vec::new()));
        }
        let (id, old) = choose_id(info, &settings)?;
        let mut notes = Vec::new();
        let past = old.as_ref().map(|old| read_past(old, &mut notes)).unwrap_or_default();
        let key = if settings.mode == Mode::Online { Some(settings.key.clone()) } else { None };
        let offline = !matches!(key, Some(Ok(_)));
        let io = |source| WandbError::Io { path: settings.dir.clone(), source };
        let dir = RunDir::create(&settings.dir, &id, offline).map_err(io)?;
        let run = run_record(&settings, &id, info.config, past.known);
        let mut store = new_store(&dir, &run).map_err(io)?;
        let from = store.len();
        past.hand_over(&mut store).map_err(io)?;
        let mut sidecar = Sidecar::new(info.run_dir, &settings, &id, dir.store());
        sidecar.sent = past.sent;
        sidecar.write()?;
        past.close().map_err(io)?;
        if settings.resume == Resume::Auto {
            let text = json!({"run_id": id}).to_string();
            fs::write(settings.dir.join(AUTO_FILE), text).map_err(io)?;
        }
        let mut wandb = Self::new(settings, run, dir, (store, from), &past, sidecar, notes);
        match key {
            Some(Ok(key)) => wandb.send(key, info.config, old.is_some(), past.sent).map_err(|source| {
                let path = wandb.dir.store();
                WandbError::Io { path, source }
            })?,
            Some(Err(reason)) => wandb.say_offline(&reason),
            None => {
                let text = format!("wandb: offline; to send the run later: {}", wandb.dir.sync_command());
                wandb.notes.push((Voice::Normal, text));
            }
        }
        wandb.greet()?;
        let news = wandb.news();
        Ok((Some(wandb), news))
    }

    fn new(
        settings: Settings,
        run: Run,
        dir: RunDir,
        (store, from): (Writer, u64),
        past: &Past,
        sidecar: Sidecar,
        notes: Vec<(Voice, String)>,
    ) -> Self {
        let mut wandb = Self {
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
            pending: past.pending.clone(),
            last: past.last.clone(),
            repeats: past.last.as_ref().and_then(step),
            summary: past.summary.clone(),
            notes,
            told: Told::default(),
            finished: false,
        };
        wandb.save_pending();
        wandb
    }

    /// Starts the sender.
    fn send(&mut self, key: ApiKey, config: &Value, went_on: bool, sent: Option<Sent>) -> io::Result<()> {
        let shared = Arc::new(Shared::default());
        shared.lock().written = self.store.len();
        let sender = Sender {
            shared: shared.clone(),
            settings: self.settings.clone(),
            id: self.run.run_id.clone(),
            config: config.clone(),
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

    /// Waits a moment for the server; longer where the answer decides whether the training begins.
    fn greet(&mut self) -> Result<(), WandbError> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let decisive = matches!(self.settings.resume, Resume::Must | Resume::Never);
        let wait = if decisive { self.settings.pace.init } else { GREETING };
        let state = shared.wait(wait, |state| state.remote.is_some() || state.ending.is_some());
        match &state.ending {
            Some(Ending::Resume(reason)) => {
                let reason = reason.clone();
                drop(state);
                self.undo();
                Err(WandbError::Resume(reason))
            }
            _ => Ok(()),
        }
    }

    /// The run does not begin: what was written for it goes, unless an earlier part is in it.
    fn undo(&mut self) {
        self.finished = true;
        self.shared = None;
        let sidecar = self.sidecar.lock().unwrap_or_else(PoisonError::into_inner).take();
        if !self.run.resume && self.last.is_none() {
            self.dir.remove();
            sidecar.iter().for_each(Sidecar::remove);
        }
    }
}

/// In the `wandb` directory, with `WANDB_RESUME=auto`: the last run that did not finish.
pub(super) const AUTO_FILE: &str = "wandb-resume.json";

/// The id of the run: given, or of the training that is resumed, or new; and what is known of that training's run.
fn choose_id(info: &RunInfo, settings: &Settings) -> Result<(String, Option<Sidecar>), WandbError> {
    let old = Sidecar::read(info.run_dir, settings)?.filter(|_| settings.resume != Resume::Never);
    let auto = || {
        let text = fs::read_to_string(settings.dir.join(AUTO_FILE)).ok()?;
        let file: Value = serde_json::from_str(&text).ok()?;
        file["run_id"].as_str().filter(|_| settings.resume == Resume::Auto).map(str::to_owned)
    };
    let id = settings.run_id.clone().or_else(|| old.as_ref().map(|old| old.run_id.clone())).or_else(auto);
    let id = id.unwrap_or_else(|| std::iter::repeat_with(|| fastrand::char('a'..='z')).take(8).collect());
    let old = old.filter(|old| old.run_id == id);
    Ok((id, old))
}

/// A damaged file of an earlier part does not keep the training from going on.
fn read_past(old: &Sidecar, notes: &mut Vec<(Voice, String)>) -> Past {
    Past::read(old).unwrap_or_else(|e| {
        let text = format!("wandb: {} cannot be read ({e}): what it has is not sent again", old.store.display());
        notes.push((Voice::Quiet, text));
        Past::unreadable()
    })
}

fn run_record(settings: &Settings, id: &str, config: &Value, resume: bool) -> Run {
    Run {
        run_id: id.to_owned(),
        entity: settings.entity.clone().unwrap_or_default(),
        project: settings.project.clone(),
        config: config.as_object().map(Items::new),
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

/// The file of a run, with the records that come first.
pub(super) fn new_store(dir: &RunDir, run: &Run) -> io::Result<Writer> {
    let mut store = Writer::create(&dir.store())?;
    let producer = concat!("nanoebm ", env!("CARGO_PKG_VERSION")).to_owned();
    store.append(Kind::Header(Header { version_info: Some(VersionInfo { producer }) }))?;
    store.append(Kind::Run(Box::new(run.clone())))?;
    if run.resume {
        dir.continues()?;
    }
    Ok(store)
}
