//! Disks that refuse: folders that cannot be made, files that cannot grow, an output that is full.

use super::command::{Program, bash, path_of};
use super::workdir::{TINY, Workdir, names};

/// `train` that cannot write a file of more than so many kilobytes, as on a full disk.
fn train_with_room_for(kilobytes: u32, workdir: &Workdir, overrides: &[&str]) -> Program {
    let line = format!("ulimit -f {kilobytes}; exec \"$0\" \"$@\"");
    bash(&line, [path_of("train")]).args(TINY).args(overrides).in_dir(workdir.dir())
}

fn into_dev_full(program: &str, args: &[&str], workdir: &Workdir) -> Program {
    bash("exec \"$0\" \"$@\" > /dev/full", [path_of(program)]).args(args).in_dir(workdir.dir())
}

#[test]
fn an_out_dir_that_cannot_be_made_is_one_line() {
    let workdir = Workdir::new();
    for out_dir in ["text.txt/out", "text.txt", "/proc/nanoebm", "/dev/null/out"] {
        workdir.refuses(workdir.train(&[&format!("out_dir={out_dir}")]), 1, &[out_dir]);
    }
    workdir.refuses(workdir.train(&["out_dir=text.txt"]), 1, &["text.txt: it is a file, and a folder is needed"]);
}

#[test]
fn a_reason_is_given_once() {
    let workdir = Workdir::new();
    let failed = workdir.train(&["out_dir=text.txt/out"]).fails(1);
    assert_eq!(failed.stderr.matches("os error").count(), 1, "{}", failed.stderr);
    let failed = workdir.train(&["data.data_path=absent.txt"]).fails(1);
    assert_eq!(failed.stderr.matches("os error").count(), 1, "{}", failed.stderr);
    let failed = workdir.sample(&["checkpoint=absent.pt"]).fails(1);
    assert_eq!(failed.stderr.matches("os error").count(), 1, "{}", failed.stderr);
    let failed = workdir.sample(&["prompt=@absent.txt", "checkpoint=absent.pt"]).fails(1);
    assert_eq!(failed.stderr.matches("os error").count(), 1, "{}", failed.stderr);
}

#[test]
fn no_room_for_the_settings_leaves_no_run() {
    let workdir = Workdir::new();
    train_with_room_for(0, &workdir, &[]).fails(1).stderr_has("config.yaml");
    assert_eq!(workdir.runs(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn no_room_for_a_checkpoint_leaves_no_half_of_it() {
    let workdir = Workdir::new();
    train_with_room_for(16, &workdir, &["save_interval=2"]).fails(1).stderr_has("ckpt_step_2.pt");
    assert_eq!(names(&workdir.run()), ["config.yaml", "metrics.jsonl", "overrides.yaml"]);
}

#[test]
fn no_room_for_the_next_checkpoint_keeps_the_last_one() {
    let workdir = Workdir::new();
    workdir.train(&["save_interval=3", "train.max_steps=3"]).succeeds();
    let resume = [&workdir.arg("load_checkpoint", "final.pt"), "train.max_steps=9"];
    train_with_room_for(16, &workdir, &resume).fails(1).stderr_has("final.pt");
    workdir.eval(&[&workdir.arg("checkpoint", "final.pt"), "max_windows=2"]).succeeds();
    workdir.train(&resume).succeeds();
}

#[test]
fn no_room_for_the_metrics_is_an_error() {
    let workdir = Workdir::new();
    // Some 20 rows fill 4 kB.
    train_with_room_for(4, &workdir, &["train.max_steps=200"]).fails(1).stderr_has("metrics.jsonl");
}

#[test]
fn a_full_console_does_not_stop_the_training() {
    let workdir = Workdir::new();
    let notice = "model.contrastive_type=cd"; // said before the training begins
    let done = into_dev_full("train", &[&TINY[..], &[notice]].concat(), &workdir).succeeds();
    assert!(done.stderr.starts_with("⚠ Standard output cannot be written (No space left"), "{}", done.stderr);
    assert_eq!(done.stderr.lines().count(), 1, "said once: {}", done.stderr);
    workdir.result("final.pt");
}

#[test]
fn where_nothing_can_be_said_the_training_goes_on_and_programs_fail_quietly() {
    let workdir = Workdir::new();
    let mute = |program: &str, args: &[&str]| {
        bash("exec \"$0\" \"$@\" > /dev/full 2> /dev/full", [path_of(program)]).args(args).in_dir(workdir.dir())
    };
    mute("train", &TINY).succeeds();
    workdir.result("final.pt");
    for program in ["train", "sample", "eval", "doctor"] {
        mute(program, &["--help"]).run().exits(1);
    }
    let gone = bash("\"$0\" \"$@\" 2>&1 | head -n 1; exit ${PIPESTATUS[0]}", [path_of("train")]).args(TINY);
    gone.in_dir(workdir.dir()).succeeds();
}

#[test]
fn a_closed_console_does_not_stop_the_training() {
    let workdir = Workdir::new();
    let closed = bash("exec \"$0\" \"$@\" >&-", [path_of("train")]).args(TINY).in_dir(workdir.dir()).succeeds();
    assert_eq!(closed.stderr, "⚠ Standard output is closed: what would be printed is lost, and the work goes on\n");
    workdir.result("final.pt");
    let unwanted =
        bash("exec \"$0\" \"$@\" >/dev/null", [path_of("train")]).args(TINY).in_dir(workdir.dir()).succeeds();
    assert_eq!(unwanted.stderr, "", "nothing to warn of");
}

#[test]
fn a_text_that_cannot_be_written_is_an_error() {
    let workdir = Workdir::new();
    workdir.train(&[]).succeeds();
    let checkpoint = workdir.arg("checkpoint", "final.pt");
    let full = "No space left on device";
    into_dev_full("sample", &[&checkpoint, "--quiet"], &workdir).fails(1).stderr_has(full);
    into_dev_full("sample", &[&checkpoint], &workdir).fails(1).stderr_has(full);
    into_dev_full("eval", &[&checkpoint, "--json", "max_windows=1"], &workdir).fails(1).stderr_has(full);
    into_dev_full("eval", &[&checkpoint, "max_windows=1"], &workdir).fails(1).stderr_has(full);
    into_dev_full("train", &["--help"], &workdir).fails(1).stderr_has(full);
    into_dev_full("doctor", &[], &workdir).fails(1).stderr_has(full);
}
