//! A run that goes on: the rows of a step become one line of the history and go to the disk; the sender does the rest.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::Value;

use crate::datastore::Writer;
use crate::dir::RunDir;
use crate::past::Sidecar;
use crate::records::{Items, Kind, Output, RunRecord, Timestamp};
use crate::row::{Row, last_values, step};
use crate::sender::{Ending, Shared};
use crate::settings::{Settings, Voice};
use crate::system::Monitor;

pub struct Live {
    pub settings: Settings,
    pub run: RunRecord,
    pub dir: RunDir,
    pub store: Writer,
    /// The place in the file after the run's record
    pub from: u64,
    /// The sender, while there is one
    pub shared: Option<Arc<Shared>>,
    /// Shared with the sender, until the end takes it away
    pub sidecar: Arc<Mutex<Option<Sidecar>>>,
    pub monitor: Monitor,
    pub started: Instant,
    /// Seconds that earlier parts of the run took
    pub runtime: f64,
    /// The row of a step that is not over
    pub pending: Option<Row>,
    /// The last row that was written, here or by an earlier part
    pub last: Option<Row>,
    /// The last step of an earlier part: a program that is resumed comes by its last steps again
    pub repeats: Option<i64>,
    pub summary: Row,
    pub notes: Vec<(Voice, String)>,
    /// What is said only once, and was said
    pub told: HashSet<&'static str>,
    pub finished: bool,
}

impl Live {
    /// Metrics join the row of their step; a later step ends that row.
    pub fn log(&mut self, now: i64, metrics: impl IntoIterator<Item = (String, Value)>) {
        if self.pending.as_ref().and_then(step).is_some_and(|before| before < now) {
            self.write_pending();
        }
        let newest = self.pending.as_ref().or(self.last.as_ref()).and_then(step);
        if newest.is_some_and(|newest| now < newest) {
            if self.repeats.is_none_or(|repeats| now > repeats) {
                let text = format!("wandb: rows of step {now} and others come too late and are not sent");
                self.say_once("lower", text);
            }
            return;
        }
        let runtime = self.runtime + self.started.elapsed().as_secs_f64();
        let row = self.pending.get_or_insert_with(|| {
            let timestamp = Timestamp::now().seconds_f64();
            let head = [("_step", now.into()), ("_runtime", runtime.into()), ("_timestamp", timestamp.into())];
            head.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
        });
        row.extend(metrics);
    }

    /// The steps before `done` are over.
    pub fn commit(&mut self, done: i64) {
        if self.pending.as_ref().and_then(step).is_some_and(|pending| pending < done) {
            self.write_pending();
        }
    }

    /// The step is over: its row is final. Of a step that an earlier part had begun, only what is new is written.
    pub fn write_pending(&mut self) {
        let Some(mut row) = self.pending.take() else { return };
        if let Some(last) = self.last.as_ref().filter(|last| step(last) == step(&row)) {
            row.retain(|key, _| key.starts_with('_') || !last.contains_key(key));
            if row.keys().all(|key| key.starts_with('_')) {
                return;
            }
        }
        self.keep(Kind::History(Items::new(&row)));
        let update = last_values(&row);
        self.keep(Kind::Summary(Items::new(&update)));
        self.summary.extend(update);
        match self.last.as_mut().filter(|last| step(last) == step(&row)) {
            Some(last) => last.extend(row),
            None => self.last = Some(row),
        }
        let _ = fs::remove_file(self.dir.pending()); // where it was persisted
    }

    /// A killed process may leave a step that was not over: the next part takes its row from here.
    pub fn persist(&mut self) {
        let Some(row) = &self.pending else { return };
        if let Err(e) = fs::write(self.dir.pending(), Value::Object(row.clone()).to_string()) {
            self.disk_failed(&e);
        }
    }

    pub fn rewind(&mut self) {
        self.write_pending();
        self.repeats = self.last.as_ref().and_then(step);
    }

    pub fn output(&mut self, text: &str) {
        for line in text.lines() {
            let line = format!("{line}\n");
            self.keep(Kind::Output(Output { output_type: 1, timestamp: Some(Timestamp::now()), line }));
        }
    }

    pub fn messages(&mut self) -> Vec<String> {
        self.poll();
        let voice = self.settings.voice;
        self.notes.drain(..).filter(|(loud, _)| *loud <= voice).map(|(_, text)| text).collect()
    }

    /// Puts a record on the disk, and tells the sender.
    pub fn keep(&mut self, kind: Kind) {
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
        let text = format!("wandb: {} cannot be written ({e}): the run has holes on W&B", self.dir.store().display());
        self.say_once("disk", text);
    }

    /// Hears what came up since the last time.
    pub fn poll(&mut self) {
        for sample in self.monitor.take() {
            self.keep(sample);
        }
        let Some(shared) = &self.shared else { return };
        let mut state = shared.lock();
        self.notes.append(&mut state.notes);
        let (ending, trouble, connected) = (state.ending.clone(), state.trouble.clone(), state.remote.is_some());
        drop(state);
        match (ending, trouble) {
            (Some(Ending::NoRun(reason) | Ending::Resume(reason)), _) => {
                self.shared = None;
                self.say_once("unreachable", self.offline_note(&reason));
                self.go_offline();
            }
            (Some(Ending::Broken(reason)), _) => {
                let text = format!("wandb: {reason}; nothing more is sent, the rows are kept for later");
                self.say_once("broken", text);
            }
            (None, Some(reason)) if !connected => {
                let (init, command) = (self.settings.pace.init.as_secs(), self.dir.sync_command());
                let text = format!(
                    "wandb: {reason}; the run goes on offline, and is sent if the server answers within {init} s; \
                     if not: {command}"
                );
                self.say_once("unreachable", text);
            }
            _ => {}
        }
    }

    /// The server has nothing of this part: it becomes a directory for `wandb sync`, as it is.
    pub fn go_offline(&mut self) {
        let sidecar = self.take_sidecar();
        let rename = || {
            self.dir.make_offline().map_err(|e| e.to_string())?;
            let Some(mut sidecar) = sidecar else { return Ok(()) };
            sidecar.store = self.dir.store();
            sidecar.write().map_err(|e| e.to_string())
        };
        if let Err(e) = rename() {
            self.say(Voice::Quiet, format!("wandb: {}: {e}", self.dir.store().display()));
        }
    }

    /// From now on the sender notes nothing there.
    pub fn take_sidecar(&self) -> Option<Sidecar> {
        self.sidecar.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub fn offline_note(&self, reason: &str) -> String {
        let command = self.dir.sync_command();
        format!("wandb: {reason}; the run goes on offline; to send it later: {command}")
    }

    pub fn say(&mut self, voice: Voice, text: String) {
        self.notes.push((voice, text));
    }

    fn say_once(&mut self, what: &'static str, text: String) {
        if self.told.insert(what) {
            self.say(Voice::Quiet, text);
        }
    }
}
