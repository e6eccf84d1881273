//! The training program with `wandb_project=…`, as a user runs it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output};

use nanoebm::tracking::read_rows;
use serde_json::Value;

use super::sandbox::{KEY, Sandbox};
use super::server::Fault;

const TINY: [&str; 9] = [
    "model.n_layer=1",
    "model.n_head=2",
    "model.n_embd=16",
    "data.block_size=16",
    "data.batch_size=4",
    "train.device=cpu",
    "train.eval_iters=1",
    "train.log_interval=1",
    "wandb_project=proj",
];

/// `train`, in the sandbox's directory and environment.
fn train(sandbox: &Sandbox, args: &[&str]) -> Output {
    let text = concat!("data.data_path=", env!("CARGO_MANIFEST_DIR"), "/shakespeare.txt");
    let mut command = Command::new(env!("CARGO_BIN_EXE_train"));
    command.args(TINY).arg(text).args(args).current_dir(sandbox.dir.path()).envs(&sandbox.vars).output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn run_dir(sandbox: &Sandbox) -> PathBuf {
    let entries = std::fs::read_dir(sandbox.dir.path().join("out_ebt")).unwrap();
    entries.map(|entry| entry.unwrap().path()).find(|path| path.is_dir()).unwrap()
}

/// The rows of `metrics.jsonl`, those of a step as one.
fn logged(sandbox: &Sandbox) -> BTreeMap<i64, BTreeMap<String, Value>> {
    let mut steps: BTreeMap<i64, BTreeMap<String, Value>> = BTreeMap::new();
    for row in read_rows(&run_dir(sandbox).join("metrics.jsonl")).unwrap() {
        let values = row.iter().filter(|(key, _)| *key != "step").map(|(k, v)| (k.clone(), v.clone()));
        steps.entry(row["step"].as_i64().unwrap()).or_default().extend(values);
    }
    steps
}

/// The history that the server has.
fn sent(sandbox: &Sandbox) -> BTreeMap<i64, BTreeMap<String, Value>> {
    let history = sandbox.server.run().history();
    let steps: Vec<_> = history.iter().map(|row| row["_step"].as_i64().unwrap()).collect();
    assert!(steps.is_sorted() && steps.windows(2).all(|pair| pair[0] != pair[1]), "{steps:?}");
    let values = |row: &Value| {
        row.as_object()
            .unwrap()
            .iter()
            .filter(|(k, _)| !k.starts_with('_'))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    };
    steps.into_iter().zip(history.iter().map(values)).collect()
}

#[test]
fn a_training_arrives_and_a_resumed_one_goes_on_in_its_run() {
    let sandbox = Sandbox::new();
    let said = stdout(&train(
        &sandbox,
        &["train.max_steps=6", "train.eval_interval=3", "save_interval=4", "wandb_name=first"],
    ));
    assert!(said.contains("View run first at: http://"), "{said}");
    let run = sandbox.server.run();
    assert_eq!((run.complete, run.exit_code), (true, Some(0)));
    assert_eq!(run.config["model"]["value"]["n_embd"], 16);
    assert!(run.lines("output.log").iter().any(|line| line.contains("Training complete")));
    assert_eq!(sent(&sandbox), logged(&sandbox));

    let checkpoint = format!("load_checkpoint={}", run_dir(&sandbox).join("ckpt_step_4.pt").display());
    stdout(&train(&sandbox, &["train.max_steps=9", "train.eval_interval=3", &checkpoint]));
    let run = sandbox.server.run(); // still one
    assert_eq!((run.complete, run.exit_code), (true, Some(0)));
    let keys = |steps: BTreeMap<i64, BTreeMap<String, Value>>| {
        steps.into_iter().map(|(step, row)| (step, row.into_keys().collect::<Vec<_>>())).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(keys(sent(&sandbox)), keys(logged(&sandbox)));
    sandbox.assert_no_key_on_disk();
}

#[test]
fn a_refused_key_is_one_line_and_the_run_trains_on() {
    let sandbox = Sandbox::new();
    sandbox.server.state().graphql_faults.extend((0..50).map(|_| Fault::Status(401, None)));
    let said = stdout(&train(&sandbox, &["train.max_steps=3"]));
    let lines: Vec<_> = said.lines().filter(|line| line.contains("wandb:")).collect();
    assert_eq!(lines.len(), 2, "one at the start, one at the end: {said}");
    assert!(lines[0].contains("401") && lines.iter().all(|line| line.contains("wandb sync")), "{said}");
    assert!(!said.contains(KEY), "{said}");
    assert!(said.contains("Training complete"), "{said}");
    assert_eq!(sandbox.dirs("offline-run-").len(), 1);
}

#[test]
fn a_setting_without_a_meaning_is_an_error_before_anything_is_written() {
    let sandbox = Sandbox::new().with("WANDB_MODE", "onlin");
    let output = train(&sandbox, &["train.max_steps=3"]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.starts_with("error: WANDB_MODE=\"onlin\": expected ") && error.lines().count() == 1, "{error}");
    let left = std::fs::read_dir(sandbox.dir.path().join("out_ebt")).map_or(0, Iterator::count);
    assert_eq!(left, 0);
}

#[test]
fn a_loss_that_is_no_number_fails_the_run() {
    let sandbox = Sandbox::new();
    let output = train(&sandbox, &["train.max_steps=30", "train.learning_rate=1e30", "train.warmup_iters=0"]);
    assert!(!output.status.success());
    let run = sandbox.server.run();
    assert_eq!((run.complete, run.exit_code), (true, Some(1)));
}
