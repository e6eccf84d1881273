//! Repetition: the same seed, configuration and number of threads give the same bytes.
//!
//! Another build, such as the release's, beside this one:
//! `NANOEBM_OTHER_TRAIN=$PWD/target/release/train cargo test --test programs repeat -- --ignored --nocapture`.

use std::fs;
use std::path::Path;

use super::workdir::{TINY, Workdir, losses, metrics};

const KINDS: [&[&str]; 4] = [
    &["model.dropout=0.1"],
    &["model.contrastive_type=cd", "model.contrastive_k=2"],
    &["model.contrastive_type=pcd", "model.n_persistent=9"],
    &["model.contrastive_type=fast_pcd", "model.n_chains=6", "model.restart_prob=0.2"],
];
/// So large that libtorch shares the work out among threads.
const LARGER: [&str; 5] =
    ["model.n_embd=64", "model.n_layer=2", "data.block_size=64", "data.batch_size=16", "train.max_steps=8"];

/// A run's losses and metrics, and its checkpoint.
fn run(kind: &[&str], more: &[&str], threads: &str) -> Workdir {
    let workdir = Workdir::new();
    let often = ["train.eval_interval=4", "save_interval=4"];
    workdir.train(&[kind, more, &often].concat()).env("OMP_NUM_THREADS", threads).succeeds();
    workdir
}

fn assert_same_bytes(left: &Workdir, right: &Workdir) {
    assert_eq!(metrics(&left.run()), metrics(&right.run()));
    for name in ["final.pt", "best.pt", "ckpt_step_4.pt", "config.yaml", "overrides.yaml"] {
        let [a, b] = [left, right].map(|workdir| fs::read(workdir.result(name)).unwrap());
        assert!(a == b, "{name} differs");
    }
}

#[test]
fn the_same_run_again_writes_the_same_bytes() {
    for kind in KINDS {
        assert_same_bytes(&run(kind, &[], "1"), &run(kind, &[], "1"));
    }
}

#[test]
fn with_two_threads_too_and_with_another_number_it_differs_by_rounding() {
    let mut largest = 0f64;
    for kind in KINDS {
        let two = run(kind, &LARGER, "2");
        assert_same_bytes(&two, &run(kind, &LARGER, "2"));
        let one = run(kind, &LARGER, "1");
        for (a, b) in losses(&one.run()).iter().zip(losses(&two.run())) {
            largest = largest.max((a - b).abs());
        }
    }
    println!("one thread and two: losses differ by {largest:.1e} at most in 8 steps");
    assert!(largest < 1e-4, "{largest}");
}

#[test]
#[ignore = "needs another build of train, named by NANOEBM_OTHER_TRAIN"]
fn another_build_writes_the_same_bytes() {
    let other = std::env::var("NANOEBM_OTHER_TRAIN").expect("NANOEBM_OTHER_TRAIN, the path of another train");
    for (more, threads) in [(&[][..], "1"), (&LARGER[..], "1"), (&LARGER[..], "2")] {
        for kind in KINDS {
            let (ours, theirs) = (run(kind, more, threads), Workdir::new());
            let settings = [&TINY, kind, more, &["train.eval_interval=4", "save_interval=4"]].concat();
            theirs.other(Path::new(&other)).args(settings).env("OMP_NUM_THREADS", threads).succeeds();
            assert_same_bytes(&ours, &theirs);
        }
    }
    println!("12 runs of {other} wrote the bytes of this build's");
}
