use std::process::Command;
use std::time::{Duration, Instant};

use nanoebm::tracking::{End, Tracker};

use super::desk::{Desk, assert_whole, train};
use super::official;
use super::server::Fault;

/// The one directory that is left for `wandb sync`, and that it is the one that is named.
fn rest(desk: &Desk, notes: &[String]) -> std::path::PathBuf {
    let dirs = desk.dirs("offline-run-");
    assert_eq!(dirs.len(), 1, "{dirs:?} {notes:?}");
    let last = notes.last().unwrap();
    assert!(last.contains(&format!("wandb sync {}", dirs[0].display())), "{last}");
    dirs[0].clone()
}

#[test]
fn offline_asks_no_server_and_needs_no_key() {
    let mut desk = Desk::new().with("WANDB_MODE", "offline");
    desk.vars.remove("WANDB_API_KEY");
    let notes = desk.train(0..7);
    assert!(desk.server.state().requests.is_empty());
    let dir = rest(&desk, &notes);
    assert!(dir.join("files").is_dir());
    let link = desk.dir.path().join("wandb/latest-run");
    assert_eq!(link.canonicalize().unwrap(), dir.canonicalize().unwrap());
    assert!(!dir.join("pending.json").exists());
}

#[test]
fn a_run_that_cannot_be_sent_says_why_in_one_line_and_goes_on() {
    let reasons: [(Option<Fault>, &str, &str); 4] = [
        (Some(Fault::Status(401, None)), "WANDB_NAME", "401"),
        (Some(Fault::Refuse("project proj is closed".to_owned())), "WANDB_NAME", "project proj is closed"),
        (None, "WANDB_API_KEY", "no API key for 127.0.0.1:"),
        (Some(Fault::Garbage), "WANDB_NAME", "does not answer as a W&B server"),
    ];
    for (fault, without, reason) in reasons {
        let mut desk = Desk::new();
        desk.vars.remove(without);
        desk.server.state().graphql_faults.extend(fault);
        let (mut wandb, notes) = desk.start();
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].contains(reason) && notes[0].contains("wandb sync"), "{notes:?}");
        train(&mut wandb, 0..7);
        let news = wandb.finish(&End::Finished);
        rest(&desk, &news);
        assert!(desk.server.stream_posts().is_empty());
    }
}

#[test]
fn an_unreachable_server_costs_no_time() {
    let desk = Desk::new().with("WANDB_BASE_URL", "http://127.0.0.1:9").with("WANDB_FINISH_TIMEOUT", "60");
    let (mut wandb, mut notes) = desk.start();
    notes.extend(train(&mut wandb, 0..7));
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("127.0.0.1:9 cannot be reached: Connection refused"), "{notes:?}");
    let ended = Instant::now();
    let news = wandb.finish(&End::Finished);
    rest(&desk, &news);
    assert!(ended.elapsed() < Duration::from_secs(20), "{:?}", ended.elapsed());
}

#[test]
fn the_server_may_come_after_the_training_began() {
    let desk = Desk::new();
    desk.server.state().down = true;
    let (mut wandb, notes) = desk.start();
    assert!(notes[0].contains("cannot be reached"), "{notes:?}");
    train(&mut wandb, 0..20);
    desk.server.state().down = false;
    wandb.finish(&End::Finished);
    assert_whole(&desk.server.run(), 20);
    assert!(desk.dirs("offline-run-").is_empty());
}

#[test]
fn a_server_that_never_comes_is_given_up_after_a_while() {
    let desk = Desk::new().with("WANDB_INIT_TIMEOUT", "0.3");
    desk.server.state().down = true;
    let (mut wandb, mut notes) = desk.start();
    train(&mut wandb, 0..5);
    std::thread::sleep(Duration::from_millis(600));
    notes.extend(train(&mut wandb, 5..8));
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert_eq!(desk.dirs("offline-run-").len(), 1, "a process that is killed now leaves what sync takes");
    desk.server.state().down = false;
    let news = wandb.finish(&End::Finished);
    official::sync(&desk, &rest(&desk, &news));
    assert_whole(&desk.server.run(), 8);
}

/// The server takes ten rows and then nothing more: `wandb sync` sends exactly the others.
fn lose_the_server(desk: &Desk) -> Vec<String> {
    let (mut wandb, _) = desk.start();
    train(&mut wandb, 0..10);
    desk.server.wait_for("ten rows", |state| {
        state.runs.values().any(|run| run.files.get("wandb-history.jsonl").is_some_and(|lines| lines.len() == 10))
            && state.runs.values().all(|run| run.files["output.log"].len() == 10)
    });
    std::thread::sleep(Duration::from_millis(100)); // the answer comes after that
    desk.server.state().down = true;
    train(&mut wandb, 10..33);
    wandb.finish(&End::Finished)
}

#[test]
fn what_a_lost_server_lacks_is_left_for_sync() {
    let desk = Desk::new();
    let notes = lose_the_server(&desk);
    assert!(notes.last().unwrap().contains("23 rows (steps 10 to 32) were not sent"), "{notes:?}");
    let dir = rest(&desk, &notes);
    desk.server.state().down = false;
    official::sync(&desk, &dir);
    let run = desk.server.run();
    assert_whole(&run, 33);
    assert_eq!(run.exit_code, Some(0));
    let output = run.lines("output.log");
    assert!((0..33).all(|step| output[step].ends_with(&format!(" step {step}"))), "{output:?}");
}

#[test]
fn a_server_that_refuses_lines_gets_no_more() {
    let desk = Desk::new();
    desk.server.state().stream_faults.push_back(Fault::Status(404, None));
    let (mut wandb, mut notes) = desk.start();
    train(&mut wandb, 0..5);
    desk.server.wait_for("a post", |state| state.stream_faults.is_empty());
    std::thread::sleep(Duration::from_millis(300));
    notes.extend(train(&mut wandb, 5..8));
    assert!(notes.iter().any(|text| text.contains("404") && text.contains("nothing more is sent")), "{notes:?}");
    notes.extend(wandb.finish(&End::Finished));
    assert_eq!(desk.server.stream_posts().len(), 1);
    let dir = rest(&desk, &notes);
    official::sync(&desk, &dir);
    assert_whole(&desk.server.run(), 8);
}

/// The training of the test below, in a process of its own.
#[test]
#[ignore = "started by the test below"]
fn training_to_be_killed() {
    let vars: nanoebm::tracking::wandb::Vars = std::env::vars().collect();
    let config = super::desk::config();
    let run_dir = std::path::PathBuf::from(&vars["RUN_DIR"]);
    let info = nanoebm::tracking::wandb::RunInfo { project: "proj", name: None, config: &config, run_dir: &run_dir };
    let (wandb, _) = nanoebm::tracking::wandb::Wandb::start_with(&info, &vars).unwrap();
    let mut wandb = wandb.unwrap();
    let first: i64 = vars["FIRST_STEP"].parse().unwrap();
    train(&mut wandb, first..first + 10); // the evaluation after the tenth step belongs to a step that never ends
    std::thread::sleep(Duration::from_millis(vars["LINGER"].parse().unwrap()));
    std::process::abort();
}

/// Runs it to its end, which is like kill -9: nothing is told to anybody.
pub fn train_and_die(desk: &Desk, first: i64, linger: &str) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "offline::training_to_be_killed", "--ignored"]);
    command.envs(&desk.vars).env("RUN_DIR", desk.run_dir()).env("FIRST_STEP", first.to_string()).env("LINGER", linger);
    assert!(!command.output().unwrap().status.success());
}

#[test]
fn a_killed_offline_run_has_all_that_was_logged() {
    let desk = Desk::new().with("WANDB_MODE", "offline");
    train_and_die(&desk, 0, "0");
    official::sync(&desk, &desk.dirs("offline-run-")[0]);
    let run = desk.server.run();
    assert_eq!(run.steps(), (0..10).collect::<Vec<_>>());
    assert_eq!(run.exit_code, Some(1), "nobody said how it ended");
    assert_eq!(run.summary()["loss"], 0.1);
}
