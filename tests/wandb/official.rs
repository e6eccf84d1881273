//! The official client as the judge: it sends what we left, and logs the same as we do.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::python::TRACKERS;
use super::sandbox::{KEY, Sandbox, assert_whole, config, evaluation, metrics, train};
use super::server::Run;

fn client(sandbox: &Sandbox) -> Command {
    let mut command = TRACKERS.command();
    command.current_dir(sandbox.dir.path()).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", sandbox.dir.path());
    command.env("WANDB_BASE_URL", sandbox.server.url()).env("WANDB_API_KEY", KEY).env("WANDB_ERROR_REPORTING", "false");
    command
}

/// `wandb sync DIR`. It succeeds even where it fails: its words count.
pub fn sync(sandbox: &Sandbox, dir: &Path) {
    let output = client(sandbox).args(["-m", "wandb", "sync"]).arg(dir).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("Finished syncing"), "{text}");
}

#[test]
fn sync_sends_an_offline_run_with_nothing_lost() {
    let sandbox =
        Sandbox::new().with("WANDB_MODE", "offline").with("WANDB_TAGS", "one,two three").with("WANDB_NOTES", "note");
    let sandbox = sandbox.with("WANDB_RUN_GROUP", "group").with("WANDB_JOB_TYPE", "job").with("WANDB_HOST", "machine");
    let (mut run, _) = sandbox.start();
    train(&mut run, 0..23);
    std::thread::sleep(Duration::from_millis(200)); // for a sample of the machine
    run.finish(0);
    sync(&sandbox, &sandbox.dirs("offline-run-")[0]);
    let run = sandbox.server.run();
    assert_whole(&run, 23);
    assert_eq!((run.complete, run.exit_code), (true, Some(0)));
    let upsert = &run.upsert;
    let texts = ["displayName", "notes", "groupName", "jobType", "host"].map(|key| upsert[key].as_str().unwrap());
    assert_eq!(texts, ["a name", "note", "group", "job", "machine"]);
    assert_eq!(upsert["tags"], serde_json::json!(["one", "two three"]));
    for (key, value) in config().as_object().unwrap() {
        assert_eq!(&run.config[key]["value"], value, "{key}");
    }
    assert_eq!(run.lines("output.log").len(), 23);
    assert!(run.lines("wandb-events.jsonl")[0].contains("\"system.proc.memory.rssMB\""));
    assert!(sandbox.server.state().requests.iter().any(|request| request.path == "/put/config.yaml"));
}

/// The training of the tests, with the official client.
const SCRIPT: &str = "
import json, sys, wandb
config, rows = json.loads(sys.argv[1])
with wandb.init(project='proj', name='a name', config=config, dir=sys.argv[2]) as run:
    for step, row in rows:
        run.log(row, step=step)
";

fn number_for_number(run: &Run) -> (Vec<Value>, Value, Value) {
    let plain = |row: &Value| {
        let row = row
            .as_object()
            .unwrap()
            .iter()
            .filter(|(key, _)| !["_runtime", "_timestamp", "_wandb"].contains(&key.as_str()));
        // 3.0 and 3 are one number
        row.map(|(k, v)| (k.clone(), v.as_f64().map_or(v.clone(), Value::from))).collect::<serde_json::Map<_, _>>()
    };
    let sorted = |row: &Value| {
        let mut row: Vec<_> = plain(row).into_iter().collect();
        row.sort_by(|a, b| a.0.cmp(&b.0));
        Value::Object(row.into_iter().collect())
    };
    (run.history().iter().map(sorted).collect(), sorted(&run.summary()), sorted(&run.config))
}

#[test]
fn the_official_client_sends_the_same() {
    let ours = Sandbox::new();
    ours.train(0..23);
    let theirs = Sandbox::new();
    let mut rows = Vec::new();
    for step in 0..23 {
        rows.push((step, metrics(step)));
        if (step + 1) % 5 == 0 {
            rows.push((step + 1, evaluation(step + 1)));
        }
    }
    let arguments = serde_json::json!([config(), rows]).to_string();
    let mut script = client(&theirs);
    let output = script.args(["-c", SCRIPT, &arguments]).arg(theirs.dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(number_for_number(&ours.server.run()), number_for_number(&theirs.server.run()));
    assert_eq!(ours.server.run().exit_code, theirs.server.run().exit_code);
}
