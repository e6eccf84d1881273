use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, silence};
use crate::ffi::{RawStore, Reason};
use crate::rendezvous::Rendezvous;

/// The place where the processes meet: values by their keys (c10d's TCPStore). A key is of this start of the job alone.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) raw: Arc<RawStore>,
    pub(crate) rendezvous: Rendezvous,
    timeout: Duration,
}

impl Store {
    /// Meets the others, or holds the meeting for them. All that is asked of the store has an answer or an error within `timeout`.
    ///
    /// # Errors
    /// If nobody holds the meeting, or if whoever listens there does not answer.
    pub fn open(rendezvous: &Rendezvous, timeout: Duration) -> Result<Self, Error> {
        let (host, port, serves) = (rendezvous.host.clone(), rendezvous.port, rendezvous.serves);
        // A port that is open and says nothing would keep libtorch waiting forever.
        let opened = within(timeout + Duration::from_secs(1), move || RawStore::open(&host, port, serves, timeout));
        let failed = |reason| Error::Meeting { rank: rendezvous.rank, address: rendezvous.address(), reason };
        Ok(Self { raw: Arc::new(opened.map_err(failed)?), rendezvous: rendezvous.clone(), timeout })
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
            let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            let missing = |reason| {
                let what = name.to_owned();
                Error::Missing { rank: self.rendezvous.rank, what, from, reason }
            };
            self.fetch(&format!("{name}/{from}"), left).map_err(missing)
        };
        (0..self.rendezvous.size).map(theirs).collect()
    }

    fn fetch(&self, key: &str, timeout: Duration) -> Result<Vec<u8>, Reason> {
        let (raw, key) = (Arc::clone(&self.raw), self.key(key));
        within(timeout + Duration::from_secs(1), move || raw.get(&key, timeout))
    }

    fn key(&self, key: &str) -> String {
        format!("{}/{key}", self.rendezvous.prefix())
    }

    fn lost(&self, reason: Reason) -> Error {
        Error::Meeting { rank: self.rendezvous.rank, address: self.rendezvous.address(), reason }
    }
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
