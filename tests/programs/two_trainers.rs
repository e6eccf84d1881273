//! Two trainers and one run directory: the second is refused, and a dead one's lock is nobody's.

use std::fs;

use super::workdir::{Workdir, assert_same_checkpoint, losses, metrics};

/// Long enough that it is still at work when the second one comes.
const LONG: [&str; 2] = ["train.max_steps=100000", "save_interval=3"];

#[test]
fn a_second_trainer_is_refused_and_the_first_goes_on() {
    let workdir = Workdir::new();
    let first = workdir.train(&LONG).starts().until(|line| line.contains("ckpt_step_6.pt"));
    fs::copy(workdir.result("ckpt_step_6.pt"), workdir.run().join("copy.pt")).unwrap(); // the run prunes its own
    let second = workdir.train(&LONG).arg(workdir.arg("load_checkpoint", "copy.pt"));
    let refused = second.fails(1).stderr_has("in use by another train").stderr_has("out_dir=");
    let holder = format!("process {} ", first.id());
    refused.stderr_has(&holder).stderr_has(&workdir.run().file_name().unwrap().to_string_lossy());
    // elsewhere it may
    workdir.train(&["out_dir=elsewhere", "train.max_steps=8", &workdir.arg("load_checkpoint", "copy.pt")]).succeeds();

    let first = first.gets("INT").ends().exits(130);
    assert_eq!(first.stderr, "");
    let steps: Vec<_> = metrics(&workdir.run()).iter().map(|row| row["step"].as_i64().unwrap()).collect();
    assert_eq!(steps, (0..steps.len() as i64).collect::<Vec<_>>(), "the second one left no row");
}

#[test]
fn the_lock_of_a_dead_trainer_blocks_nobody() {
    let (workdir, whole) = (Workdir::new(), Workdir::new());
    let killed = workdir.train(&LONG).starts().until(|line| line.contains("ckpt_step_6.pt"));
    assert_eq!(killed.gets("KILL").ends().code, None);
    assert!(workdir.run().join(".lock").is_file());
    workdir.train(&["train.max_steps=60", LONG[1], &workdir.arg("load_checkpoint", "ckpt_step_6.pt")]).succeeds();
    whole.train(&["train.max_steps=60", LONG[1]]).succeeds();
    assert_eq!(losses(&workdir.run()), losses(&whole.run()));
    assert_same_checkpoint(&workdir.result("final.pt"), &whole.result("final.pt"));
}
