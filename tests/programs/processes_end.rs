//! How several processes end: one of them is gone, or at fault, or told to stop, and all end well, in a line that says why.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::command::{Finished, Program, Running, bash, path_of};
use super::processes::start;
use super::python::TORCH;
use super::workdir::{TINY, Workdir, assert_same_checkpoint, losses};

const LONG: [&str; 4] = ["data.batch_size=12", "train.max_steps=100000", "train.timeout=20", "save_interval=10"];
/// Long before the timeout.
const SOON: Duration = Duration::from_secs(12);

/// All fail with this status, in one line each.
fn all_fail(all: Vec<Running>, code: i32) -> Vec<Finished> {
    let one_line = |process: Running| {
        let finished = process.ends().exits(code);
        assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
        finished
    };
    all.into_iter().map(one_line).collect()
}

#[test]
fn a_rank_that_is_killed_is_named_by_the_others() {
    let workdir = Workdir::new();
    // Gradients go around a ring, in which rank 1 is no neighbour of rank 3.
    let mut all = start(4, |_| workdir.train(&LONG));
    let killed = all.remove(3);
    let first = all.remove(0).until_step(12);
    let began = Instant::now();
    assert_eq!(killed.gets("KILL").ends().code, None);
    all.insert(0, first);
    for (rank, finished) in all_fail(all, 1).into_iter().enumerate() {
        finished.stderr_has(&format!("error (rank {rank}): rank 3 on ")).stderr_has(" is gone");
    }
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    workdir.eval(&[&workdir.arg("checkpoint", "ckpt_step_10.pt"), "max_windows=2"]).succeeds();
}

#[test]
fn a_rank_that_stalls_is_named_after_the_timeout() {
    let workdir = Workdir::new();
    let mut all = start(2, |_| workdir.train(&LONG).arg("train.timeout=3"));
    let stalled = all.remove(1);
    let first = all.remove(0).until_step(12);
    let (began, stalled) = (Instant::now(), stalled.gets("STOP"));
    first.ends().exits(1).stderr_has("rank 1 on ").stderr_has(" is gone, or does not answer");
    assert!(began.elapsed() < Duration::from_secs(13), "{:?}", began.elapsed());
    stalled.gets("KILL").ends();
}

#[test]
fn what_one_is_told_all_do() {
    let workdir = Workdir::new();
    let mut all = start(2, |_| workdir.train(&LONG));
    let second = all.remove(1);
    let first = all.remove(0).until_step(3);
    let second = second.gets("TERM");
    first.ends().exits(143).says("Interrupted after ").says("To go on: ").says_nothing_on_stderr();
    assert_eq!(second.ends().exits(143).says_nothing_on_stderr().stdout, "");
}

#[test]
fn processes_that_are_not_alike_do_not_begin() {
    let workdir = Workdir::new();
    workdir.write("other.txt", "another text, with the same letters or not. ".repeat(50));
    let cases = [
        ("train.learning_rate=0.5", "rank 1 on ", "has 0.5 for train.learning_rate, and rank 0 has 0.0003"),
        ("data.data_path=other.txt", "rank 1 on ", "for the SHA-256 of its text"),
    ];
    for (word, who, what) in cases {
        let other = |rank: usize| workdir.train(if rank == 1 { std::slice::from_ref(&word) } else { &[] });
        for finished in all_fail(start(2, other), 1) {
            finished.stderr_has(who).stderr_has(what);
        }
    }
    let uneven = all_fail(start(3, |_| workdir.train(&[])), 1);
    uneven.into_iter().for_each(|finished| drop(finished.stderr_has("take a multiple of 3")));
    assert_eq!(workdir.runs(), Vec::<PathBuf>::new());
}

#[test]
fn a_fault_of_rank_0_is_told_to_all() {
    let workdir = Workdir::new();
    let full = |rank: usize| -> Program {
        let room = if rank == 0 { "16" } else { "unlimited" };
        let line = format!("ulimit -f {room}; exec \"$0\" \"$@\"");
        bash(&line, [path_of("train")]).args(TINY).args(["save_interval=2"]).in_dir(workdir.dir())
    };
    let ended = all_fail(start(2, full), 1);
    assert!(
        ended[0].stderr.starts_with("error (rank 0): ") && ended[0].stderr.contains("ckpt_step_2.pt"),
        "{}",
        ended[0].stderr
    );
    assert!(ended[1].stderr.starts_with("error (rank 1): rank 0 ended: "), "{}", ended[1].stderr);
    assert!(ended[1].stderr.contains("ckpt_step_2.pt"), "{}", ended[1].stderr);
    let absent = all_fail(start(2, |_| workdir.train(&["load_checkpoint=absent.pt"])), 1);
    assert!(
        absent[1].stderr.contains("rank 0 ended: ") && absent[1].stderr.contains("absent.pt"),
        "{}",
        absent[1].stderr
    );
}

/// Noise that is now and then beyond float32, on whichever rank draws it.
const NOISE: [&str; 5] = [
    "model.contrastive_type=cd",
    "model.langevin_noise_scale=3.2e77",
    "train.max_steps=40",
    "save_interval=5",
    "train.nonfinite_retries=40",
];

#[test]
fn nan_on_one_rank_is_a_fault_of_all() {
    for (policy, says) in [("skip", "it is skipped"), ("rollback", "back to ")] {
        let workdir = Workdir::new();
        let policy = format!("train.on_nonfinite={policy}");
        let mut all = start(2, |_| workdir.train(&NOISE).arg(&policy));
        let second = all.remove(1);
        let first = all.remove(0).ends().exits(0).says("the chains hold what is no number on rank ").says(says);
        assert!(first.stdout.contains("on rank 1 at step"), "{}", first.stdout);
        second.ends().exits(0);
        assert!(losses(&workdir.run()).len() >= 40);
    }
    let workdir = Workdir::new();
    for finished in all_fail(start(2, |_| workdir.train(&NOISE).arg("train.on_nonfinite=stop")), 1) {
        finished.stderr_has("the chains hold what is no number on rank ");
    }
}

/// torchrun with its words, and then those of a training.
fn torchrun(workdir: &Workdir, words: &[&str], training: &[&str]) -> Program {
    let python = TORCH.command();
    Program::at(Path::new(python.get_program()))
        .args(["-m", "torch.distributed.run", "--no-python"])
        .args(words)
        .arg(path_of("train"))
        .args(TINY)
        .args(training)
        .in_dir(workdir.dir())
}

#[test]
fn torchrun_starts_them_again_and_the_run_ends_as_if_nothing_had_been() {
    let training =
        ["train.max_steps=200", "save_interval=20", "train.log_interval=20", "model.dropout=0.1", "out_dir=run"];
    let whole = Workdir::new();
    let n = ["--standalone", "--nproc-per-node=2"];
    torchrun(&whole, &n, &training).run().exits(0).says("Training complete");

    let disturbed = Workdir::new();
    let words = [&n[..], &["--max-restarts=2"]].concat();
    let mut running = torchrun(&disturbed, &words, &training).starts();
    // The second time before it has saved anything new.
    for moment in ["ckpt_step_40.pt", "Resumed from "] {
        running = running.until(|line| line.contains(moment));
        // One of the processes that torchrun has started.
        let of_torchrun = format!("pkill -KILL -n -P {}", running.id());
        bash(&of_torchrun, [""; 0]).succeeds();
    }
    let ended = running.ends().exits(0).says("Training complete");
    assert_eq!(ended.stdout.matches("Resumed from ").count(), 2, "{}", ended.stdout);
    assert_eq!(ended.stdout.matches("Training complete").count(), 1, "{}", ended.stdout);
    let [whole, disturbed] = [&whole, &disturbed].map(|workdir| workdir.path("run").join("final.pt"));
    assert_same_checkpoint(&fs::canonicalize(whole).unwrap(), &fs::canonicalize(disturbed).unwrap());
}
