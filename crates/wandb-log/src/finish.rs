//! The end of a run: the server gets what is left, or it is left for `wandb sync`.

use std::fs;
use std::io::Write;

use crate::dir::RunDir;
use crate::live::Live;
use crate::past::{Sent, copy_from, rows_from};
use crate::records::{Exit, Items, Kind, RunRecord};
use crate::remote::Remote;
use crate::row::{Row, older, step};
use crate::sender::{Ending, State};
use crate::settings::Voice;

impl Live {
    pub fn finish(&mut self, code: i32) -> Vec<String> {
        self.end(code);
        if let Some(file) = self.settings.auto_file().filter(|_| code == 0) {
            let _ = fs::remove_file(file); // the next run is a new one
        }
        self.messages()
    }

    /// Ends the run with this code, and says what is left to do.
    fn end(&mut self, code: i32) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        self.write_pending();
        self.poll();
        self.keep(self.exit_record(code));
        let Some(shared) = self.shared.take() else {
            let text = format!("wandb: the run is kept offline; send it with: {}", self.dir.sync_command());
            return self.say(Voice::Quiet, text);
        };
        shared.tell(|state| state.exit = Some(code));
        loop {
            let answers = shared.lock().answers;
            let state = shared.wait(self.settings.pace.finish, |s| s.ending.is_some() || s.answers != answers);
            if state.ending.is_some() || state.answers == answers {
                break;
            }
        }
        let mut state = shared.tell(|state| {
            state.cut = true;
            state.clone()
        });
        self.notes.append(&mut state.notes);
        let reason = match state.ending.take() {
            Some(Ending::Complete) => {
                let remote = state.remote.unwrap_or_default();
                let text = format!("wandb: 🚀 View run {} at: {}", remote.name, remote.url);
                return self.say(Voice::Normal, text);
            }
            Some(Ending::NoRun(reason) | Ending::Resume(reason) | Ending::Broken(reason)) => reason,
            None => {
                state.trouble.take().unwrap_or_else(|| format!("{} took too long to answer", self.settings.machine))
            }
        };
        self.leave_rest(code, &reason, &state);
    }

    /// What the server has not taken in is left for `wandb sync`.
    fn leave_rest(&mut self, code: i32, reason: &str, state: &State) {
        let (store, position) = (self.dir.store(), state.sent.map_or(0, |sent| sent.position));
        let steps = rows_from(&store, position).map(|rows| rows.iter().filter_map(step).collect::<Vec<_>>());
        let rows = match steps.as_deref() {
            Ok(steps @ [first, ..]) => {
                let last = steps.last().unwrap_or(first);
                format!("{} rows (steps {first} to {last}) were not sent", steps.len())
            }
            Ok([]) => "the end of the run was not sent".to_owned(),
            Err(e) => format!("{}: {e}", store.display()),
        };
        let rest = match (state.sent, &state.remote) {
            // where the server has no line of the run yet, the directory is right as it is
            (Some(sent), Some(remote)) if remote.resumed || sent.position > self.from => {
                self.write_rest(code, sent, remote, state.age)
            }
            _ => {
                self.go_offline();
                Ok(self.dir.sync_command())
            }
        };
        let text = match rest {
            Ok(command) => format!("wandb: {rows}: {reason}; send them with: {command}"),
            Err(e) => format!("wandb: {rows}: {reason}; they are in {}, and cannot be copied: {e}", store.display()),
        };
        self.say(Voice::Quiet, text);
    }

    /// A directory with what the server has not taken in; the command that sends it.
    fn write_rest(&self, code: i32, sent: Sent, remote: &Remote, age: f64) -> Result<String, String> {
        let sidecar = self.take_sidecar();
        let io = |_| format!("cannot write or read {}", self.settings.dir.display());
        let run = RunRecord { resume: true, ..self.run.clone() };
        let (dir, mut store) = RunDir::create(&self.settings, &run, true).map_err(io)?;
        copy_from(&self.dir.store(), sent.position, age, &mut store).map_err(io)?;
        let summary: Row = remote.summary.clone().into_iter().chain(older(self.summary.clone(), age)).collect();
        store.append(Kind::Summary(Items::new(&summary))).map_err(io)?;
        store.append(self.exit_record(code)).map_err(io)?;
        if let Some(mut sidecar) = sidecar {
            sidecar.store = dir.store();
            sidecar.sent = Some(Sent { position: 0, ..sent });
            sidecar.write().map_err(|e| e.to_string())?;
        }
        Ok(dir.sync_command())
    }

    fn exit_record(&self, code: i32) -> Kind {
        let runtime = self.runtime + self.started.elapsed().as_secs_f64();
        Kind::Exit(Exit { exit_code: code, runtime: runtime as i32 })
    }
}

/// A run that nobody finished has failed.
impl Drop for Live {
    fn drop(&mut self) {
        self.end(1);
        for text in self.messages() {
            let _ = writeln!(std::io::stderr(), "{text}"); // which may be closed, too
        }
    }
}
