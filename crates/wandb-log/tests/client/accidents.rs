//! Trainings that come to a bad end.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use wandb_log::Run;

use super::sandbox::{Sandbox, settings, train};

/// The server takes ten rows and then nothing more; what the end of the run says.
pub fn lose_the_server(sandbox: &Sandbox) -> Vec<String> {
    let (mut run, _) = sandbox.start();
    train(&mut run, 0..10);
    sandbox.server.wait_for("ten rows", |state| {
        state.runs.values().any(|run| run.files.get("wandb-history.jsonl").is_some_and(|lines| lines.len() == 10))
            && state.runs.values().all(|run| run.files["output.log"].len() == 10)
    });
    std::thread::sleep(Duration::from_millis(100)); // the answer comes after that
    sandbox.server.state().down = true;
    train(&mut run, 10..33);
    run.finish(0)
}

/// The training of the test below, in a process of its own.
#[test]
#[ignore = "started by the test below"]
fn training_to_be_killed() {
    let vars: HashMap<String, String> = std::env::vars().collect();
    let mut settings = settings(&vars, PathBuf::from(&vars["RESUME_FILE"])).unwrap();
    settings.name = None;
    let mut run = Run::init(settings).unwrap();
    let first: i64 = vars["FIRST_STEP"].parse().unwrap();
    train(&mut run, first..first + 10); // the evaluation after the tenth step belongs to a step that never ends
    std::thread::sleep(Duration::from_millis(vars["LINGER"].parse().unwrap()));
    std::process::abort();
}

/// Runs it to its end, which is like kill -9: nothing is told to anybody.
pub fn train_and_die(sandbox: &Sandbox, first: i64, linger: &str) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "accidents::training_to_be_killed", "--ignored"]);
    command.envs(&sandbox.vars).env("RESUME_FILE", sandbox.resume_file());
    command.env("FIRST_STEP", first.to_string()).env("LINGER", linger);
    assert!(!command.output().unwrap().status.success());
}
