//! The sender: a thread that reads what the program wrote to the `.wandb` file and posts it. The file is the queue, so
//! that nothing is lost and nothing piles up in memory while a server is slow or down.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::api::{Api, Backoff, Failure};
use crate::key::ApiKey;
use crate::lines::{Chunk, Lines};
use crate::past::{Sent, Sidecar};
use crate::remote::{Remote, upsert};
use crate::settings::{Settings, Voice};

/// Failures in a row before people are told: a single one is nothing.
const FAILURES_TO_TELL: u32 = 3;

/// How sending ended.
#[derive(Clone, Debug)]
pub enum Ending {
    /// The server has everything, and knows how the run ended
    Complete,
    /// There is no run on the server, and why
    NoRun(String),
    /// `WANDB_RESUME` forbids the run
    Resume(String),
    /// The server takes nothing more of the run, and why
    Broken(String),
}

impl Ending {
    fn cut() -> Self {
        Ending::Broken("the wait for the server was over".to_owned())
    }
}

/// What the program and the sender tell each other.
#[derive(Clone, Debug, Default)]
pub struct State {
    // The program tells:
    /// Bytes of the file
    pub written: u64,
    /// The run is over
    pub exit: Option<i32>,
    /// It waits no longer; what was not sent by now counts as not sent
    pub cut: bool,
    // The sender tells:
    /// The run on the server
    pub remote: Option<Remote>,
    /// What the server has
    pub sent: Option<Sent>,
    /// What the program's times must be raised by
    pub age: f64,
    /// Answers so far
    pub answers: u64,
    /// The last failure, until something succeeds
    pub trouble: Option<String>,
    /// Somebody stopped the run on its page
    pub stopped: bool,
    /// Sentences for people
    pub notes: Vec<(Voice, String)>,
    pub ending: Option<Ending>,
}

impl State {
    fn say(&mut self, voice: Voice, text: String) {
        self.notes.push((voice, text));
    }

    /// The server answered well, and has this much.
    fn took(&mut self, sent: Sent) {
        self.sent = Some(sent);
        self.answers += 1;
        self.trouble = None;
    }
}

/// The state, and a bell that rings at its changes.
#[derive(Debug, Default)]
pub struct Shared {
    state: Mutex<State>,
    bell: Condvar,
}

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and rings.
    pub fn tell<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let told = change(&mut self.lock());
        self.bell.notify_all();
        told
    }

    /// Waits until `done` holds or the time is over.
    pub fn wait(&self, wait: Duration, done: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let waited = self.bell.wait_timeout_while(self.lock(), wait, |state| !done(state));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Everything that the sender needs.
pub struct Sender {
    pub shared: Arc<Shared>,
    pub settings: Settings,
    pub id: String,
    /// The file it reads
    pub store: PathBuf,
    /// The place to begin with, after the run's record
    pub from: u64,
    /// Kept up to date until somebody takes it away
    pub sidecar: Arc<Mutex<Option<Sidecar>>>,
    /// The run may be on the server already: ask
    pub asks: bool,
    /// What an earlier part has sent, where something of it is left
    pub sent: Option<Sent>,
    /// Begin of this part, in seconds since 1970
    pub started: f64,
    /// What earlier parts took, in seconds
    pub runtime: f64,
}

impl Sender {
    /// Starts the thread.
    pub fn spawn(self, key: ApiKey) -> io::Result<()> {
        let shared = self.shared.clone();
        thread::Builder::new().name("wandb-sender".to_owned()).spawn(move || {
            let sent = Api::new(&self.settings, key).map_err(Ending::NoRun).and_then(|api| self.send(&api));
            shared.tell(|state| state.ending = Some(sent.err().unwrap_or(Ending::Complete)));
        })?;
        Ok(())
    }

    /// Everything up to the end of the run; an error is how it ended otherwise.
    fn send(&self, api: &Api) -> Result<(), Ending> {
        let remote = self.create(api)?;
        let mut lines = Lines::new(&remote, self.sent, self.started, self.runtime);
        let mut from = self.from;
        self.shared.tell(|state| {
            state.age = lines.age;
            state.took(lines.sent(from));
            state.say(Voice::Normal, format!("wandb: 🚀 View run {} at: {}", remote.name, remote.url));
            if let Some(step) = lines.step {
                let text = "wandb: the run goes on: the server has its steps up to";
                state.say(Voice::Normal, format!("{text} {step}, which are not sent again"));
            }
            state.remote = Some(remote.clone());
        });
        let mut last_post: Option<Instant> = None;
        loop {
            let (to, exit) = self.wait_for_lines(from, last_post)?;
            let chunk = lines.read(&self.store, from, to).map_err(|e| {
                Ending::Broken(format!("{} cannot be read: {e}", self.store.display())) // what was sent stays sent
            })?;
            let last = exit.filter(|_| chunk.sent.position == to);
            let lively = last_post.is_some_and(|at| at.elapsed() < self.settings.pace.heartbeat);
            if last.is_some() || !chunk.is_empty() || !lively {
                let answer = self.post(api, &remote.path, &chunk, last)?;
                last_post = Some(Instant::now());
                self.hear(&answer, &chunk);
            }
            from = chunk.sent.position;
            self.acknowledge(chunk.sent)?;
            if last.is_some() {
                return Ok(());
            }
        }
    }

    /// Creates the run or finds it, for as long as the settings allow.
    fn create(&self, api: &Api) -> Result<Remote, Ending> {
        let pace = &self.settings.pace;
        let mut backoff = Backoff::new(pace.first_retry, pace.longest_retry);
        let started = Instant::now();
        loop {
            let over = self.shared.lock().exit.is_some();
            let left = pace.init.saturating_sub(started.elapsed());
            let timeout = pace.http.min(left.max(Duration::from_secs(1)));
            let (reason, after) = match upsert(api, &self.settings, &self.id, self.asks, timeout) {
                Ok(remote) => return Ok(remote),
                Err(Failure::Resume(reason)) => return Err(Ending::Resume(reason)),
                Err(Failure::Final(reason)) => return Err(Ending::NoRun(reason)),
                Err(Failure::Passing(reason, after)) => (reason, after),
            };
            let wait = after.unwrap_or(backoff.next());
            if over || wait >= pace.init.saturating_sub(started.elapsed()) {
                return Err(Ending::NoRun(reason));
            }
            self.shared.tell(|state| state.trouble = Some(reason));
            self.pause(wait, after.is_some())?;
        }
    }

    /// Waits until there is something to post, and it is time. The first post goes at once.
    fn wait_for_lines(&self, from: u64, last_post: Option<Instant>) -> Result<(u64, Option<i32>), Ending> {
        let pace = &self.settings.pace;
        let left = |wait: Duration| last_post.map_or(Duration::ZERO, |at| wait.saturating_sub(at.elapsed()));
        let stop = |state: &State| state.exit.is_some() || state.cut;
        drop(self.shared.wait(left(pace.post), stop));
        let beat = if last_post.is_some() { left(pace.heartbeat) } else { pace.heartbeat };
        let state = self.shared.wait(beat, |state| stop(state) || state.written > from);
        if state.cut { Err(Ending::cut()) } else { Ok((state.written, state.exit)) }
    }

    /// Posts a chunk until the server takes it: the same bytes each time.
    fn post(&self, api: &Api, path: &str, chunk: &Chunk, exit: Option<i32>) -> Result<Value, Ending> {
        let pace = &self.settings.pace;
        let mut backoff = Backoff::new(pace.first_retry, pace.longest_retry);
        let body = chunk.body(exit);
        loop {
            let (reason, after) = match api.file_stream(path, body.clone()) {
                Ok(answer) => return Ok(answer),
                Err(Failure::Final(reason) | Failure::Resume(reason)) => return Err(Ending::Broken(reason)),
                Err(Failure::Passing(reason, after)) => (reason, after),
            };
            let wait = after.unwrap_or(backoff.next());
            self.shared.tell(|state| {
                if backoff.failures == FAILURES_TO_TELL {
                    let text = format!("wandb: {reason}; the rows wait on the disk until it answers again");
                    state.say(Voice::Quiet, text);
                }
                state.trouble = Some(reason);
            });
            self.pause(wait, after.is_some())?;
        }
    }

    /// Waits before a retry. The end of the run ends the wait, except for one that the server asked for.
    fn pause(&self, wait: Duration, asked_for: bool) -> Result<(), Ending> {
        let over = self.shared.lock().exit.is_some();
        let state = self.shared.wait(wait, |state| state.cut || (!asked_for && !over && state.exit.is_some()));
        if state.cut { Err(Ending::cut()) } else { Ok(()) }
    }

    /// What the answer to a post says to people.
    fn hear(&self, answer: &Value, chunk: &Chunk) {
        self.shared.tell(|state| {
            if answer["stopped"] == true && !state.stopped {
                state.stopped = true;
                let text = "wandb: the run was stopped on its page; the training goes on until Ctrl-C";
                state.say(Voice::Quiet, text.to_owned());
            }
            if chunk.too_long > 0 {
                let text = format!("wandb: {} lines are longer than the server takes, and not sent", chunk.too_long);
                state.say(Voice::Quiet, text);
            }
        });
    }

    /// The server has everything up to here.
    fn acknowledge(&self, sent: Sent) -> Result<(), Ending> {
        self.shared.tell(|state| {
            if state.cut {
                return Err(Ending::cut());
            }
            state.took(sent);
            Ok(())
        })?;
        let mut sidecar = self.sidecar.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sidecar) = sidecar.as_mut().filter(|sidecar| sidecar.sent != Some(sent)) else { return Ok(()) };
        sidecar.sent = Some(sent);
        if let Err(e) = sidecar.write() {
            self.shared.tell(|state| state.say(Voice::Quiet, format!("wandb: {e}")));
        }
        Ok(())
    }
}
