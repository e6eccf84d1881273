use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::error::{Error, silence};
use crate::ffi::{RawStore, Reason};
use crate::rendezvous::Rendezvous;

/// The place where the processes meet: values by their keys (c10d's TCPStore). A key is of this meeting alone: a store that `torchrun`
/// holds outlives the processes that it restarts.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) raw: Arc<RawStore>,
    pub(crate) rendezvous: Rendezvous,
    pub(crate) prefix: String,
    timeout: Duration,
}

impl Store {
    /// Meets all others, or holds the meeting for them. All that is asked of the store has an answer or an error within `timeout`.
    ///
    /// # Errors
    /// If nobody holds the meeting, if whoever listens there does not answer, or if a process does not come; the message names it.
    pub fn open(rendezvous: &Rendezvous, timeout: Duration) -> Result<Self, Error> {
        let until = Instant::now() + timeout;
        let (host, port, serves) = (rendezvous.host.clone(), rendezvous.port, rendezvous.serves);
        // A port that is open and says nothing would keep libtorch waiting forever.
        let opened = within(timeout + Duration::from_secs(1), move || RawStore::open(&host, port, serves, timeout));
        let failed = |reason| Error::Meeting { rank: rendezvous.rank, address: rendezvous.address(), reason };
        let raw = Arc::new(opened.map_err(failed)?);
        let job = format!("c10d/{}", rendezvous.job);
        let mut store = Self { raw, rendezvous: rendezvous.clone(), prefix: job, timeout };
        store.prefix = if rendezvous.rank == 0 { store.call_all(until)? } else { store.answer(until)? };
        Ok(store)
    }

    /// Rank 0 begins a meeting with a name of its own, and waits until all have answered to it: their answers to earlier ones may
    /// still be in the store.
    fn call_all(&self, until: Instant) -> Result<String, Error> {
        let name = unique();
        self.set("meeting", name.as_bytes())?;
        let mut answers = String::new();
        for from in 1..self.rendezvous.size {
            loop {
                let answer = self.fetch(&format!("answer/{from}"), left(until));
                let answer = answer.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                match answer {
                    Ok(answer) if answer.starts_with(&name) => {
                        answers += &answer;
                        break;
                    }
                    Ok(_) if Instant::now() < until => thread::sleep(PAUSE),
                    _ => {
                        let problem = format!("rank {from} did not come within {} s", self.timeout.as_secs_f64());
                        self.set(&format!("begins/{name}"), format!("{MISSING}{problem}").as_bytes())?;
                        return Err(self.lost(problem));
                    }
                }
            }
        }
        self.set(&format!("begins/{name}"), answers.as_bytes())?;
        Ok(format!("{}/{name}", self.prefix))
    }

    /// The others answer to the newest meeting, until it begins with their own answer.
    fn answer(&self, until: Instant) -> Result<String, Error> {
        let (own, mut answered) = (unique(), String::new());
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        while Instant::now() < until {
            let name = text(self.get("meeting", left(until))?);
            let begins = format!("begins/{name}");
            if name != answered {
                if self.check(&begins, left(until)).map_err(|reason| self.lost(reason))? {
                    thread::sleep(PAUSE); // an earlier one
                    continue;
                }
                self.set(&format!("answer/{}", self.rendezvous.rank), format!("{name} {own};").as_bytes())?;
                answered = name.clone();
            }
            match self.fetch(&begins, left(until).min(10 * PAUSE)).map(text) {
                Ok(answers) if answers.contains(&own) => return Ok(format!("{}/{name}", self.prefix)),
                Ok(answers) if answers.starts_with(MISSING) => {
                    return Err(self.lost(answers.trim_start_matches(MISSING).to_owned()));
                }
                _ => thread::sleep(PAUSE),
            }
        }
        Err(self.lost(format!("rank 0 did not come within {} s", self.timeout.as_secs_f64())))
    }

    /// Puts a value where every process finds it.
    ///
    /// # Errors
    /// If the store is gone.
    pub fn set(&self, key: &str, bytes: &[u8]) -> Result<(), Error> {
        let (raw, key, bytes) = (Arc::clone(&self.raw), self.key(key), bytes.to_vec());
        within(self.timeout, move || raw.set(&key, &bytes)).map_err(|reason| self.lost(reason))
    }

    /// A value; waits for one that is not there yet.
    ///
    /// # Errors
    /// If it does not come within `timeout`, or if the store is gone.
    pub fn get(&self, key: &str, timeout: Duration) -> Result<Vec<u8>, Error> {
        self.fetch(key, timeout).map_err(|reason| self.lost(reason))
    }

    /// Shares `bytes` with all others: what each rank shared under this name, in order. A name is good for one use.
    ///
    /// # Errors
    /// If a process does not share its own within the timeout; the message names its rank.
    pub fn share(&self, name: &str, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        self.set(&format!("{name}/{}", self.rendezvous.rank), bytes)?;
        let until = Instant::now() + self.timeout;
        let theirs = |from: usize| {
            let missing = |reason| {
                let what = name.to_owned();
                Error::Missing { rank: self.rendezvous.rank, what, from, reason }
            };
            self.fetch(&format!("{name}/{from}"), left(until)).map_err(missing)
        };
        (0..self.rendezvous.size).map(theirs).collect()
    }

    /// Whether a value is there; this waits for no other process.
    ///
    /// # Errors
    /// If the store does not answer within `wait`.
    pub fn has(&self, key: &str, wait: Duration) -> Result<bool, Error> {
        self.check(key, wait).map_err(|reason| self.lost(reason))
    }

    /// Answers roll calls from a thread of its own, which ends with the store: a process that computes is there, too.
    pub fn answer_roll_calls(&self) {
        let (raw, call, own) = (Arc::downgrade(&self.raw), self.key(ROLL), self.key(&here(self.rendezvous.rank)));
        thread::spawn(move || {
            while let Some(raw) = raw.upgrade() {
                if raw.check(&call).unwrap_or(false) {
                    let _ = raw.set(&own, b"here");
                    break;
                }
                drop(raw);
                thread::sleep(BETWEEN);
            }
        });
    }

    /// Calls the roll, after a failure: those who do not answer within `wait` (see [`Store::answer_roll_calls`]). This process alone
    /// where it is cut off from the store itself.
    pub fn absent(&self, wait: Duration) -> Vec<usize> {
        let until = Instant::now() + wait;
        let (raw, call, own) = (Arc::clone(&self.raw), self.key(ROLL), self.key(&here(self.rendezvous.rank)));
        let called = within(wait, move || {
            raw.set(&own, b"here")?;
            raw.set(&call, b"")?;
            raw.check(&own)
        });
        if called != Ok(true) {
            return vec![self.rendezvous.rank];
        }
        let is_absent = |rank: &usize| loop {
            match self.check(&here(*rank), wait) {
                Ok(true) => break false,
                Ok(false) if Instant::now() < until => thread::sleep(PAUSE),
                _ => break true,
            }
        };
        (0..self.rendezvous.size).filter(is_absent).collect()
    }

    /// Puts a value where processes find it that are started again later, as long as `torchrun` holds the store.
    ///
    /// # Errors
    /// If the store is gone.
    pub fn keep(&self, key: &str, bytes: &[u8]) -> Result<(), Error> {
        let (raw, key, bytes) = (Arc::clone(&self.raw), self.kept_key(key), bytes.to_vec());
        within(self.timeout, move || raw.set(&key, &bytes)).map_err(|reason| self.lost(reason))
    }

    /// What was kept by this start or by an earlier one, if anything was.
    ///
    /// # Errors
    /// If the store is gone.
    pub fn kept(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let (raw, key, timeout) = (Arc::clone(&self.raw), self.kept_key(key), self.timeout);
        let found = move || if raw.check(&key)? { raw.get(&key, timeout).map(Some) } else { Ok(None) };
        within(self.timeout, found).map_err(|reason| self.lost(reason))
    }

    fn kept_key(&self, key: &str) -> String {
        format!("c10d/{}/kept/{key}", self.rendezvous.job)
    }

    fn check(&self, key: &str, wait: Duration) -> Result<bool, Reason> {
        let (raw, key) = (Arc::clone(&self.raw), self.key(key));
        within(wait, move || raw.check(&key))
    }

    fn fetch(&self, key: &str, timeout: Duration) -> Result<Vec<u8>, Reason> {
        let (raw, key) = (Arc::clone(&self.raw), self.key(key));
        within(timeout + Duration::from_secs(1), move || raw.get(&key, timeout))
    }

    fn key(&self, key: &str) -> String {
        format!("{}/{key}", self.prefix)
    }

    fn lost(&self, reason: Reason) -> Error {
        Error::Meeting { rank: self.rendezvous.rank, address: self.rendezvous.address(), reason }
    }
}

/// Between two looks at a key that is not yet as it must be.
const PAUSE: Duration = Duration::from_millis(20);
/// What stands in the place of answers where not all came.
const MISSING: &str = "missing: ";

/// The key of a roll call.
const ROLL: &str = "roll";
/// Between two looks at whether the roll is called.
const BETWEEN: Duration = Duration::from_millis(300);

/// Where a process answers to a roll call.
fn here(rank: usize) -> String {
    format!("{ROLL}/{rank}")
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

/// A word that no other process has.
fn unique() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:x}", now.as_nanos(), std::process::id())
}

/// What `work` gives, or that it did not end in time; its thread is then left to itself.
pub(crate) fn within<T: Send + 'static>(
    timeout: Duration,
    work: impl FnOnce() -> Result<T, Reason> + Send + 'static,
) -> Result<T, Reason> {
    let (done, result) = channel();
    thread::spawn(move || done.send(work()));
    result.recv_timeout(timeout).unwrap_or_else(|_| Err(silence(timeout)))
}
