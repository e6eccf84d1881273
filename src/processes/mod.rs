//! The processes that train one model together. `torchrun` starts them, on one host or on several, as for every PyTorch job.
//!
//! Each holds the whole model, and takes a part of every batch. What they must have in common goes through this room: the mean of
//! their gradients, what is logged, and whether a step is at fault. A process that is alone is spared all of it.
//!
//! What they do together is called from deep inside a computation, and does not fail there. The first failure is kept, what follows
//! does nothing, and [`Processes::check`] returns it before anything of it is written or updates the weights.

mod error;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use c10d::{Group, Rendezvous, Store};
use serde_json::Value;
use tch::{Device, Tensor, no_grad};

pub use error::ProcessesError;

/// Seconds in which processes must answer each other, where nothing else is said.
pub const TIMEOUT: i64 = 300;
/// How long survivors wait for each other before they say who is gone.
const ROLL_CALL: Duration = Duration::from_secs(3);
/// Between two looks at whether somebody has failed.
const LOOK: Duration = Duration::from_millis(500);
/// Where a process says why it ends: its rank, a blank, and its message.
const FAULT: &str = "fault";
/// Between two looks at whether all have left.
const PAUSE: Duration = Duration::from_millis(20);
/// Where the run's directory or checkpoint stands for those who are started again.
const RUN: &str = "run";

/// Tries whether processes can send tensors on the CPU to each other: this one sends some to itself.
///
/// # Errors
/// They cannot.
pub fn try_gloo() -> Result<(), ProcessesError> {
    let timeout = Duration::from_secs(10);
    let (host, job) = ("127.0.0.1".to_owned(), "trial".to_owned());
    let alone =
        Rendezvous { rank: 0, size: 1, local_rank: 0, local_size: 1, host, port: 0, serves: true, job, restarts: 0 };
    let group = Group::join(&Store::open(&alone, timeout)?, timeout, false)?;
    Ok(group.sum(&Tensor::from_slice(&[1.0f32]))?)
}

/// Looks for what sends tensors on GPUs.
///
/// # Errors
/// It is not there; the message says why.
pub fn try_nccl() -> Result<(), ProcessesError> {
    Ok(c10d::nccl()?)
}

/// The processes of one training, as one of them sees them. A clone stands for the same ones.
#[derive(Debug, Clone, Default)]
pub struct Processes(Option<Arc<Joined>>);

/// More than one.
#[derive(Debug)]
struct Joined {
    rendezvous: Rendezvous,
    store: Store,
    timeout: Duration,
    /// By rank
    hosts: Vec<String>,
    restarted: bool,
    group: Mutex<Option<Group>>,
    failure: Mutex<Option<ProcessesError>>,
    shared: AtomicU64,
    left: AtomicBool,
}

impl Processes {
    /// One process.
    pub fn alone() -> Self {
        Self(None)
    }

    /// Meets the others, as `torchrun` says in the environment; alone where it started no others.
    ///
    /// # Errors
    /// The others do not come within `timeout`.
    pub fn meet(timeout: Duration) -> Result<Self, ProcessesError> {
        let Some(rendezvous) = Rendezvous::from_env()?.filter(|rendezvous| rendezvous.size > 1) else {
            return Ok(Self::alone());
        };
        let store = Store::open(&rendezvous, timeout)?;
        store.answer_roll_calls();
        let host = gethostname::gethostname().to_string_lossy().into_owned();
        // A host that comes back counts its restarts from 0.
        let all = store.share("name of its host", format!("{} {host}", rendezvous.restarts).as_bytes())?;
        let all: Vec<String> = all.into_iter().map(text).collect();
        let halves: Vec<(&str, &str)> = all.iter().map(|both| both.split_once(' ').unwrap_or(("0", both))).collect();
        let (hosts, restarted) = (
            halves.iter().map(|(_, host)| (*host).to_owned()).collect(),
            halves.iter().any(|(restarts, _)| *restarts != "0"),
        );
        let (group, failure, shared, left) = Default::default();
        Ok(Self(Some(Arc::new(Joined { rendezvous, store, timeout, hosts, restarted, group, failure, shared, left }))))
    }

    /// This process among all, from 0.
    pub fn rank(&self) -> usize {
        self.0.as_ref().map_or(0, |joined| joined.rendezvous.rank)
    }

    /// How many there are.
    pub fn size(&self) -> usize {
        self.0.as_ref().map_or(1, |joined| joined.rendezvous.size)
    }

    /// Whether this one writes and prints for all.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// This process among those of its host, which is the index of its GPU; and how many the host has.
    pub fn local(&self) -> (usize, usize) {
        self.0.as_ref().map_or((0, 1), |joined| (joined.rendezvous.local_rank, joined.rendezvous.local_size))
    }

    /// The names of the hosts, by rank.
    pub fn hosts(&self) -> &[String] {
        self.0.as_ref().map_or(&[], |joined| &joined.hosts)
    }

    /// This process's part of `n` things: the first, and how many.
    pub fn part(&self, n: usize) -> (usize, usize) {
        let own = n / self.size();
        (own * self.rank(), own)
    }

    /// What rank 0 has. This and [`Processes::agree`] work before the processes have joined.
    ///
    /// # Errors
    /// Rank 0 has ended, or does not answer.
    pub fn from_first(&self, own: Vec<u8>) -> Result<Vec<u8>, ProcessesError> {
        let Some(joined) = &self.0 else { return Ok(own) };
        let key = joined.new_key();
        if self.is_first() {
            joined.store.set(&key, &own)?;
            return Ok(own);
        }
        joined.wait_for(0, &key)
    }

    /// Compares what must be alike.
    ///
    /// # Errors
    /// Something in it is another on a process than on rank 0; or a process has ended, or does not answer.
    pub fn agree(&self, own: &Value) -> Result<(), ProcessesError> {
        let Some(joined) = &self.0 else { return Ok(()) };
        let key = joined.new_key();
        joined.store.set(&format!("{key}/{}", self.rank()), own.to_string().as_bytes())?;
        let value = |rank: usize| {
            let bytes = joined.wait_for(rank, &format!("{key}/{rank}"))?;
            Ok::<Value, ProcessesError>(serde_json::from_slice(&bytes).unwrap_or_default())
        };
        let first = value(0)?;
        for rank in 1..self.size() {
            if let Some((what, ours, theirs)) = difference("", &first, &value(rank)?) {
                let host = joined.hosts[rank].clone();
                return Err(ProcessesError::Unlike { rank, host, what, theirs, ours });
            }
        }
        Ok(())
    }

    /// Connects all with each other, unless that was done before. Tensors on a GPU are then sent by NCCL.
    ///
    /// # Errors
    /// A connection cannot be made.
    pub fn join(&self, device: Device) -> Result<(), ProcessesError> {
        let Some(joined) = &self.0 else { return Ok(()) };
        let mut group = locked(&joined.group);
        if group.is_none() {
            let joins = Group::join(&joined.store, joined.timeout, device.is_cuda());
            *group = Some(joins.map_err(|error| match error {
                c10d::Error::NoNccl(_) => ProcessesError::Between(error), // nobody else is to blame
                error => joined.explain(error),
            })?);
        }
        Ok(())
    }

    /// Puts the mean of all processes' tensors into each of them.
    pub fn average(&self, tensor: &Tensor) {
        self.together(|group| group.average(tensor));
    }

    /// Puts the sum of all processes' tensors into each of them.
    pub fn sum(&self, tensor: &Tensor) {
        self.together(|group| group.sum(tensor));
    }

    /// Puts rank 0's tensor into that of the others.
    pub fn broadcast(&self, tensor: &Tensor) {
        self.together(|group| group.broadcast(tensor, 0));
    }

    /// What rank 0 has drawn, for all; the others have drawn it in vain.
    pub fn alike(&self, drawn: Tensor) -> Tensor {
        if drawn.numel() > 0 {
            self.broadcast(&drawn);
        }
        drawn
    }

    /// Replaces the bytes by those of rank `root`.
    pub fn broadcast_bytes(&self, bytes: &mut Vec<u8>, root: usize) {
        self.together(|group| group.broadcast_bytes(bytes, root));
    }

    /// Puts together what all processes hold: (n, …) each → (N · n, …), in the order of their ranks.
    pub fn gather(&self, part: &Tensor) -> Tensor {
        let index = Tensor::arange(part.size()[0] * self.size() as i64, (tch::Kind::Int64, Device::Cpu));
        self.rows(part, &index)
    }

    /// Rows `index` (m, on the CPU) of what all processes hold: (n, …) each → (m, …), without a gradient.
    pub fn rows(&self, part: &Tensor, index: &Tensor) -> Tensor {
        let (places, own) = self.own(index, part.size()[0]);
        let own = part.detach().index_select(0, &own.to_device(part.device()));
        self.placed(&own, &places, index.size()[0])
    }

    /// What this process holds of the rows `index` (m, on the CPU) of all, where each has `n` of them: places in the index, and rows.
    pub fn own(&self, index: &Tensor, n: i64) -> (Tensor, Tensor) {
        let start = n * self.rank() as i64;
        let places = index.ge(start).logical_and(&index.lt(start + n)).nonzero().squeeze_dim(1);
        let rows = index.index_select(0, &places) - start;
        (places, rows)
    }

    /// What each process holds of `m` things, at its `places`, put together: → (m, …).
    pub fn placed(&self, own: &Tensor, places: &Tensor, m: i64) -> Tensor {
        if self.0.is_none() {
            return own.shallow_clone();
        }
        let mut shape = own.size();
        shape[0] = m;
        no_grad(|| {
            // A sum with zeros is exact.
            let all = Tensor::zeros(shape, (own.kind(), own.device()));
            let all = all.index_copy(0, &places.to_device(own.device()), own);
            self.sum(&all);
            all
        })
    }

    /// Whether a step is at fault on any of them, in words; and the largest `stop`.
    ///
    /// # Errors
    /// A process is gone.
    pub fn decide(&self, fault: Option<String>, stop: usize) -> Result<(Option<String>, usize), ProcessesError> {
        if self.0.is_none() {
            return Ok((fault, stop));
        }
        // The lowest rank has the largest number.
        let mut both = [if fault.is_some() { self.size() - self.rank() } else { 0 } as i64, stop as i64];
        self.together(|group| group.max(&mut both));
        self.check()?;
        let stop = both[1] as usize;
        if both[0] == 0 {
            return Ok((None, stop));
        }
        let faulty = self.size() - both[0] as usize;
        let mut words = fault.unwrap_or_default().into_bytes();
        self.broadcast_bytes(&mut words, faulty);
        self.check()?;
        Ok((Some(format!("{} on rank {faulty}", text(words))), stop))
    }

    /// Whether a number is the same on all of them.
    ///
    /// # Errors
    /// A process is gone.
    pub fn is_alike(&self, number: i64) -> Result<bool, ProcessesError> {
        let mut both = [number, number.wrapping_neg()];
        self.together(|group| group.max(&mut both));
        self.check()?;
        Ok(both[0] == both[1].wrapping_neg())
    }

    /// The first failure, if there was one.
    ///
    /// # Errors
    /// There was.
    pub fn check(&self) -> Result<(), ProcessesError> {
        let failure = self.0.as_ref().and_then(|joined| locked(&joined.failure).clone());
        failure.map_or(Ok(()), Err)
    }

    /// Waits for all.
    ///
    /// # Errors
    /// A process has ended, or does not answer.
    pub fn barrier(&self) -> Result<(), ProcessesError> {
        self.together(Group::barrier);
        self.check()
    }

    /// Ends the work of a process that has failed: the others hear of it, and of the reason where it was its own.
    pub fn leave(&self, reason: Option<&str>) {
        let Some(joined) = self.0.as_ref().filter(|joined| !joined.left.swap(true, Ordering::Relaxed)) else { return };
        if matches!(self.check(), Err(ProcessesError::CutOff { .. })) {
            return;
        }
        if let Some(reason) = reason {
            let _ = joined.store.set(FAULT, format!("{} {reason}", self.rank()).as_bytes());
        }
        *locked(&joined.group) = None; // whoever waits for this process hears at once that it is gone
        // A store goes with the process that holds it: not before the others have read why.
        let last = |rank: usize| format!("leaving/{rank}");
        if !joined.rendezvous.serves {
            let _ = joined.store.set(&last(self.rank()), &[]);
            return;
        }
        let until = Instant::now() + ROLL_CALL;
        for rank in 1..self.size() {
            while Instant::now() < until && !joined.store.has(&last(rank), ROLL_CALL).unwrap_or(true) {
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// Notes the run's directory, or its newest checkpoint, for processes that `torchrun` may start in place of these.
    ///
    /// # Errors
    /// The store is gone.
    pub fn note_run(&self, path: &Path) -> Result<(), ProcessesError> {
        let Some(joined) = &self.0 else { return Ok(()) };
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Ok(joined.store.keep(RUN, path.as_os_str().as_encoded_bytes())?)
    }

    /// What was noted last, where `torchrun` started these processes in place of others.
    ///
    /// # Errors
    /// The store is gone.
    pub fn noted_run(&self) -> Result<Option<PathBuf>, ProcessesError> {
        let Some(joined) = self.0.as_ref().filter(|joined| joined.restarted) else { return Ok(None) };
        Ok(joined.store.kept(RUN)?.map(|bytes| PathBuf::from(text(bytes))))
    }

    fn together(&self, call: impl FnOnce(&Group) -> Result<(), c10d::Error>) {
        let Some(joined) = &self.0 else { return };
        let mut failure = locked(&joined.failure);
        let mut group = locked(&joined.group);
        if failure.is_none()
            && let Some(Err(error)) = group.as_ref().map(call)
        {
            *group = None; // those who wait for this process hear of it, too
            *failure = Some(joined.explain(error));
        }
    }
}

impl Joined {
    /// A name for one use, the same on all processes.
    fn new_key(&self) -> String {
        format!("shared/{}", self.shared.fetch_add(1, Ordering::Relaxed))
    }

    /// A value that `rank` sets, unless a process ends before.
    fn wait_for(&self, rank: usize, key: &str) -> Result<Vec<u8>, ProcessesError> {
        let until = Instant::now() + self.timeout;
        loop {
            match (self.store.get(key, LOOK), self.ended()) {
                (Ok(value), _) => return Ok(value),
                (Err(_), Some(ended)) => return Err(ended),
                (Err(error), None) if Instant::now() > until => return Err(self.gone(&[rank], &error)),
                _ => {}
            }
        }
    }

    /// Who is to blame for a failure.
    fn explain(&self, error: c10d::Error) -> ProcessesError {
        if let Some(ended) = self.ended() {
            return ended;
        }
        let absent = self.store.absent(ROLL_CALL);
        if absent == [self.rendezvous.rank] {
            return ProcessesError::CutOff { address: self.rendezvous.address(), reason: reason(&error) };
        }
        // One that is there may have said meanwhile why it ends.
        self.ended().unwrap_or_else(|| if absent.is_empty() { error.into() } else { self.gone(&absent, &error) })
    }

    /// Who has said why it ends.
    fn ended(&self) -> Option<ProcessesError> {
        if !self.store.has(FAULT, ROLL_CALL).ok()? {
            return None;
        }
        let said = text(self.store.get(FAULT, ROLL_CALL).ok()?);
        let (rank, message) = said.split_once(' ')?;
        Some(ProcessesError::Ended { rank: rank.to_owned(), message: message.to_owned() })
    }

    fn gone(&self, ranks: &[usize], error: &c10d::Error) -> ProcessesError {
        let named: Vec<String> = ranks.iter().map(|&rank| format!("rank {rank} on {}", self.hosts[rank])).collect();
        ProcessesError::Gone { ranks: named.join(" and "), reason: reason(error) }
    }
}

/// What went wrong, without this process's own rank.
fn reason(error: &c10d::Error) -> String {
    match error {
        c10d::Error::Collective { what, reason, .. } => format!("{what} failed: {reason}"),
        other => other.to_string(),
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first place where two trees differ: its path, and both values.
fn difference(path: &str, ours: &Value, theirs: &Value) -> Option<(String, String, String)> {
    let (Value::Object(a), Value::Object(b)) = (ours, theirs) else {
        return (ours != theirs)
            .then(|| (path.trim_start_matches('.').to_owned(), ours.to_string(), theirs.to_string()));
    };
    let at = |key: &str| {
        difference(&format!("{path}.{key}"), a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null))
    };
    a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))).find_map(|key| at(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_alone_has_everything() {
        let alone = Processes::alone();
        assert_eq!((alone.rank(), alone.size(), alone.is_first(), alone.part(12)), (0, 1, true, (0, 12)));
        let part = Tensor::from_slice(&[1.0, 2.0, 3.0]);
        assert_eq!(alone.gather(&part), part);
        assert_eq!(alone.rows(&part, &Tensor::from_slice(&[2i64, 0, 2])), Tensor::from_slice(&[3.0, 1.0, 3.0]));
        assert_eq!(alone.decide(Some("a fault".to_owned()), 2), Ok((Some("a fault".to_owned()), 2)));
    }

    #[test]
    fn what_differs_is_found() {
        let tree = |lr: f64, path: Option<&str>| serde_json::json!({"train": {"lr": lr, "path": path}, "version": "1"});
        assert_eq!(difference("", &tree(0.1, None), &tree(0.1, None)), None);
        let found = difference("", &tree(0.1, Some("a")), &tree(0.2, Some("a"))).unwrap();
        assert_eq!(found, ("train.lr".to_owned(), "0.1".to_owned(), "0.2".to_owned()));
        assert!(difference("", &serde_json::json!({}), &tree(0.1, None)).is_some());
    }
}
