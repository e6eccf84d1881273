//! A run's directory: made, found again, and locked, so that two trainers never write to one.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::config::{Config, to_yaml};
use crate::error::Error;
use crate::fs::{FileError, make_folder, make_new, parent, write_atomically};

/// The file whose lock says that a trainer is at work. It stays: removed, it could be locked twice.
const LOCK: &str = ".lock";

/// A run's directory. The system gives its lock back when this is dropped and when the process ends, however it ends.
#[derive(Debug)]
pub struct RunDir {
    /// Where it is
    pub path: PathBuf,
    /// The lock, or why this file system has none
    pub lock: Result<File, String>,
    new: bool,
}

impl RunDir {
    /// The directory of this checkpoint, where that is a run's own under `out_dir`; else a new one. A run `at` a place is there and
    /// nowhere else.
    pub fn open(checkpoint: Option<&Path>, out_dir: &Path, at: Option<&Path>) -> Result<Self, Error> {
        let runs = at.and_then(parent).unwrap_or(out_dir);
        let own = checkpoint.and_then(|checkpoint| of_checkpoint(checkpoint, runs));
        match (own.filter(|own| at.is_none_or(|at| own.file_name() == at.file_name())), at) {
            (Some(own), _) => Self::take_over(own),
            (None, Some(at)) => Self::create_at(at),
            (None, None) => Self::create(out_dir),
        }
    }

    /// Makes `run_YYYYMMDD_HHMMSS` under `out_dir`; a second run in the same second gets `_2`, and so on.
    pub fn create(out_dir: &Path) -> Result<Self, Error> {
        make_folder(out_dir)?;
        sweep_others(out_dir);
        let name = chrono::Local::now().format("run_%Y%m%d_%H%M%S").to_string();
        let (path, ()) = make_new(out_dir, &name, "", |path| fs::create_dir(path))?;
        Self::begin(path)
    }

    /// Makes this directory, which must not be there yet.
    fn create_at(path: &Path) -> Result<Self, Error> {
        if let Some(parent) = parent(path) {
            make_folder(parent)?;
        }
        fs::create_dir(path).map_err(FileError::at(path))?;
        Self::begin(path.to_owned())
    }

    /// Locks a directory that was made a moment ago.
    fn begin(path: PathBuf) -> Result<Self, Error> {
        match lock(&path) {
            Ok(lock) => Ok(Self { path, lock, new: true }),
            Err(error) => {
                let _ = fs::remove_dir_all(&path);
                Err(error)
            }
        }
    }

    /// Takes a run's directory over, unless somebody is at work there.
    pub fn take_over(path: PathBuf) -> Result<Self, Error> {
        let lock = lock(&path)?;
        if lock.is_ok() {
            remove(&leftovers(&path));
        }
        Ok(Self { path, lock, new: false })
    }

    /// The directory that rank 0 has: the other processes write nothing.
    pub fn of_another(path: PathBuf) -> Self {
        Self { path, lock: Err("rank 0 has it".to_owned()), new: false }
    }

    /// Writes down what the run was asked for.
    pub fn describe(&self, config: &Config, overrides: &[String]) -> Result<(), FileError> {
        write_atomically(&self.path.join("config.yaml"), to_yaml(config).as_bytes())?;
        write_atomically(&self.path.join("overrides.yaml"), to_yaml(&overrides).as_bytes())
    }

    /// Where the run writes, in lines for people.
    pub fn announce(&self) -> Vec<String> {
        let mut lines = vec![format!("Run directory: {}", self.path.display())];
        if let Err(reason) = &self.lock {
            lines.push(format!("It cannot be locked ({reason}): nothing keeps a second train from writing there"));
        }
        lines
    }

    /// Removes a directory that was made in vain.
    pub fn abandon(self) {
        if self.new {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// The directory of a checkpoint, where it is a run's own under `out_dir`.
fn of_checkpoint(checkpoint: &Path, out_dir: &Path) -> Option<PathBuf> {
    let dir = checkpoint.parent()?;
    let runs = dir.canonicalize().ok()?.parent()?.to_owned();
    (dir.join("metrics.jsonl").is_file() && out_dir.canonicalize().ok()? == runs).then(|| dir.to_owned())
}

/// Locks a directory's lock file and writes into it who has it; an error where another process does.
fn lock(dir: &Path) -> Result<Result<File, String>, Error> {
    let path = dir.join(LOCK);
    let open = File::options().create(true).read(true).write(true).truncate(false).open(&path);
    let mut file = open.map_err(FileError::at(&path))?;
    match file.try_lock() {
        Ok(()) => {
            // For the message of whoever comes next; the lock does not depend on it.
            let holder = format!("process {} on {}", std::process::id(), gethostname::gethostname().display());
            let _ = file.set_len(0).and_then(|()| file.write_all(holder.as_bytes()));
            Ok(Ok(file))
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            Err(Error::RunInUse { dir: dir.to_owned(), holder })
        }
        Err(TryLockError::Error(reason)) => Ok(Err(reason.to_string())),
    }
}

/// Removes what killed processes left in the runs of `out_dir` that nobody is at work in.
fn sweep_others(out_dir: &Path) {
    for run in fs::read_dir(out_dir).into_iter().flatten().flatten() {
        let left = leftovers(&run.path());
        // The lock is tried only where there is something to remove: meanwhile, whoever starts there would be refused.
        if !left.is_empty()
            && let Ok(lock) = File::open(run.path().join(LOCK))
            && lock.try_lock().is_ok()
        {
            remove(&left);
        }
    }
}

/// What a process is writing in a run, or was when it died (see [`crate::fs::write_atomically`]): who has the lock may remove it.
fn leftovers(dir: &Path) -> Vec<PathBuf> {
    let is_one = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        let stem = name.and_then(|name| name.strip_suffix(".tmp"));
        let number = stem.and_then(|stem| stem.rsplit('.').next()).unwrap_or_default();
        !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
    };
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).filter(is_one).collect()
}

fn remove(files: &[PathBuf]) {
    files.iter().for_each(|file| drop(fs::remove_file(file)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_a_dead_ones_lock_is_nobodys() {
        let dir = tempfile::tempdir().unwrap();
        let first = RunDir::create(dir.path()).unwrap();
        let refused = RunDir::take_over(first.path.clone()).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        let path = first.path.clone();
        drop(first);
        for file in ["a.pt.12.0.tmp", "config.yaml.12.tmp", "mine.tmp", "notes.v2.tmp"] {
            fs::write(path.join(file), "").unwrap();
        }
        let second = RunDir::take_over(path).unwrap();
        assert!(second.lock.is_ok());
        let mut left: Vec<_> = fs::read_dir(&second.path).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".lock", "mine.tmp", "notes.v2.tmp"]);
    }
}
