use std::time::{Duration, Instant};

use super::accidents::{lose_the_server, train_and_die};
use super::sandbox::{Sandbox, assert_whole, steps_in, train};
use super::server::Fault;

#[test]
fn offline_asks_no_server_and_needs_no_key() {
    let mut sandbox = Sandbox::new().with("WANDB_MODE", "offline");
    sandbox.vars.remove("WANDB_API_KEY");
    let notes = sandbox.train(0..7);
    assert!(sandbox.server.state().requests.is_empty());
    let dir = sandbox.rest(&notes);
    assert!(dir.join("files").is_dir());
    let link = sandbox.dir.path().join("wandb/latest-run");
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
        let mut sandbox = Sandbox::new();
        sandbox.vars.remove(without);
        sandbox.server.state().graphql_faults.extend(fault);
        let (mut run, notes) = sandbox.start();
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].contains(reason) && notes[0].contains("wandb sync"), "{notes:?}");
        train(&mut run, 0..7);
        let news = run.finish(0);
        sandbox.rest(&news);
        assert!(sandbox.server.stream_posts().is_empty());
    }
}

#[test]
fn an_unreachable_server_costs_no_time() {
    let sandbox = Sandbox::new().with("WANDB_BASE_URL", "http://127.0.0.1:9").with("WANDB_FINISH_TIMEOUT", "60");
    let (mut run, mut notes) = sandbox.start();
    notes.extend(train(&mut run, 0..7));
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("127.0.0.1:9 cannot be reached: Connection refused"), "{notes:?}");
    let ended = Instant::now();
    let news = run.finish(0);
    sandbox.rest(&news);
    assert!(ended.elapsed() < Duration::from_secs(20), "{:?}", ended.elapsed());
}

#[test]
fn the_server_may_come_after_the_training_began() {
    let sandbox = Sandbox::new();
    sandbox.server.state().down = true;
    let (mut run, notes) = sandbox.start();
    assert!(notes[0].contains("cannot be reached"), "{notes:?}");
    train(&mut run, 0..20);
    sandbox.server.state().down = false;
    run.finish(0);
    assert_whole(&sandbox.server.run(), 20);
    assert!(sandbox.dirs("offline-run-").is_empty());
}

#[test]
fn what_a_lost_server_lacks_is_in_a_directory_of_its_own() {
    let sandbox = Sandbox::new();
    let notes = lose_the_server(&sandbox);
    assert_eq!(steps_in(&sandbox.rest(&notes)), (10..33).collect::<Vec<_>>());
}

#[test]
fn a_killed_offline_run_has_its_rows_on_the_disk() {
    let sandbox = Sandbox::new().with("WANDB_MODE", "offline");
    train_and_die(&sandbox, 0, "0");
    assert_eq!(steps_in(&sandbox.dirs("offline-run-")[0]), (0..10).collect::<Vec<_>>());
}
