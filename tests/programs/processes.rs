//! Several processes train one model: as one process would, for every kind of training; and they end well together.
//!
//! Here they are started with the variables that `torchrun` sets, which saves its seconds of Python; `torchrun` itself has tests of
//! its own below.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use super::command::{Finished, Program};
use super::workdir::{Workdir, folders, metrics};

/// A batch that 2, 3 and 4 processes share; nothing drawn but what all draw alike.
const EVEN: [&str; 5] = [
    "data.batch_size=12",
    "model.dropout=0",
    "model.langevin_noise=0",
    "model.langevin_noise_scale=0",
    "train.max_steps=50",
];

/// `n` processes with these words, to their ends.
fn together(workdir: &Workdir, n: usize, words: &[&str]) -> Vec<Finished> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let start = |rank: usize| one_of(workdir.train(words), rank, n, &port).starts();
    let running: Vec<_> = (0..n).map(start).collect();
    running.into_iter().map(|process| process.ends()).collect()
}

fn one_of(program: Program, rank: usize, n: usize, port: &str) -> Program {
    let (rank, n) = (rank.to_string(), n.to_string());
    let variables = [
        ("RANK", &*rank),
        ("LOCAL_RANK", &*rank),
        ("WORLD_SIZE", &*n),
        ("LOCAL_WORLD_SIZE", &*n),
        ("MASTER_ADDR", "127.0.0.1"),
        ("MASTER_PORT", port),
    ];
    variables.into_iter().fold(program, |program, (name, value)| program.env(name, value))
}

fn in_folder<'a>(words: &[&'a str], out_dir: &'a str) -> Vec<&'a str> {
    [&EVEN, words, &[out_dir]].concat()
}

fn only_run(workdir: &Workdir, out_dir: &str) -> PathBuf {
    let runs = folders(&workdir.path(out_dir));
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs[0].clone()
}

/// The largest difference between numbers of the same name, of every step.
fn apart(one: &Path, other: &Path) -> f64 {
    let (one, other) = (metrics(one), metrics(other));
    assert_eq!(one.len(), other.len());
    let rows = one.iter().zip(&other);
    let losses = rows.map(|(a, b)| {
        ["loss", "val/nll_s1", "val/nll_s2"].map(|key| match (a.get(key), b.get(key)) {
            (Some(a), Some(b)) => (a.as_f64().unwrap() - b.as_f64().unwrap()).abs(),
            (None, None) => 0.0,
            _ => panic!("{key} is in one of two rows: {a:?} {b:?}"),
        })
    });
    losses.flatten().fold(0.0, f64::max)
}

/// The losses of one process and those of `n` at the same global batch are the same.
fn as_one(n: usize, words: &[&str], tolerance: f64) {
    let workdir = Workdir::new();
    workdir.train(&in_folder(words, "out_dir=one")).succeeds();
    for finished in together(&workdir, n, &in_folder(words, "out_dir=several")) {
        finished.exits(0);
    }
    let apart = apart(&only_run(&workdir, "one"), &only_run(&workdir, "several"));
    assert!(apart <= tolerance, "{n} processes, {words:?}: {apart:e}");
}

const TOLERANCE: f64 = 1e-5;

#[test]
fn several_processes_train_as_one_does() {
    as_one(2, &["train.eval_interval=20"], TOLERANCE);
    as_one(3, &["train.grad_accum_steps=3", "train.max_steps=51"], TOLERANCE);
    as_one(4, &["model.refine_reduction=mean", "model.info_nce_weight=0.1"], TOLERANCE);
    as_one(2, &["model.use_soft_tokens=true", "train.remat=true"], TOLERANCE);
    as_one(2, &["data.num_workers=2", "model=upstream"], TOLERANCE);
}

#[test]
fn every_family_of_energies_is_trained_by_several_processes_as_by_one() {
    for (n, family) in [(2, "model=reread"), (3, "model=mixture"), (2, "model=ebt")] {
        as_one(n, &[family], TOLERANCE);
    }
}

#[test]
fn contrastive_training_of_several_processes_is_that_of_one() {
    for n in [2, 3] {
        for contrastive in ["cd", "pcd", "fast_pcd"] {
            let kind = format!("model.contrastive_type={contrastive}");
            // Where an energy falls by just the threshold, rounding decides whether thinking ends, and what is drawn after it.
            let words = [&*kind, "model.restart_prob=0.3", "model.energy_convergence_threshold=0"];
            as_one(n, &words, TOLERANCE);
            as_one(n, &[&words[..], &["model=upstream"]].concat(), TOLERANCE);
        }
    }
}
