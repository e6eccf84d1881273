//! The listener: rows of a step become one line of the history, and go to the disk; the sender does the rest.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::{Value, json};

use super::datastore::Writer;
use super::dir::RunDir;
use super::past::{Sidecar, step};
use super::records::{Items, Kind, Output, Run, Timestamp};
use super::settings::{Resume, Settings, Voice};
use super::start::AUTO_FILE;
use super::stream::{Ending, Shared};
use super::system::Monitor;
use crate::error::Error;
use crate::metrics::Row;
use crate::tracking::{End, Tracker};

/// A run on Weights & Biases.
pub struct Wandb {
    pub(super) settings: Settings,
    pub(super) run: Run,
    pub(super) dir: RunDir,
    pub(super) store: Writer,
    /// The place in the file after the run's record
    pub(super) from: u64,
    /// The sender, while there is one
    pub(super) shared: Option<Arc<Shared>>,
    /// Shared with the sender, until the end takes it away
    pub(super) sidecar: Arc<Mutex<Option<Sidecar>>>,
    pub(super) monitor: Monitor,
    pub(super) started: Instant,
    /// Seconds that earlier parts of the run took
    pub(super) runtime: f64,
    /// The row of a step that is not over
    pub(super) pending: Option<Row>,
    /// The last row that was written, here or by an earlier part
    pub(super) last: Option<Row>,
    /// The last step of an earlier part: a resumed training comes by its last steps again
    pub(super) repeats: Option<i64>,
    pub(super) summary: Row,
    pub(super) notes: Vec<(Voice, String)>,
    pub(super) told: Told,
    pub(super) finished: bool,
}

/// What is said only once.
#[derive(Default)]
pub(super) struct Told {
    pub(super) unreachable: bool,
    pub(super) broken: bool,
    pub(super) lower: bool,
    pub(super) disk: bool,
}

impl Wandb {
    /// A row joins the row of its step; a later step ends that row.
    fn add(&mut self, metrics: &Row) {
        let Some(now) = metrics.get("step").and_then(Value::as_i64) else { return };
        let before = self.pending.as_ref().and_then(step);
        if before.is_some_and(|before| before < now) {
            self.write_pending();
        }
        let newest = self.pending.as_ref().or(self.last.as_ref()).and_then(step);
        if newest.is_some_and(|newest| now < newest) {
            let repeated = self.repeats.is_some_and(|repeats| now <= repeats);
            if !repeated && !std::mem::replace(&mut self.told.lower, true) {
                let text = format!("wandb: rows of step {now} and others come too late and are not sent");
                self.notes.push((Voice::Quiet, text));
            }
            return;
        }
        let runtime = self.runtime + self.started.elapsed().as_secs_f64();
        let row = self.pending.get_or_insert_with(|| {
            let times = [("_runtime", runtime.into()), ("_timestamp", Timestamp::now().seconds_f64().into())];
            let head = std::iter::once(("_step", Value::from(now))).chain(times);
            head.map(|(key, value)| (key.to_owned(), value)).collect()
        });
        row.extend(metrics.iter().filter(|(key, _)| *key != "step").map(|(k, v)| (k.clone(), v.clone())));
    }

    /// The step is over: its row is final. Of a step that an earlier part had begun, only what is new is written.
    pub(super) fn write_pending(&mut self) {
        let Some(mut row) = self.pending.take() else { return };
        if let Some(last) = self.last.as_ref().filter(|last| step(last) == step(&row)) {
            let new = |key: &String| key.starts_with('_') || !last.contains_key(key);
            row.retain(|key, _| new(key));
            if row.keys().all(|key| key.starts_with('_')) {
                return;
            }
        }
        self.keep(Kind::History(Items::new(&row)));
        let known = |(key, value): (&String, &Value)| (!value.is_null()).then(|| (key.clone(), value.clone()));
        let mut update: Row = row.iter().filter_map(known).collect();
        let runtime = row.get("_runtime").and_then(Value::as_f64).unwrap_or(0.0);
        update.insert("_wandb".to_owned(), json!({"runtime": runtime as i64}));
        self.keep(Kind::Summary(Items::new(&update)));
        self.summary.extend(update);
        match self.last.as_mut().filter(|last| step(last) == step(&row)) {
            Some(last) => last.extend(row),
            None => self.last = Some(row),
        }
        let _ = fs::remove_file(self.dir.pending()); // only an evaluation has left one
    }

    /// A killed process may leave a step whose evaluation was done: the next part takes it from here.
    pub(super) fn save_pending(&mut self) {
        let Some(row) = &self.pending else { return };
        if let Err(e) = fs::write(self.dir.pending(), Value::Object(row.clone()).to_string()) {
            self.disk_failed(&e);
        }
    }

    /// Puts a record on the disk, and tells the sender.
    pub(super) fn keep(&mut self, kind: Kind) {
        match self.store.append(kind) {
            Ok(()) => {
                if let Some(shared) = &self.shared {
                    shared.tell(|state| state.written = self.store.len());
                }
            }
            Err(e) => self.disk_failed(&e),
        }
    }

    fn disk_failed(&mut self, e: &io::Error) {
        if !std::mem::replace(&mut self.told.disk, true) {
            let text =
                format!("wandb: {} cannot be written ({e}): the run has holes on W&B", self.dir.store().display());
            self.notes.push((Voice::Quiet, text));
        }
    }

    /// Hears what came up since the last time.
    pub(super) fn poll(&mut self) {
        for sample in self.monitor.take() {
            self.keep(sample);
        }
        let Some(shared) = self.shared.clone() else { return };
        let mut state = shared.lock();
        self.notes.append(&mut state.notes);
        let (ending, trouble, connected) = (state.ending.clone(), state.trouble.clone(), state.remote.is_some());
        drop(state);
        match (ending, trouble) {
            (Some(Ending::NoRun(reason) | Ending::Resume(reason)), _) => {
                self.shared = None;
                if !std::mem::replace(&mut self.told.unreachable, true) {
                    self.say_offline(&reason);
                }
                self.go_offline();
            }
            (Some(Ending::Broken(reason)), _) if !std::mem::replace(&mut self.told.broken, true) => {
                let text = format!("wandb: {reason}; nothing more is sent, the rows are kept for later");
                self.notes.push((Voice::Quiet, text));
            }
            (None, Some(reason)) if !connected && !std::mem::replace(&mut self.told.unreachable, true) => {
                let (init, command) = (self.settings.pace.init.as_secs(), self.dir.sync_command());
                let text = format!(
                    "wandb: {reason}; the run goes on offline, and is sent if the server answers within {init} s; \
                     if not: {command}"
                );
                self.notes.push((Voice::Quiet, text));
            }
            _ => {}
        }
    }

    pub(super) fn say_offline(&mut self, reason: &str) {
        let command = self.dir.sync_command();
        self.notes
            .push((Voice::Quiet, format!("wandb: {reason}; the run goes on offline; to send it later: {command}")));
    }
}

impl Tracker for Wandb {
    fn log(&mut self, row: &Row) -> Result<(), Error> {
        self.add(row);
        Ok(())
    }

    fn evaluation(&mut self, row: &Row) -> Result<(), Error> {
        self.add(row);
        self.save_pending();
        Ok(())
    }

    fn progress(&mut self, done: i64) {
        if self.pending.as_ref().and_then(step).is_some_and(|pending| pending < done) {
            self.write_pending();
        }
        self.poll();
    }

    /// W&B takes no step twice: what it has of the steps that come again stays.
    fn rewind(&mut self, _run_dir: &Path, _step: i64) -> Result<(), Error> {
        self.write_pending();
        self.repeats = self.last.as_ref().and_then(step);
        Ok(())
    }

    fn printed(&mut self, text: &str) {
        for line in text.lines() {
            let line = format!("{line}\n");
            self.keep(Kind::Output(Output { output_type: 1, timestamp: Some(Timestamp::now()), line }));
        }
    }

    fn news(&mut self) -> Vec<String> {
        self.poll();
        let voice = self.settings.voice;
        self.notes.drain(..).filter(|(loud, _)| *loud <= voice).map(|(_, text)| text).collect()
    }

    fn finish(&mut self, end: &End) -> Vec<String> {
        self.end(match end {
            End::Finished => 0,
            End::Failed(_) => 1,
            End::Interrupted => 255,
        });
        if matches!(end, End::Finished) && self.settings.resume == Resume::Auto {
            let _ = fs::remove_file(self.settings.dir.join(AUTO_FILE)); // the next run is a new one
        }
        self.news()
    }
}
