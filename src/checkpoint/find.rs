//! Which checkpoint is meant when none, or an old path, is given; and which old ones to drop.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::fs::{FileError, link_atomically};

/// Checkpoints `ckpt_step_N.pt` that a run keeps.
const KEEP: usize = 3;

/// The checkpoint after the last step.
pub const FINAL: &str = "final.pt";
/// That of the best validation loss.
pub const BEST: &str = "best.pt";

/// The name of the checkpoint after `step` steps.
pub fn step_file(step: i64) -> String {
    format!("ckpt_step_{step}.pt")
}

/// The step in `ckpt_step_N.pt`.
fn step_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix("ckpt_step_")?.strip_suffix(".pt")?.parse().ok()
}

/// The `ckpt_step_N.pt` of a run directory, by number: step 10000 comes after 9000.
fn step_checkpoints(run_dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = entries(run_dir).filter_map(|path| Some((step_of(&path)?, path))).collect();
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
}

/// Removes all but the newest three `ckpt_step_N.pt` up to step `done` of a run: later ones are of a run that went further from
/// here, and stay. A file that cannot be removed stays too.
pub fn prune(run_dir: &Path, done: u64) {
    let mut found = step_checkpoints(run_dir);
    found.retain(|path| step_of(path).is_some_and(|step| step <= done));
    for old in &found[..found.len().saturating_sub(KEEP)] {
        let _ = fs::remove_file(old);
    }
}

/// The checkpoint to use from a run: the newer of the final one and that of the highest step, else the best.
fn of_run(run_dir: &Path) -> Option<PathBuf> {
    let existing = |name: &str| Some(run_dir.join(name)).filter(|path| path.is_file());
    let newest = step_checkpoints(run_dir).pop().into_iter().chain(existing(FINAL)).max_by_key(|path| modified(path));
    newest.or_else(|| existing(BEST))
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Run directories under `out_dir` that `pick` finds a checkpoint in, the newest file first.
fn newest_by(out_dir: &Path, pick: impl Fn(&Path) -> Option<PathBuf>) -> Option<PathBuf> {
    let runs = entries(out_dir).filter(|path| path.is_dir());
    runs.filter_map(|run| pick(&run)).max_by_key(|path| (modified(path), path.clone()))
}

/// The newest checkpoint under `out_dir`.
pub fn newest(out_dir: &Path) -> Option<PathBuf> {
    newest_by(out_dir, of_run)
}

/// `out_ebt/final.pt`, as the original's README writes it, means the newest run's file of that name.
pub fn in_newest_run(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?;
    newest_by(path.parent()?, |run| Some(run.join(name)).filter(|path| path.is_file()))
}

/// Makes `out_dir/final.pt` lead to the `final.pt` of a run in it that has just ended well.
pub fn link_final(run_dir: &Path) -> Result<(), FileError> {
    match (run_dir.parent(), run_dir.file_name()) {
        (Some(out_dir), Some(run)) => link_atomically(&out_dir.join(FINAL), &Path::new(run).join(FINAL)),
        _ => Ok(()),
    }
}

/// The file in a run that `out_dir/final.pt` leads to; any other path as it is.
pub fn resolved(path: &Path) -> PathBuf {
    match (fs::read_link(path), path.parent()) {
        (Ok(target), Some(out_dir)) => out_dir.join(target),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pruning_goes_by_number() {
        let dir = tempfile::tempdir().unwrap();
        for step in [9000, 10000, 8000, 11000, 500] {
            fs::write(dir.path().join(format!("ckpt_step_{step}.pt")), "").unwrap();
        }
        fs::write(dir.path().join("final.pt"), "").unwrap();
        prune(dir.path(), 10000);
        let left: Vec<_> = step_checkpoints(dir.path()).iter().filter_map(|p| step_of(p)).collect();
        assert_eq!(left, [8000, 9000, 10000, 11000], "the later one is not this run's");
        assert!(dir.path().join("final.pt").exists());
    }

    #[test]
    fn the_newest_run_with_a_checkpoint_is_meant() {
        let dir = tempfile::tempdir().unwrap();
        for (run, file) in [("run_1", "final.pt"), ("run_2", "ckpt_step_9000.pt"), ("run_2", "ckpt_step_10000.pt")] {
            fs::create_dir_all(dir.path().join(run)).unwrap();
            fs::write(dir.path().join(run).join(file), "").unwrap();
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        fs::create_dir_all(dir.path().join("run_3")).unwrap();
        assert_eq!(newest(dir.path()), Some(dir.path().join("run_2/ckpt_step_10000.pt")));
        assert_eq!(in_newest_run(&dir.path().join("final.pt")), Some(dir.path().join("run_1/final.pt")));
        assert_eq!(in_newest_run(&dir.path().join("other.pt")), None);
    }
}
