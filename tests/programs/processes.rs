//! Several processes train one model: as one process would, for every kind of training; and they end well together.
//!
//! Here they are started with the variables that `torchrun` sets, which saves its seconds of Python; `torchrun` itself has tests of
//! its own below.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use super::command::{Finished, Program, Running};
use super::workdir::{Workdir, folders, metrics};

/// A batch that 2, 3 and 4 processes share; nothing drawn but what all draw alike.
const EVEN: [&str; 5] = [
    "data.batch_size=12",
    "model.dropout=0",
    "model.langevin_noise=0",
    "model.langevin_noise_scale=0",
    "train.max_steps=50",
];

/// `n` processes of a program, to their ends.
fn together(n: usize, program: impl Fn(usize) -> Program) -> Vec<Finished> {
    start(n, program).into_iter().map(Running::ends).collect()
}

/// `n` processes of a program.
pub fn start(n: usize, program: impl Fn(usize) -> Program) -> Vec<Running> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    (0..n).map(|rank| one_of(program(rank), rank, n, &port).starts()).collect()
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
    let words = in_folder(words, "out_dir=several");
    together(n, |_| workdir.train(&words)).into_iter().for_each(|finished| drop(finished.exits(0)));
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

/// The order of the data does not hang on who reads them; one checkpoint is that of all, and of any number.
#[test]
fn a_run_goes_on_with_another_number_of_processes() {
    let workdir = Workdir::new();
    let words = ["model.contrastive_type=pcd", "model.n_persistent=9", "model.energy_convergence_threshold=0"];
    workdir.train(&in_folder(&words, "out_dir=one")).succeeds();
    for (n, max_steps) in [(2, 20), (3, 35), (1, 50)] {
        let newest = folders(&workdir.path("several"))
            .pop()
            .map(|run| format!("load_checkpoint={}", run.join("final.pt").display()));
        let max_steps = format!("train.max_steps={max_steps}");
        let words = [&in_folder(&words, "out_dir=several")[..], &[&max_steps]].concat();
        let program = |_| workdir.train(&words).args(&newest);
        let all = together(n, program);
        all.into_iter().for_each(|finished| drop(finished.exits(0)));
    }
    let apart = apart(&only_run(&workdir, "one"), &only_run(&workdir, "several"));
    assert!(apart <= TOLERANCE, "{apart:e}");
}

#[test]
fn eval_of_several_processes_is_that_of_one() {
    let workdir = Workdir::new();
    workdir.train(&[]).succeeds();
    let words = ["--json", "steps=0,2,4", "batch_size=5", "model.adaptive=true"];
    let one = workdir.eval(&words).succeeds().stdout;
    for n in [2, 3] {
        let mut all = together(n, |_| workdir.eval(&words));
        assert_eq!(all.remove(0).exits(0).stdout, one, "{n}");
        all.into_iter().for_each(|finished| assert_eq!(finished.exits(0).says_nothing_on_stderr().stdout, ""));
    }
}

#[test]
fn in_bfloat16_several_processes_learn_as_well_as_one() {
    as_one(2, &["train.dtype=bfloat16"], 0.01);
}
