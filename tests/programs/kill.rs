//! kill -9: a `.pt` is whole, or it is not there, and a run that was killed and resumed ends as if it never had been.
//!
//! More moments and others: `NANOEBM_KILLS=100 NANOEBM_SEED=7 cargo test --test programs kill -- --nocapture`.

use std::collections::BTreeMap;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use torch_pt::Archive;

use super::faults::{Fault, Operation, operations};
use super::random::{Random, setting};
use super::workdir::{Workdir, assert_same_checkpoint, list, metrics, names};

/// A run that saves often, and prunes from its fourth checkpoint on.
const OFTEN: [&str; 4] = ["train.max_steps=36", "save_interval=3", "train.eval_interval=12", "model.dropout=0.1"];
const KINDS: [&[&str]; 2] = [
    &["train.grad_accum_steps=1"],
    &["model.contrastive_type=pcd", "model.n_persistent=9", "model.contrastive_k=2", "data.num_workers=1"],
];

/// What a run that is never killed leaves and does.
struct Whole {
    workdir: Workdir,
    settings: Vec<&'static str>,
    took: Duration,
    /// Its file operations, by kind
    operations: BTreeMap<String, usize>,
}

impl Whole {
    fn new(kind: &[&'static str]) -> Self {
        let (workdir, settings) = (Workdir::new(), [&OFTEN[..], kind].concat());
        let began = Instant::now();
        workdir.train(&settings).watched(&workdir).succeeds();
        let mut counts = BTreeMap::new();
        operations(&workdir).iter().for_each(|operation| *counts.entry(operation.kind.clone()).or_default() += 1);
        Self { workdir, settings, took: began.elapsed(), operations: counts }
    }

    /// Kills a run again and again, resuming it each time, until it ends or `most` kills are spent; then it must be as if it had
    /// never been killed. The moments of the kills, in words.
    fn survives(&self, most: usize, random: &mut Random) -> Vec<String> {
        let (workdir, mut kills) = (Workdir::new(), Vec::new());
        loop {
            let newest = newest(&workdir);
            if newest.is_none() {
                let _ = fs::remove_dir_all(workdir.path("out_ebt")); // killed before there was anything to go on from
            }
            let resume = newest.map(|step| workdir.arg("load_checkpoint", &format!("ckpt_step_{step}.pt")));
            let program = workdir.train(&self.settings).args(resume);
            if kills.len() == most {
                program.succeeds();
                break;
            }
            // by turns inside of a file operation, and whenever the clock says so
            let moment = if random.below(3) > 0 {
                let kinds: Vec<_> = self.operations.keys().collect();
                let kind = *random.pick(&kinds);
                let ended =
                    program.with_fault(&workdir, Fault::Kill, Some(kind), 1 + random.below(self.operations[kind]));
                let ended = ended.run();
                ended.code.is_none().then(|| phase(operations(&workdir).last().unwrap())).ok_or(ended)
            } else {
                let running = program.starts();
                sleep(self.took.mul_f64(random.below(1000) as f64 / 1000.0));
                let ended = running.gets("KILL").ends();
                let steps = ended.stdout.contains("Training from step");
                let at = if steps { "a step or between two" } else { "the start" };
                ended.code.is_none().then(|| at.to_owned()).ok_or(ended)
            };
            match moment {
                Ok(moment) => kills.push(moment),
                Err(ended) => {
                    ended.exits(0);
                    break; // it ended before that moment
                }
            }
            for path in checkpoints(&workdir) {
                Archive::read(&path).unwrap_or_else(|error| panic!("after {kills:?}: {error}"));
            }
        }
        let (ours, theirs) = (workdir.run(), self.workdir.run());
        assert_eq!(metrics(&ours), metrics(&theirs), "after {kills:?}");
        for name in ["final.pt", "best.pt", "ckpt_step_36.pt", "ckpt_step_33.pt", "ckpt_step_30.pt"] {
            assert_same_checkpoint(&ours.join(name), &theirs.join(name));
        }
        let aside = |name: &String| name.starts_with("metrics.2"); // rows of steps that were taken twice
        let left: Vec<_> = names(&ours).into_iter().filter(|name| !aside(name)).collect();
        assert_eq!(left, names(&theirs), "after {kills:?}");
        kills
    }
}

fn checkpoints(workdir: &Workdir) -> Vec<std::path::PathBuf> {
    let runs = workdir.runs();
    let files = runs.iter().flat_map(|run| list(run));
    files.filter(|path| path.extension().is_some_and(|extension| extension == "pt")).collect()
}

/// The step of the newest checkpoint on the way.
fn newest(workdir: &Workdir) -> Option<u32> {
    let step = |path: &std::path::PathBuf| {
        path.file_stem()?.to_str()?.strip_prefix("ckpt_step_").and_then(|step| step.parse().ok())
    };
    checkpoints(workdir).iter().filter_map(step).max()
}

/// What was going on at a file operation.
fn phase(operation: &Operation) -> String {
    let Operation { kind, file } = operation;
    match (kind.as_str(), file) {
        ("unlink", file) if file.starts_with("ckpt") => "pruning".to_owned(),
        (kind, file) if file.contains(".pt") => format!("a checkpoint's {kind}"),
        ("write", file) if file.starts_with("metrics") => "a row of metrics".to_owned(),
        _ => "the start".to_owned(),
    }
}

#[test]
fn killed_at_many_moments_a_run_ends_as_if_it_never_had_been() {
    let (mut left, seed) = (setting("NANOEBM_KILLS", 10usize), setting("NANOEBM_SEED", 1337u64));
    let mut random = Random::new(seed);
    let wholes = KINDS.map(Whole::new);
    let mut moments: BTreeMap<String, usize> = BTreeMap::new();
    let mut runs = 0;
    while left > 0 {
        let kills = wholes[runs % 2].survives(left.min(8), &mut random);
        (left, runs) = (left - kills.len(), runs + 1);
        kills.into_iter().for_each(|moment| *moments.entry(moment).or_default() += 1);
    }
    println!("{} kills in {runs} runs (seed {seed}): {moments:?}", moments.values().sum::<usize>());
}
