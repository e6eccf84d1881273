//! Two trainers and one run directory: the second is refused, and a dead one's lock is nobody's.

use std::fs;

use super::desk::{Desk, assert_same_checkpoint, losses, metrics};

/// Long enough that it is still at work when the second one comes.
const LONG: [&str; 2] = ["train.max_steps=100000", "save_interval=3"];

#[test]
fn a_second_trainer_is_refused_and_the_first_goes_on() {
    let desk = Desk::new();
    let first = desk.train(&LONG).starts().until(|line| line.contains("ckpt_step_6.pt"));
    fs::copy(desk.result("ckpt_step_6.pt"), desk.run().join("copy.pt")).unwrap(); // the run prunes its own
    let second = desk.train(&LONG).arg(desk.arg("load_checkpoint", "copy.pt"));
    let refused = second.fails(1).stderr_has("in use by another train").stderr_has("out_dir=");
    let holder = format!("process {} ", first.id());
    refused.stderr_has(&holder).stderr_has(&desk.run().file_name().unwrap().to_string_lossy());
    // elsewhere it may
    desk.train(&["out_dir=elsewhere", "train.max_steps=8", &desk.arg("load_checkpoint", "copy.pt")]).succeeds();

    let first = first.gets("INT").ends().exits(130);
    assert_eq!(first.stderr, "");
    let steps: Vec<_> = metrics(&desk.run()).iter().map(|row| row["step"].as_i64().unwrap()).collect();
    assert_eq!(steps, (0..steps.len() as i64).collect::<Vec<_>>(), "the second one left no row");
}

#[test]
fn the_lock_of_a_dead_trainer_blocks_nobody() {
    let (desk, whole) = (Desk::new(), Desk::new());
    let killed = desk.train(&LONG).starts().until(|line| line.contains("ckpt_step_6.pt"));
    assert_eq!(killed.gets("KILL").ends().code, None);
    assert!(desk.run().join(".lock").is_file());
    desk.train(&["train.max_steps=60", LONG[1], &desk.arg("load_checkpoint", "ckpt_step_6.pt")]).succeeds();
    whole.train(&["train.max_steps=60", LONG[1]]).succeeds();
    assert_eq!(losses(&desk.run()), losses(&whole.run()));
    assert_same_checkpoint(&desk.result("final.pt"), &whole.result("final.pt"));
}
