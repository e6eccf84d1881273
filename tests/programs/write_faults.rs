//! A disk that refuses a write, whichever: the run stops with a line, or goes on where that is safe, and nothing whole is lost.
//!
//! Every operation in turn: `NANOEBM_WRITE_FAULTS=1000 cargo test --test programs write_faults -- --nocapture`.

use nanoebm::checkpoint::find;
use torch_pt::Archive;

use super::faults::{EIO, ENOSPC, EROFS, Fault, Operation, operations};
use super::random::{Random, setting};
use super::workdir::{Workdir, assert_same_checkpoint, list};

/// A run that writes everything that a run can write, and prunes.
const WRITES: [&str; 5] = [
    "train.max_steps=10",
    "save_interval=2",
    "train.eval_interval=5",
    "tensorboard=true",
    "model.contrastive_type=fast_pcd",
];

/// A run in which the `at`-th operation fails; then another that goes on from what is left.
fn fails_well(whole: &Workdir, operation: &Operation, fault: Fault, at: usize) -> bool {
    let workdir = Workdir::new();
    let what = format!("operation {at}, {operation:?}, {fault:?}");
    let ended = workdir.train(&WRITES).with_fault(&workdir, fault, None, at).run();
    let stopped = ended.code != Some(0);
    if stopped {
        let line = &ended.stderr;
        assert!(ended.code == Some(1) && line.lines().count() == 1 && line.starts_with("error: "), "{what}: {line}");
        assert!(line.contains("os error") && line.contains("out_ebt"), "{what}: {line}");
    }
    for path in workdir.runs().iter().flat_map(|run| list(run)) {
        if path.extension().is_some_and(|extension| extension == "pt") {
            Archive::read(&path).unwrap_or_else(|error| panic!("{what}: {error}"));
        }
    }
    if stopped {
        let newest = find::newest(&workdir.path("out_ebt"));
        let resume = newest.map(|path| format!("load_checkpoint={}", path.display()));
        if resume.is_none() {
            let _ = std::fs::remove_dir_all(workdir.path("out_ebt"));
        }
        // All was done, and only the last words could not be written.
        let done = resume.as_ref().is_some_and(|path| path.ends_with("final.pt"));
        if !done {
            workdir.train(&WRITES).args(resume).succeeds();
        }
    }
    assert_same_checkpoint(&workdir.result("final.pt"), &whole.result("final.pt"));
    stopped
}

#[test]
fn a_write_that_fails_loses_nothing_whole() {
    let (most, seed) = (setting("NANOEBM_WRITE_FAULTS", 10usize), setting("NANOEBM_SEED", 1337u64));
    let (whole, mut random) = (Workdir::new(), Random::new(seed));
    whole.train(&WRITES).watched(&whole).succeeds();
    let operations = operations(&whole);
    let faults = [Fault::Lasting(ENOSPC), Fault::Once(EIO), Fault::Once(ENOSPC), Fault::Lasting(EROFS)];
    let moments: Vec<usize> = match most >= operations.len() {
        true => (0..operations.len()).collect(),
        false => (0..most).map(|_| random.below(operations.len())).collect(),
    };
    let stopped = moments.iter().filter(|&&i| fails_well(&whole, &operations[i], *random.pick(&faults), i + 1)).count();
    let (tried, all) = (moments.len(), operations.len());
    println!(
        "{tried} of a run's {all} writes failed (seed {seed}): {stopped} runs stopped, {} went on",
        tried - stopped
    );
    assert!(stopped > 0);
}
