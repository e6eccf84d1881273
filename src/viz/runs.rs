//! Which runs are meant, and what they are called beside one another.

use std::path::{Path, PathBuf};

use crate::config::VizConfig;
use crate::error::Error;

/// The run directories that are meant: those of `runs`, else that of the checkpoint, else the newest under `out_dir`.
pub fn asked_for(config: &VizConfig, checkpoints: Option<&Path>) -> Result<Vec<PathBuf>, Error> {
    if let Some(runs) = &config.runs {
        let list = runs.trim_matches(['[', ']']).split(',').map(str::trim).filter(|run| !run.is_empty());
        let dirs: Vec<PathBuf> = list.map(PathBuf::from).collect();
        return match dirs.iter().find(|dir| !metrics_of(dir).is_file()) {
            Some(dir) => Err(Error::NoRun { dir: dir.clone() }),
            None if dirs.is_empty() => Err(Error::Request("runs= names no directory; runs=out_ebt/run_…".to_owned())),
            None => Ok(dirs),
        };
    }
    let given = config.from.checkpoint.as_deref().and_then(Path::parent);
    let own = [checkpoints, given].into_iter().flatten().find(|dir| metrics_of(dir).is_file());
    let modified = |dir: &PathBuf| std::fs::metadata(metrics_of(dir)).and_then(|m| m.modified()).ok();
    let entries = std::fs::read_dir(&config.from.out_dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = || entries.filter(|dir| metrics_of(dir).is_file()).max_by_key(|dir| (modified(dir), dir.clone()));
    match (own, config.from.checkpoint.is_some()) {
        (Some(dir), _) => Ok(vec![dir.to_owned()]),
        // Another run's curves beside this checkpoint's pictures would mislead.
        (None, true) => Err(Error::NoRun { dir: given.unwrap_or(Path::new(".")).to_owned() }),
        (None, false) => newest().map(|dir| vec![dir]).ok_or_else(|| Error::NoRun { dir: config.from.out_dir.clone() }),
    }
}

/// The rows that a run has logged.
pub fn metrics_of(dir: &Path) -> PathBuf {
    dir.join("metrics.jsonl")
}

/// Names that tell the runs apart: the last part of each path, with the part before it where that is needed.
pub fn names_of(dirs: &[PathBuf]) -> Vec<String> {
    let tail = |dir: &PathBuf, n: usize| {
        let parts: Vec<_> = dir.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        parts[parts.len().saturating_sub(n)..].join("/")
    };
    let depth = dirs.iter().map(|dir| dir.iter().count()).max().unwrap_or(1);
    let distinct = |n: &usize| {
        let mut names: Vec<String> = dirs.iter().map(|dir| tail(dir, *n)).collect();
        names.sort();
        names.dedup();
        names.len() == dirs.len()
    };
    let n = (1..=depth).find(distinct).unwrap_or(depth);
    dirs.iter().map(|dir| tail(dir, n)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_told_apart() {
        let names = |dirs: &[&str]| names_of(&dirs.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(names(&["a/run_1", "b/run_2"]), ["run_1", "run_2"]);
        assert_eq!(names(&["a/run_1", "b/run_1"]), ["a/run_1", "b/run_1"]);
    }
}
