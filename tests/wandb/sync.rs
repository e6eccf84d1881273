//! What is left on the disk is what the official client's `wandb sync` takes.

use std::time::Duration;

use super::accidents::{lose_the_server, train_and_die};
use super::official::sync;
use super::sandbox::{Sandbox, assert_whole, train};
use super::server::Fault;

#[test]
fn a_server_that_never_comes_is_given_up_after_a_while() {
    let sandbox = Sandbox::new().with("WANDB_INIT_TIMEOUT", "0.3");
    sandbox.server.state().down = true;
    let (mut run, mut notes) = sandbox.start();
    train(&mut run, 0..5);
    std::thread::sleep(Duration::from_millis(600));
    notes.extend(train(&mut run, 5..8));
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert_eq!(sandbox.dirs("offline-run-").len(), 1, "a process that is killed now leaves what sync takes");
    sandbox.server.state().down = false;
    let news = run.finish(0);
    sync(&sandbox, &sandbox.rest(&news));
    assert_whole(&sandbox.server.run(), 8);
}

#[test]
fn what_a_lost_server_lacks_is_left_for_sync() {
    let sandbox = Sandbox::new();
    let notes = lose_the_server(&sandbox);
    assert!(notes.last().unwrap().contains("23 rows (steps 10 to 32) were not sent"), "{notes:?}");
    let dir = sandbox.rest(&notes);
    sandbox.server.state().down = false;
    sync(&sandbox, &dir);
    let run = sandbox.server.run();
    assert_whole(&run, 33);
    assert_eq!(run.exit_code, Some(0));
    let output = run.lines("output.log");
    assert!((0..33).all(|step| output[step].ends_with(&format!(" step {step}"))), "{output:?}");
}

#[test]
fn a_server_that_refuses_lines_gets_no_more() {
    let sandbox = Sandbox::new();
    sandbox.server.state().stream_faults.push_back(Fault::Status(404, None));
    let (mut run, mut notes) = sandbox.start();
    train(&mut run, 0..5);
    sandbox.server.wait_for("a post", |state| state.stream_faults.is_empty());
    std::thread::sleep(Duration::from_millis(300));
    notes.extend(train(&mut run, 5..8));
    assert!(notes.iter().any(|text| text.contains("404") && text.contains("nothing more is sent")), "{notes:?}");
    notes.extend(run.finish(0));
    assert_eq!(sandbox.server.stream_posts().len(), 1);
    let dir = sandbox.rest(&notes);
    sync(&sandbox, &dir);
    assert_whole(&sandbox.server.run(), 8);
}

#[test]
fn a_killed_offline_run_has_all_that_was_logged() {
    let sandbox = Sandbox::new().with("WANDB_MODE", "offline");
    train_and_die(&sandbox, 0, "0");
    sync(&sandbox, &sandbox.dirs("offline-run-")[0]);
    let run = sandbox.server.run();
    assert_eq!(run.steps(), (0..10).collect::<Vec<_>>());
    assert_eq!(run.exit_code, Some(1), "nobody said how it ended");
    assert_eq!(run.summary()["loss"], 0.1);
}

#[test]
fn offline_parts_are_one_directory_for_sync() {
    let sandbox = Sandbox::new().with("WANDB_MODE", "offline");
    train_and_die(&sandbox, 0, "0");
    let notes = sandbox.train(8..20);
    let dirs = sandbox.dirs("offline-run-");
    assert_eq!(dirs.len(), 2);
    assert!(
        sandbox.dirs("offline-run-")[0].read_dir().unwrap().any(|f| f
            .unwrap()
            .path()
            .to_str()
            .unwrap()
            .ends_with(".synced"))
    );
    assert!(notes.last().unwrap().contains(dirs[1].to_str().unwrap()), "{notes:?}");
    sync(&sandbox, &dirs[1]);
    let run = sandbox.server.run();
    assert_whole(&run, 20);
    assert_eq!(run.exit_code, Some(0));
}

#[test]
fn sync_appends_an_offline_part_to_what_was_sent() {
    let mut sandbox = Sandbox::new();
    let (mut run, _) = sandbox.start();
    train(&mut run, 0..12);
    run.finish(255);
    sandbox.vars.insert("WANDB_MODE".to_owned(), "offline".to_owned());
    sandbox.train(11..20);
    sync(&sandbox, &sandbox.dirs("offline-run-")[0]);
    let run = sandbox.server.run();
    assert_whole(&run, 20);
    assert_eq!(run.lines("output.log").len(), 21);
    // and on from there
    sandbox.vars.remove("WANDB_MODE");
    sandbox.train(20..23);
    assert_whole(&sandbox.server.run(), 23);
}
