//! Ctrl-C and SIGTERM: finish the step, save, say how to go on.

use super::command::{Finished, bash, path_of};
use super::workdir::{TINY, Workdir, assert_same_checkpoint, metrics};

/// Long enough that the signal arrives in the middle.
const STEPS: &str = "train.max_steps=250";
const HOW_TO_GO_ON: &str = "✓ To go on: cargo run --release --bin train -- ";

/// Types the command that an interrupted run printed.
fn goes_on_as_told(workdir: &Workdir, stopped: &Finished) {
    let told = stopped.stdout.lines().find_map(|line| line.strip_prefix(HOW_TO_GO_ON));
    let line = format!("\"$0\" {}", told.expect("a line that says how to go on"));
    bash(&line, [path_of("train")]).in_dir(workdir.dir()).succeeds().says("Training complete");
}

fn stops_and_goes_on(signal: &str, code: i32) {
    let (whole, stopped) = (Workdir::new(), Workdir::new());
    // A name that a shell would take apart must come back in one piece.
    for workdir in [&whole, &stopped] {
        workdir.write("it's a text.txt", std::fs::read(workdir.path("text.txt")).unwrap());
    }
    let settings = [STEPS, "data.data_path=it's a text.txt", "model.dropout=0.1", "save_interval=100"];
    whole.train(&settings).succeeds();
    // Whoever runs the tests under nohup ignores SIGHUP, and hands that on.
    let train =
        bash("exec env --default-signal=HUP \"$0\" \"$@\"", [path_of("train")]).args(TINY).in_dir(stopped.dir());
    let end = train.args(settings).starts().until_step(20).gets(signal).ends().exits(code);
    assert_eq!(end.stderr, "");
    let (_, after) = end.stdout.split_once("Interrupted after ").expect("a sentence that says when");
    let (steps, _) = after.split_once(' ').unwrap();
    assert!(after.contains(&format!("ckpt_step_{steps}.pt")), "{after}");
    assert!(!stopped.run().join("final.pt").exists(), "the signal came too late to test anything");
    goes_on_as_told(&stopped, &end);
    assert_eq!(metrics(&stopped.run()), metrics(&whole.run()));
    assert_same_checkpoint(&stopped.result("final.pt"), &whole.result("final.pt"));
}

#[test]
fn ctrl_c_saves_and_the_run_goes_on_as_if_nothing_had_happened() {
    stops_and_goes_on("INT", 130);
}

#[test]
fn sigterm_does_the_same() {
    stops_and_goes_on("TERM", 143);
}

#[test]
fn a_closed_terminal_does_the_same() {
    stops_and_goes_on("HUP", 129);
}

#[test]
fn under_nohup_a_closed_terminal_stops_nothing() {
    let workdir = Workdir::new();
    let run = bash("trap '' HUP; exec \"$0\" \"$@\"", [path_of("train")]).args(TINY).in_dir(workdir.dir());
    run.arg("train.max_steps=60").starts().until_step(5).gets("HUP").ends().exits(0).says("Training complete");
}

#[test]
fn a_run_may_be_stopped_twice() {
    let workdir = Workdir::new();
    let first = workdir.train(&[STEPS]).starts().until_step(5).gets("INT").ends().exits(130);
    let told = first.stdout.lines().find_map(|line| line.strip_prefix(HOW_TO_GO_ON)).unwrap();
    let line = format!("exec \"$0\" {told}");
    let second = bash(&line, [path_of("train")]).in_dir(workdir.dir()).starts().until_step(30).gets("INT").ends();
    let second = second.exits(130);
    assert_eq!(second.stdout.matches("load_checkpoint=").count(), 1, "the old checkpoint is not named again");
    goes_on_as_told(&workdir, &second);
    let steps: Vec<_> = metrics(&workdir.run()).iter().map(|row| row["step"].as_i64().unwrap()).collect();
    assert_eq!(steps, (0..250).collect::<Vec<_>>());
}

#[test]
fn accumulated_gradients_are_not_thrown_away() {
    let workdir = Workdir::new();
    let settings = [STEPS, "train.grad_accum_steps=5"];
    let stopped = workdir.train(&settings).starts().until_step(11).gets("INT").ends().exits(130);
    let saved = stopped.stdout.lines().find_map(|line| line.split_once("ckpt_step_")).expect("a saved checkpoint").1;
    let step: u32 = saved.split('.').next().unwrap().parse().unwrap();
    assert_eq!(step % 5, 0, "step {step} is in the middle of an accumulation");
}

#[test]
fn a_second_ctrl_c_ends_it_at_once() {
    let workdir = Workdir::new();
    let slow = ["data.batch_size=4000", "train.max_steps=50"];
    let running = workdir.train(&slow).starts().until_step(0).gets("INT");
    std::thread::sleep(std::time::Duration::from_millis(200)); // two at the same instant are one
    let ended = running.gets("INT").ends();
    assert_eq!(ended.code, None, "killed by the signal");
    assert!(!ended.stdout.contains("Saved checkpoint"), "{}", ended.stdout);
}

#[test]
fn a_signal_ends_the_whole_multirun() {
    let workdir = Workdir::new();
    let several = ["-m", STEPS, "train.seed=1,2,3"];
    workdir.train(&several).starts().until_step(5).gets("INT").ends().exits(130);
    assert_eq!(workdir.runs().len(), 1);
}

#[test]
fn two_kinds_of_signals_at_once_are_one_wish() {
    let workdir = Workdir::new();
    let slow = ["data.batch_size=4000", "train.max_steps=50"];
    workdir.train(&slow).starts().until_step(0).gets("INT").gets("TERM").ends().exits(143).says("To go on: ");
}
